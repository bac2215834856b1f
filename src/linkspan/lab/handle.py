"""A lab from Python: the commands as methods.

Every method runs `linkspan` as a process of its own. Entering namespaces changes the process that
does it, and forking is unsafe in a program with threads; a program that embeds linkspan must not
have to think of either.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from linkspan.errors import Fault, LinkspanError, Missing, Mistake, Refusal
from linkspan.model.snapshot import LabSnapshot, Reach
from linkspan.sandbox.state import labs

_COMMAND = (sys.executable, "-P", "-m", "linkspan")


class Node:
    """One node of a running lab."""

    def __init__(self, lab: str, name: str) -> None:
        self.lab = lab
        self.name = name

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs `arguments` inside the node."""
        return [*_COMMAND, "exec", f"{self.lab}/{self.name}", "--", *arguments]

    def run(self, arguments: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
        """Run a command in the node; `options` are those of `subprocess.run`."""
        return subprocess.run(self.command(arguments), **options)

    def start(self, arguments: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command in the node; `options` are those of `subprocess.Popen`."""
        return subprocess.Popen(self.command(arguments), **options)


class Lab:
    """A running lab. As a context manager it is taken down at the end."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        if self.name in labs():
            self.down()

    def __getitem__(self, node: str) -> Node:
        known = [found.name for found in self.snapshot().nodes]
        if node not in known:
            raise KeyError(f"{self.name} has no node {node!r}; it has {', '.join(known)}")
        return Node(self.name, node)

    def snapshot(self) -> LabSnapshot:
        """The lab as it is now. Raises LinkspanError."""
        return msgspec.json.decode(_linkspan("show", self.name, "--json"), type=LabSnapshot)

    def ping(self, timeout: float = 1.0) -> list[Reach]:
        """Who can reach whom; `timeout` is in seconds for each echo. Raises LinkspanError."""
        answer = _linkspan("ping", self.name, "--json", "--timeout", str(timeout), says_no=True)
        return msgspec.json.decode(answer, type=list[Reach])

    def down(self) -> None:
        """Remove the lab. Raises LinkspanError."""
        _linkspan("down", self.name)


def bring_up(file: str | Path) -> Lab:
    """Bring a lab up, or find it up already. Raises LinkspanError."""
    answer = _linkspan("up", "--json", "--", str(file))
    return Lab(msgspec.json.decode(answer)["lab"])


def _linkspan(*arguments: str, says_no: bool = False) -> bytes:
    """Run a command and return what it printed; exit status 1 is an answer if `says_no`."""
    done = subprocess.run([*_COMMAND, *arguments], capture_output=True, check=False)
    if done.returncode == 0 or (says_no and done.returncode == 1):
        return done.stdout
    text = done.stderr.decode(errors="replace").removeprefix("linkspan: ").rstrip()
    raise _error(done.returncode, text)


def _error(status: int, text: str) -> LinkspanError:
    if status == Mistake.exit_code:
        return Mistake(Fault(text))
    return Missing(text) if status == Missing.exit_code else Refusal(text)
