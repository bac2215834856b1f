"""What is wrong with a topology, and the words for it.

A `Flaw` names its object by path, so that the same check serves files, where the path becomes a
place, and topologies that were made in Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from linkspan.errors import Fault
from linkspan.model.position import Path

MOST_FAULTS: Final = 50
"""Faults that one error lists; nobody reads on, and a hostile file has hundreds of thousands."""

LONGEST_COMPARED: Final = 64
MOST_COMPARED: Final = 2000
"""Texts that `resembling` compares, in characters and number: its cost is their product."""

_PATH_WORDS: Final = {
    "bridges": "bridge",
    "nodes": "node",
    "ports": "port",
    "links": "link",
    "ends": "end",
    "peers": "peer",
    "routes": "route",
    "mounts": "mount",
    "fdb": "entry",
}


class Flaw(msgspec.Struct, frozen=True):
    """One thing that is wrong with a topology, at a path of its file."""

    path: Path
    what: str
    expected: str = ""
    found: str = ""
    """May hold `{also}`, which stands for the place of the path `also`."""
    next_step: str = ""
    also: Path = ()
    at_key: bool = False
    """Whether the key at the path is meant, and not its value."""
    needs: tuple[Path, ...] = ()
    """Values without which the flaw says nothing."""


def label(path: Path) -> str:
    """A path in words: `("nodes", "web", "ports", "eth0", "mac")` is "node web, port eth0, mac";
    things of a list are counted from one.
    """
    words: list[str] = []
    steps = iter(path)
    for step in steps:
        word = _PATH_WORDS.get(str(step))
        name = next(steps, None) if word else None
        if isinstance(name, int):
            name = str(name + 1)
        words.append(str(step) if name is None else f"{word} {brief(name)}")
    return ", ".join(words)


def resembling(text: str, known: Iterable[str]) -> str:
    """The known text that was probably meant, or nothing."""
    candidates = list(known)
    if len(text) > LONGEST_COMPARED or len(candidates) > MOST_COMPARED:
        return ""
    from difflib import get_close_matches

    return next(iter(get_close_matches(text, candidates, n=1)), "")


def names_of(words: str, names: Iterable[str], most: int = 8) -> str:
    """The words and the first of the names, for `expected`."""
    known = list(dict.fromkeys(names))
    if not known:
        return f"{words} (there is none)"
    listed = ", ".join(brief(name) for name in known[:most])
    return f"{words}: {listed}" + (", …" if len(known) > most else "")


def brief(name: str) -> str:
    """A name fit for a message: printable and not long, whatever the file holds."""
    name = name if name.isprintable() else name[:40].encode("unicode_escape").decode()
    return name if len(name) <= 40 else name[:40] + "…"


def in_order(faults: list[Fault]) -> list[Fault]:
    """The faults by place, at most `MOST_FAULTS` and the number of those left out."""

    def order(fault: Fault) -> tuple[int, int]:
        return (fault.place.line, fault.place.column) if fault.place else (0, 0)

    ordered = sorted(faults, key=order)
    more = len(ordered) - MOST_FAULTS
    if more > 0:
        rest = f"and {more} more faults" if more > 1 else "and one more fault"
        return [*ordered[:MOST_FAULTS], Fault(rest, next_step="correct these first")]
    return ordered
