"""A lab as networking books draw it: the host's stack on top, the bridge, and the nodes below it.

Each bridge is drawn by itself, with the stack of the node it lives on above it, joined to the
bridge's own port (number 0). Its other ports come out of its lower edge, each with number, name
and kind beside the wire and the node it leads to below. A wire that carries nothing is cut (`╳`),
and the reason stands beside it or in the node's box.

More nodes than fit side by side continue in further rows, which hang from a rail that leaves the
bridge at the left; with more than `LARGEST_ROWS` ports the boxes give way to a list. A node on
several bridges stands under each with the interface that is there, and names the others. Nodes
on no bridge come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from linkspan.model.snapshot import BridgeSnapshot, LabSnapshot, NodeSnapshot
from linkspan.types import HOST_PORT
from linkspan.view.captions import (
    Hanging,
    bridge_lines,
    hanging_from,
    interface_lines,
    node_title,
    own_wire,
    stack_lines,
    title,
)
from linkspan.view.drawing import (
    FRAME,
    GUTTER,
    WIRE,
    beside,
    box,
    bridge_box,
    columns_of,
    fold,
    put,
    to_ascii,
    wire,
)
from linkspan.view.table import clip, printable
from linkspan.view.tables import is_ordinary_loopback

LARGEST_ROWS: Final = 12
"""Ports of a bridge up to which nodes are drawn as boxes."""

RAIL: Final = 2
"""Column of the rail that further rows hang from."""

_RAIL_ROOM: Final = 4
_NARROWEST: Final = 40


@dataclass(frozen=True, slots=True)
class SwitchWords:
    """What stands in and above the box of one bridge."""

    bridge: list[str]
    stack: list[str]
    own_wire: tuple[list[str], bool]
    """Labels of the wire between stack and bridge, and whether it is cut."""


def picture(lab: LabSnapshot, columns: int = 100, ascii: bool = False) -> str:
    """Draw the lab in lines of at most `columns` characters (40 or more).

    `ascii` draws with the characters of a terminal without UTF-8.
    """
    columns = max(columns, _NARROWEST)
    blocks = [fold([title(lab)], columns)]
    blocks += [_draw_bridge(lab, bridge, columns) for bridge in lab.bridges]
    drawn = _drawn_names(lab)
    loose = [node for node in lab.nodes if node.name not in drawn]
    if loose:
        blocks.append(_draw_loose(lab, loose, columns))
    text = "\n\n".join("\n".join(line.rstrip() for line in block) for block in blocks)
    return to_ascii(text) if ascii else text


def _draw_bridge(lab: LabSnapshot, bridge: BridgeSnapshot, columns: int) -> list[str]:
    hangings = [
        hanging_from(lab, bridge, port) for port in bridge.ports if port.number != HOST_PORT
    ]
    words = SwitchWords(
        bridge_lines(bridge, lab.scope), stack_lines(lab, bridge), own_wire(lab, bridge)
    )
    return draw_switch(words, hangings, columns)


def draw_switch(words: SwitchWords, hangings: Sequence[Hanging], columns: int) -> list[str]:
    """The lines of one bridge with its stack above and what hangs from its ports below."""
    text = fold(words.bridge, columns - FRAME)
    stack = fold(words.stack, columns - FRAME)
    stack_width = FRAME + max(map(len, stack))
    as_list = len(hangings) > LARGEST_ROWS
    rows, indent = ([], 0) if as_list else _rows(hangings, columns)
    width = max(
        stack_width,
        FRAME + max(map(len, text)),
        *(indent + sum(len(block[0]) + GUTTER for block in row) - GUTTER for row in rows),
    )
    left = (width - stack_width) // 2
    middle = left + stack_width // 2
    own = wire(*words.own_wire)
    lines = [" " * left + line for line in box(stack, stack_width, wire_below=stack_width // 2)]
    lines += [clip(" " * middle + line, columns) for line in own]
    lines += bridge_box(text, width, middle)
    edge = lines.pop()
    if as_list:
        return [*lines, put(edge, RAIL, "╦"), *_list(hangings, columns)]
    for place, row in enumerate(rows):
        is_last = place == len(rows) - 1
        lines += [_edge(edge, row, indent)] if place == 0 else _branch(row, indent, is_last)
        margin = " " * indent if is_last else put(" " * indent, RAIL, "║")
        lines += [margin + line for line in beside(row)]
    return lines if rows else [*lines, edge]


def _edge(edge: str, row: Sequence[list[str]], indent: int) -> str:
    """The bridge's lower edge with the wires of its first row."""
    for column in _wires(row, indent):
        edge = put(edge, column, "╤")
    return put(edge, RAIL, "╦") if indent else edge


def _branch(row: Sequence[list[str]], indent: int, is_last: bool) -> list[str]:
    """The rail reaching a further row, and what goes off to that row's wires."""
    *others, last = _wires(row, indent)
    branch = ("╚" if is_last else "╠") + "═" * (last - RAIL - 1) + "╕"
    line = " " * RAIL + branch
    for column in others:
        line = put(line, column, "╤")
    return [" " * RAIL + "║", line]


def _wires(row: Sequence[list[str]], indent: int) -> list[int]:
    """The columns in which the wires of a row come down."""
    starts = accumulate((len(block[0]) + GUTTER for block in row[:-1]), initial=indent)
    return [start + WIRE for start in starts]


def _rows(hangings: Sequence[Hanging], columns: int) -> tuple[list[list[list[str]]], int]:
    """Blocks, row by row, and the columns left free at their left for the rail."""
    for indent in (0, _RAIL_ROOM):
        room = columns - indent
        narrow = [min(hanging.width, room) for hanging in hangings]
        alike = [max(narrow, default=0)] * len(narrow)
        # Boxes of one width look calmer, as long as that costs no further row.
        widths = alike if len(_breaks(alike, room)) == len(_breaks(narrow, room)) else narrow
        breaks = _breaks(widths, room)
        if widths is alike and len(breaks) > 1:
            breaks = _evenly(len(alike), len(breaks))
        if len(breaks) <= 1:
            break
    rows = [
        _equally_high([(hangings[place], widths[place]) for place in range(start, end)])
        for start, end in breaks
    ]
    return rows, indent


def _breaks(widths: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Half-open ranges of blocks that fit into one row each."""
    rows: list[tuple[int, int]] = []
    start, used = 0, 0
    for place, width in enumerate(widths):
        if place > start and used + GUTTER + width > room:
            rows.append((start, place))
            start, used = place, 0
        used += width + (GUTTER if place > start else 0)
    return [*rows, (start, len(widths))] if widths else rows


def _evenly(count: int, rows: int) -> list[tuple[int, int]]:
    """Half-open ranges that spread blocks of one width over the rows, the last being shortest."""
    each = -(-count // rows)
    return [(start, min(start + each, count)) for start in range(0, count, each)]


def _equally_high(row: Sequence[tuple[Hanging, int]]) -> list[list[str]]:
    folded = [(hanging, width, fold(hanging.lines, width - FRAME)) for hanging, width in row]
    height = max(len(lines) for _, _, lines in folded)
    blocks: list[list[str]] = []
    for hanging, width, lines in folded:
        padded = lines + [""] * (height - len(lines))
        labels = [clip(label, width - WIRE - 2) for label in hanging.labels]
        wires = [f"{' ' * WIRE}{strand}".ljust(width) for strand in wire(labels, hanging.is_cut)]
        blocks.append((wires if labels else []) + box(padded, width, top_wire=bool(labels)))
    return blocks


def _list(hangings: Sequence[Hanging], columns: int) -> list[str]:
    rows = [hanging.row for hanging in hangings]
    room = columns - RAIL - 3
    # The notes say what is wrong, the MAC is in every table: it goes first when room is short.
    if any(len(line) > room for line in columns_of(rows)):
        rows = [(*row[:4], row[5]) for row in rows]
    lines = [clip(line, room) for line in columns_of(rows)]
    branches = ["╟─"] * (len(lines) - 1) + ["╙─"]
    return [f"{' ' * RAIL}{branch} {line}" for branch, line in zip(branches, lines, strict=True)]


def _draw_loose(lab: LabSnapshot, nodes: Sequence[NodeSnapshot], columns: int) -> list[str]:
    heading = "Not connected to a bridge:"
    if len(nodes) > LARGEST_ROWS:
        return [heading, *(clip(f"  {printable(node_title(node))}", columns) for node in nodes)]
    hangings: list[Hanging] = []
    for node in nodes:
        lines = [node_title(node)]
        for interface in node.interfaces:
            if not is_ordinary_loopback(interface):
                lines += interface_lines(interface)
        if len(lines) == 1:
            lines.append("no interface")
        hangings.append(Hanging(labels=(), lines=tuple(map(printable, lines)), row=()))
    rows, _ = _rows(hangings, columns)
    return [heading, *(line for row in rows for line in beside(row))]


def _drawn_names(lab: LabSnapshot) -> set[str]:
    at_ports = {
        port.node for bridge in lab.bridges for port in bridge.ports if port.number != HOST_PORT
    }
    return {bridge.node for bridge in lab.bridges} | {name for name in at_ports if name}
