"""The tables of `docs/plan.md`, from those that plans are made by.

The page is written by hand but for what stands between `<!-- NAME -->` and `<!-- end -->`; running
this module writes that anew.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from linkspan.plan.current import MARKED
from linkspan.plan.difference import (
    CHANGED,
    DECLARED,
    DRIFT,
    IN_THE_WAY,
    KINDS,
    MADE_ANEW,
    MADE_WITH,
    NOT_WHOLE,
    OF_A_GUEST,
    OTHER_PREFIX,
    RANKS,
    REMOVED,
    UPROOTED,
)

REASONS: Final[tuple[tuple[str, str], ...]] = (
    (DECLARED, "It is not there, nor was it when the lab was changed last."),
    (CHANGED, "It has another value than the file's, which is not what was applied last either."),
    (REMOVED, "It is there and the lab's, and the file says nothing of it."),
    (DRIFT[0], "The file's value was applied, and there is another one now."),
    (DRIFT[1], "The file's value was applied, and there is nothing now."),
    ("its FIELD can't be changed in place", "The field is in the table above."),
    (NOT_WHOLE, "Its engine's process has ended, or a part of it was deleted."),
    (OTHER_PREFIX, "The kernel has an IPv6 address once on an interface, with one length."),
    (MADE_ANEW, "It is as it should be, but goes with what it stands on and comes again with it."),
    (UPROOTED, "What it stood on goes and does not come again; it has another place then."),
    (OF_A_GUEST, "The bridge was made anew, or somebody took the tap of a guest off it."),
    (IN_THE_WAY, "An interface of the same name on the same node is to come."),
)
"""Every reason that a plan gives, and when."""


_TABLE: Final = re.compile("<!-- ([a-z]+) -->\n.*?<!-- end -->", re.DOTALL)


def fill(page: str) -> str:
    """The page with its tables as they are now."""
    return _TABLE.sub(
        lambda found: f"<!-- {found[1]} -->\n\n{TABLES[found[1]]()}\n<!-- end -->", page
    )


def _ranks() -> str:
    return _table(
        ("rank", "kind", "what it is", "the lab's when"),
        (
            (
                str(RANKS[kind] + 1),
                _word(kind),
                " ".join((inspect.getdoc(kind) or "").split()),
                "it is found" if kind in MARKED else "it is declared",
            )
            for kind in KINDS
        ),
    )


def _unchangeable() -> str:
    return _table(
        ("kind", "fields"),
        (
            (_word(kind), ", ".join(name.replace("_", "-") for name in fields))
            for kind, fields in MADE_WITH.items()
        ),
    )


def _reasons() -> str:
    return _table(("reason", "when"), REASONS)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "ranks": _ranks,
    "unchangeable": _unchangeable,
    "reasons": _reasons,
}
"""By the name in the page."""


def _word(kind: type[msgspec.Struct]) -> str:
    return kind.__name__.removesuffix("Key").lower()


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(path: Path) -> None:
    """Write the tables of a page anew."""
    path.write_text(fill(path.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
