"""Boxes and wires in text.

A block is a list of lines of equal width; pictures are made by putting blocks beside and above
each other, so nothing here knows coordinates beyond the place of a wire in its block. Nodes are
drawn in single lines and bridges in double ones, for which Unicode has every junction that is
needed. Drawings for terminals without UTF-8 are the same ones with each character replaced, which
keeps every width as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WIRE: Final = 4
"""Column of a block in which its wire comes down."""

FRAME: Final = 4
"""Columns that a box needs around its text."""

GUTTER: Final = 1
"""Columns between two blocks."""

_ASCII: Final = str.maketrans(
    dict.fromkeys("─", "-")
    | dict.fromkeys("│║", "|")
    | dict.fromkeys("═", "=")
    | dict.fromkeys("┌┐└┘┬┴╔╗╚╝╤╧╦╠╟╙╕", "+")
    | {"╳": "X", "…": "~"}
)


def box(
    lines: Sequence[str], width: int, top_wire: bool = False, wire_below: int = -1
) -> list[str]:
    """A node's box of `width` columns in all; the wires join its upper and lower edge."""
    top = "┌" + "─" * (width - 2) + "┐"
    bottom = "└" + "─" * (width - 2) + "┘"
    if top_wire:
        top = put(top, WIRE, "┴")
    if wire_below >= 0:
        bottom = put(bottom, wire_below, "┬")
    return [top, *(f"│ {line:<{width - FRAME}} │" for line in lines), bottom]


def bridge_box(lines: Sequence[str], width: int, wire_above: int) -> list[str]:
    """A bridge's box without wires below; `put` draws those."""
    top = put("╔" + "═" * (width - 2) + "╗", wire_above, "╧")
    bottom = "╚" + "═" * (width - 2) + "╝"
    return [top, *(f"║ {line:<{width - FRAME}} ║" for line in lines), bottom]


def wire(labels: Sequence[str], is_cut: bool) -> list[str]:
    """A wire coming down beside its labels, one row a label; the last row shows a cut."""
    strands = ["│ "] * len(labels)
    if strands and is_cut:
        strands[-1] = "╳ "
    return [strand + label for strand, label in zip(strands, labels, strict=True)]


def beside(blocks: Sequence[Sequence[str]]) -> list[str]:
    """Put blocks of equal height next to each other."""
    return [(" " * GUTTER).join(parts) for parts in zip(*blocks, strict=True)]


def put(line: str, column: int, text: str) -> str:
    """The line with `text` in place of what stood at `column`."""
    return line[:column] + text + line[column + len(text) :]


def fold(lines: Sequence[str], width: int) -> list[str]:
    """The lines cut into pieces of `width`, at a space where there is one in the second half."""
    pieces: list[str] = []
    for line in lines:
        rest = line
        while len(rest) > width:
            space = rest.rfind(" ", width // 2, width + 1)
            cut = space if space > 0 else width
            pieces.append(rest[:cut].rstrip())
            rest = rest[cut:].lstrip()
        pieces.append(rest)
    return pieces


def columns_of(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in aligned columns, without headings; a column that is empty throughout is left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]


def to_ascii(drawing: str) -> str:
    """The drawing in ASCII alone; other characters of names become `?`."""
    return drawing.translate(_ASCII).encode("ascii", "replace").decode("ascii")
