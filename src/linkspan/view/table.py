"""Columns that line up, and the few ways in which a value becomes text.

A column's width is that of its longest cell, counted in characters; two spaces separate columns
and no line ends in a space, so that the text can be compared, piped and pasted. Whole numbers and
quantities stand right-aligned under each other, everything else left-aligned. `None` is shown as
`-`: "there is none", as opposed to an empty cell, "the same as above".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

GAP: Final = "  "
NOTHING: Final = "-"
_BYTE_UNITS: Final = ("kB", "MB", "GB", "TB", "PB", "EB")


class Quantity(str):
    """The text of a number with its unit; columns align it to the right."""

    __slots__ = ()


Cell: TypeAlias = str | int | None


def table(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Lay out the rows under their headings.

    A column with a number or quantity in it is right-aligned, its heading too.
    Raises ValueError when a row has not as many cells as there are headings.
    """
    texts = [list(headings), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = [any(isinstance(row[i], (int, Quantity)) for row in rows) for i in range(len(headings))]
    return "\n".join(
        GAP.join(
            text.rjust(width) if to_the_right else text.ljust(width)
            for text, width, to_the_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in texts
    )


def printable(text: str) -> str:
    """The text with everything that could steer a terminal replaced by `?`.

    The kernel takes control characters in interface names (`dev_valid_name`, net/core/dev.c), and
    whoever is root inside a node chooses them.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def clip(text: str, width: int) -> str:
    """The text, cut to `width` characters, the last being `…` where something is missing."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def byte_count(count: int) -> Quantity:
    """A number of bytes in decimal units: `999 B`, `1.2 MB`."""
    if count < 1000:
        return Quantity(f"{count} B")
    power = 1
    while power < len(_BYTE_UNITS) and count / 1000**power >= 999.95:
        power += 1
    return Quantity(f"{count / 1000**power:,.1f} {_BYTE_UNITS[power - 1]}")


def seconds(age: float) -> Quantity:
    """A short time in seconds, to a tenth."""
    return Quantity(f"{age:.1f} s")


def milliseconds(time: float) -> Quantity:
    """A round-trip time with three significant digits or so: `0.12 ms`, `23.4 ms`, `180 ms`."""
    digits = 2 if time < 10 else 1 if time < 100 else 0
    return Quantity(f"{time:.{digits}f} ms")


def plural(count: int, one: str, many: str = "") -> str:
    """`1 port`, `2 ports`, `2 entries`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _text(cell: Cell) -> str:
    if cell is None:
        return NOTHING
    return f"{cell:,}" if isinstance(cell, int) else printable(cell)
