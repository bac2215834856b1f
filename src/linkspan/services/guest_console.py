"""What a guest says on its console, as text, and what that says of the guest.

QEMU writes it to the machine's log as it comes: for a terminal, with sequences that clear the
screen and place the cursor (ECMA-48). Text is what is left without them.

A guest that can't go on says so there alone, and QEMU runs on: a kernel of Linux that stops says at
the end why (`panic`, kernel/panic.c), and one that can't even begin, for want of memory for
example, resets the machine, so that the firmware greets again and again. Both are known by their
last words; whoever said the same and lived on has said something after it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from linkspan.sandbox.output import output_file

_SEQUENCE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # names of windows
    r"|\x1b[ -/]*[0-Z\\^-~]"
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]"
)
_BEGUN: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]*)\Z")
_LONGEST: Final = 256
"""Characters of a sequence that has begun; one that is longer is none."""

_LAST: Final = 16384
"""Bytes of the end of a log that are looked at."""

_PANIC: Final = re.compile(r"---\[ end (Kernel panic - not syncing: .*) \]---\s*\Z")

STARTED: Final = "linkspan: QEMU starts"
"""A line in the log where a new QEMU begins to write."""

_GREETING: Final = "SeaBIOS (version"
_OFTEN: Final = 4
"""Greetings within `_LAST` that nobody causes by hand."""
_LATELY: Final = 10.0
"""Seconds within which a guest that starts over and over has said something."""


class Plain:
    """Makes text of what a guest says, piece by piece."""

    def __init__(self) -> None:
        self._begun = ""

    def feed(self, piece: str, final: bool = False) -> str:
        """The text of the next piece; a sequence that it does not end is kept for the next one,
        unless there is none.
        """
        whole = self._begun + piece
        begun = None if final else _BEGUN.search(whole)
        self._begun = begun[0] if begun and len(begun[0]) <= _LONGEST else ""
        whole = whole.removesuffix(self._begun) if self._begun else whole
        return _SEQUENCE.sub("", whole).replace("\x1b", "")


def begin(log: Path) -> int:
    """Note in a machine's log that a new QEMU begins; returns how long it is then. Raises
    OSError.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(descriptor, "a") as opened:
        opened.write("\n" * (opened.tell() > 0) + f"{STARTED}\n")
        return opened.tell()


def plain(text: str) -> str:
    """The text of what a guest said, without sequences for terminals."""
    return Plain().feed(text, final=True)


def why_stuck(said: str, seconds_ago: float) -> str:
    """Why a guest does not go on, by the end of what it said, the last of it so many seconds ago;
    empty when nothing is known against it. What was said to an earlier QEMU does not count.
    """
    text = plain(said).rpartition(STARTED)[2]
    if panic := _PANIC.search(text):
        return panic[1]
    if text.count(_GREETING) >= _OFTEN and seconds_ago < _LATELY:
        return "the machine resets again and again: what it boots may want more memory"
    return ""


def why_guest_stuck(folder: Path, node: str, now: float) -> str:
    """The same of a machine of the lab whose folder this is; `now` is in seconds since 1970."""
    try:
        with open(output_file(folder, node), "rb") as log:
            log.seek(max(0, log.seek(0, 2) - _LAST))
            said = log.read().decode(errors="replace")
        changed = output_file(folder, node).stat().st_mtime
    except OSError:
        return ""
    return why_stuck(said, now - changed)
