"""The three kinds of error: a user's mistake, the system's refusal, our own bug.

Every message names the object, what was expected, what was found and the next step. The command
line prints `str(error)` and exits with `exit_code`; nothing else in the program calls `exit`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class LinkspanError(Exception):
    """Anything that linkspan says no with."""

    exit_code: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a request or a file.

    `what` names the object and the problem; `expected`, `found` and `next_step` may be empty
    when they would only repeat it. `path` leads to what is meant in the lab's file, by which who
    has the file finds the place.
    """

    what: str
    place: Place | None = None
    expected: str = ""
    found: str = ""
    next_step: str = ""
    path: tuple[str | int, ...] = ()

    def at(self, *path: str | int) -> Fault:
        """The same of what stands at a path of the lab's file."""
        return replace(self, path=path)

    def __str__(self) -> str:
        head = f"{self.place}: {self.what}" if self.place else self.what
        details = (("expected", self.expected), ("found", self.found), ("next", self.next_step))
        return "\n".join([head, *(f"  {label}: {text}" for label, text in details if text)])


class Mistake(LinkspanError):
    """The request or the file is wrong. Nothing was changed."""

    exit_code = 2

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("\n".join(map(str, faults)))


class Refusal(LinkspanError):
    """The system said no while we were applying; what had been done was undone."""

    exit_code = 3


class Missing(LinkspanError):
    """A privilege or a component is missing; the message names it and what brings it."""

    exit_code = 4


class Bug(LinkspanError):
    """linkspan contradicts itself; the message asks for a report."""

    exit_code = 3
