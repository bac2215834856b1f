"""A file while it is being made, and how it becomes one that loads.

Whether the file takes a value is for the loader to say: what it refuses is taken out again, with
its reason in a comment, until it refuses nothing. So nothing here knows which engines, options or
addresses there may be, and what a later version of the file has words for is a value by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from linkspan.errors import Bug, Fault, Mistake
from linkspan.interop.written import Tree, drop, lines
from linkspan.model.load import loads
from linkspan.model.position import Path
from linkspan.model.topology import Topology


@dataclass(frozen=True, slots=True)
class Origin:
    """What a file is made from, for people."""

    heading: str
    """The comment that it begins with."""
    name: str
    next_step: str
    """Where to look when nothing could be written."""


HOST: Final = Origin(
    "The bridges of a machine and the namespaces on them, as they were found.",
    "the host",
    "linkspan show tells what there is",
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it."""

    topology: Topology
    text: str
    remarks: tuple[str, ...]
    """What the file could not say, as its comments say it."""


@dataclass(slots=True)
class Draft:
    """The file while it is being made."""

    tree: Tree
    origin: Origin
    remarks: dict[Path, list[str]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    """Names of nodes by namespace."""

    def __post_init__(self) -> None:
        self.remark((), self.origin.heading)

    def remark(self, path: Path, text: str) -> None:
        self.remarks.setdefault(path, []).append(text)


def until_it_loads(draft: Draft, file: str) -> Imported:
    """Take out what the loader refuses. Raises Mistake when no bridge remains."""
    while draft.tree["bridges"]:
        written = list(lines(draft.tree, draft.remarks))
        text = "".join(f"{line}\n" for _, line in written)
        try:
            topology = loads(text, file)
        except Mistake as mistake:
            refused = {
                written[fault.place.line - 1][0]: fault
                for fault in mistake.faults
                if fault.place is not None and fault.place.line <= len(written)
            }
            if not any(refused):
                raise Bug(f"a file was made that does not load: {mistake}") from None
            # From behind, so that places in lists stay what they are.
            for path in sorted(filter(None, refused), key=_order, reverse=True):
                _take_out(draft, path, refused[path])
        else:
            said = (text for texts in draft.remarks.values() for text in texts)
            return Imported(
                topology, text, tuple(each for each in said if each != draft.origin.heading)
            )
    raise Mistake(
        Fault(
            f"{draft.origin.name} has no bridge that could be written into a file",
            found="; ".join(draft.remarks[()][1:]),
            next_step=draft.origin.next_step,
        )
    )


def _order(path: Path) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in path]


def _take_out(draft: Draft, path: Path, fault: Fault) -> None:
    value: Any = draft.tree
    try:
        for step in path:
            value = value[step]
        drop(draft.tree, path)
    except LookupError:
        return  # it went with something around it
    for gone in [known for known in draft.remarks if known[: len(path)] == path]:
        del draft.remarks[gone]
    items = [] if isinstance(value, dict) else value if isinstance(value, list) else [value]
    said = f" {', '.join(map(str, items))}" if items else ""
    expected = f" (expected: {fault.expected})" if fault.expected else ""
    place = path[:-1] if isinstance(path[-1], str) else path[:-2]
    draft.remark(place, f"without {path[-1]}{said}: {fault.what}{expected}")
