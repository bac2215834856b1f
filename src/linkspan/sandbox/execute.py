"""Run a command inside a node as if it had been started here: terminal, signals, exit status.

The command is a child of ours in the node's namespaces and in our process group, so that what the
terminal sends (Ctrl-C, Ctrl-Z, a new window size) reaches it without our help. Signals that were
sent to us alone, by `kill`, are passed on. A command that was killed gives 128 + signal, one that
is not there 127, one that can't be executed 126, as in a shell (POSIX, 2.8.2).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from linkspan.sandbox.namespaces import enter

_PASSED_ON: Final = {
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
}


def execute(
    descriptors: Sequence[int], command: Sequence[str], environment: Mapping[str, str]
) -> int:
    """Run `command` in the namespaces and return its exit status. Raises OSError when the
    namespaces can't be entered.
    """
    folder = Path.cwd()
    watched = _PASSED_ON | {signal.SIGCHLD}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    enter(descriptors)
    process = os.fork()
    if process == 0:
        _become(command, environment, folder, mask)
    try:
        return _wait(process, watched)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _wait(process: int, watched: set[signal.Signals]) -> int:
    while True:
        found = signal.sigwaitinfo(watched)
        if found.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        elif found.si_code <= 0:  # sent by a process; the terminal's reach the command anyway
            os.kill(process, found.si_signo)


def _become(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    mask: set[int] | set[signal.Signals],
) -> None:
    status = 126
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.chdir(folder if folder.is_dir() else "/")
        os.execvpe(command[0], list(command), dict(environment))
    except FileNotFoundError:
        status = 127
        print(f"linkspan: {command[0]}: command not found", file=sys.stderr, flush=True)
    except OSError as error:
        print(f"linkspan: {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)
