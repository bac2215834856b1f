"""Run a command inside a node as if it had been started here: terminal, signals, exit status.

The command is a child of ours in the node's namespaces. Signals that were sent to us alone, by
`kill`, are passed on. Those of the terminal (Ctrl-C, Ctrl-Z, a new window size) reach it without
our help, in one of two ways. In a pipeline it stays in our process group, which has the terminal.
Where all three streams are the terminal, it may be a shell with jobs of its own, and a shell gives
the terminal back to the group that it found; ours has no number in the lab's PID namespace. There
the command gets a group, and the terminal with it; when it stops, we take that back and stop too,
so that the shell outside sees a job like any other (POSIX, 11.1.4).

A command that was killed gives 128 + signal, one that
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


_QUIET: Final = {*_PASSED_ON, signal.SIGCHLD, signal.SIGTTOU}
"""Blocked while a command runs: what we wait for, and what objects to passing the terminal on."""


def execute(
    descriptors: Sequence[int], command: Sequence[str], environment: Mapping[str, str]
) -> int:
    """Run `command` in the namespaces and return its exit status. Raises OSError when the
    namespaces can't be entered.
    """
    folder = Path.cwd()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _QUIET)
    has_terminal = _has_terminal()
    enter(descriptors)
    process = os.fork()
    if process == 0:
        _become(command, environment, folder, mask, has_terminal)
    try:
        return _wait(process, has_terminal)
    finally:
        if has_terminal:
            os.tcsetpgrp(0, os.getpgrp())
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _has_terminal() -> bool:
    """Whether all three streams are a terminal on which we are in the foreground."""
    try:
        return all(map(os.isatty, range(3))) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # a terminal, but not our controlling one
        return False


def _wait(process: int, has_terminal: bool) -> int:
    while True:
        found = signal.sigwaitinfo(_QUIET)
        if found.si_signo == signal.SIGCHLD:
            changed, status = os.waitpid(process, os.WNOHANG | os.WUNTRACED)
            if changed and os.WIFSTOPPED(status):
                if has_terminal:
                    _stop_with(process)
            elif changed:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        elif found.si_code <= 0:  # sent by a process; the terminal's reach the command anyway
            os.kill(process, found.si_signo)


def _stop_with(process: int) -> None:
    """Stop as the command did, and go on together when somebody wants us to."""
    os.tcsetpgrp(0, os.getpgrp())
    os.kill(os.getpid(), signal.SIGSTOP)
    if os.tcgetpgrp(0) == os.getpgrp():
        os.tcsetpgrp(0, process)
    os.killpg(process, signal.SIGCONT)


def _become(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    mask: set[int] | set[signal.Signals],
    has_terminal: bool,
) -> None:
    status = 126
    try:
        if has_terminal:
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpgrp())
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.chdir(folder if folder.is_dir() else "/")
        os.execvpe(command[0], list(command), dict(environment))
    except FileNotFoundError:
        status = 127
        print(
            f"linkspan: {command[0]}: command not found\n"
            "  next: install it on this machine, whose programs all nodes have, or write its path",
            file=sys.stderr,
            flush=True,
        )
    except OSError as error:
        print(f"linkspan: {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)
