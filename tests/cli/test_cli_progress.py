"""Long work shows where it is on a terminal, and nothing anywhere else."""

from __future__ import annotations

import io
import os
import pty

import pytest
from tests.machine import Machine, linkspan_command

from linkspan.cli.progress import ProgressLine
from linkspan.model.state import Node, NodeKey
from linkspan.plan.change import Change

ACTION = Change(key=NodeKey("web"), after=Node(kind="container"))


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_line_is_rewritten_and_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 10.1, 10.6, 10.65, 10.8])
    monkeypatch.setattr("linkspan.cli.progress.time.monotonic", lambda: next(now))
    terminal = Terminal()
    with ProgressLine(terminal) as line:
        for done in range(4):
            line(done, 9, ACTION)
    erase = "\r\x1b[K"
    assert terminal.getvalue() == (
        f"{erase}1 of 9 steps: make the container web"
        f"{erase}3 of 9 steps: make the container web{erase}"
    )


def test_a_pipe_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr("linkspan.cli.progress.time.monotonic", lambda: float(next(now)))
    pipe = io.StringIO()
    with ProgressLine(pipe) as line:
        line(1, 9, ACTION)
    assert pipe.getvalue() == ""


def test_up_of_a_large_lab_on_a_terminal(machine: Machine) -> None:
    text = "name: large\nnodes:\n" + "".join(f"  n{number}: {{}}\n" for number in range(900))
    ours, theirs = pty.openpty()
    process = machine.start(linkspan_command("up", machine.file(text)), terminal=theirs)
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 4096):
            shown += data
    except OSError:  # EIO: the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=20) == 0
    assert b" of 901 steps: make the container n" in shown
    *_, last = shown.split(b"\r\x1b[K")
    assert last.startswith(b"large is up: 0 bridges, 901 nodes")
    machine.linkspan("down", "large")
