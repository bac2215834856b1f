"""Making trouble for a change of an uplink, and seeing that it is over."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.machine import linkspan_command, wait_until
from tests.uplink.lan import Lan, Session

STOPPING = Path(__file__).parent / "stopping"


def check(sessions: list[Session]) -> None:
    for session in sessions:
        session.check()


def is_over(lan: Lan) -> bool:
    """No lab, no guard, no process is left."""
    return not lan.machine.processes() and not lan.machine.labs.exists()


def wait_for_end(lan: Lan) -> None:
    wait_until(lambda: is_over(lan), lambda: f"{lan.machine.processes()}\n{lan.difference()}")


def kill_all_but_the_guard(lan: Lan) -> None:
    """kill -9 of every process of linkspan's but the guard."""
    for process, line in lan.machine.processes().items():
        if "linkspan.lab.guard" not in line:
            with contextlib.suppress(ProcessLookupError):  # it went with the lab's first process
                os.kill(process, signal.SIGKILL)


class Stopped:
    """A command of linkspan's, held before the action of that number; or ended, if it has fewer."""

    def __init__(self, lan: Lan, command: Sequence[str], number: int) -> None:
        self._fifo = lan.machine.folder / f"stop-{number}"
        os.mkfifo(self._fifo)
        path = os.pathsep.join([str(STOPPING), os.environ.get("PYTHONPATH", "")])
        self._process = lan.machine.start(
            linkspan_command(*command),
            environment={"PYTHONPATH": path, "LINKSPAN_TEST_STOP": f"{number}:{self._fifo}"},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.is_stopped = False
        reader = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
        try:
            wait_until(lambda: self._has_stopped(reader) or self._process.poll() is not None)
        finally:
            os.close(reader)

    def _has_stopped(self, reader: int) -> bool:
        try:
            self.is_stopped = self.is_stopped or os.read(reader, 16) != b""
        except BlockingIOError:
            return False
        return self.is_stopped

    def __enter__(self) -> subprocess.Popen[str]:
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
