"""Who can reach whom.

Small labs get a matrix, row = source, column = destination; one that is wider than the terminal
is cut into blocks of columns. A pair may have been probed at an IPv4 and an IPv6 address: its
cell shows the IPv4 time while both agree, and says which family failed when they do not, or that
only some addresses answered. A pair counts as reaching only when every address did.

Large labs get the sentence that sums it up and the failures alone. One node without power fails
in twice as many pairs as there are other nodes, so failures that share their destination or
their source are told as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, TypeAlias

from linkspan.model.snapshot import Reach
from linkspan.view.table import (
    GAP,
    NOTHING,
    Cell,
    Quantity,
    milliseconds,
    plural,
    printable,
    table,
)

REACHED: Final = "reached"
PARTLY: Final = "partly"
"""Of several addresses of a family, some were reached, or did not answer each in the same way."""

LARGEST_MATRIX: Final = 15
"""Nodes up to which a matrix is easier to read than a list of failures."""

_WORDS: Final = {
    "reached": "ok",
    "no-reply": "no reply",
    "no-route": "no route",
    "no-address": "no address",
    "error": "error",
}

Pair: TypeAlias = tuple[str, str]


def ping_matrix(results: Sequence[Reach], columns: int = 100) -> str:
    """Lay out the answers of all probes; `columns` is the width of the terminal."""
    pairs: dict[Pair, list[Reach]] = {}
    for reach in results:
        pairs.setdefault((reach.source, reach.destination), []).append(reach)
    if not pairs:
        return "There is no pair of nodes to probe."
    sources = list(dict.fromkeys(source for source, _ in pairs))
    destinations = list(dict.fromkeys(destination for _, destination in pairs))
    # Row n and column n are the same node wherever that is possible, so that `-` is the diagonal.
    known = set(destinations)
    from_sources = [name for name in sources if name in known]
    destinations = from_sources + [name for name in destinations if name not in set(from_sources)]
    if len(dict.fromkeys(sources + destinations)) > LARGEST_MATRIX:
        return "\n".join([_summary(pairs), *_condensed_failures(pairs)])
    return "\n".join(
        [_matrix(pairs, sources, destinations, columns), "", _summary(pairs), *_failures(pairs)]
    )


def _matrix(
    pairs: Mapping[Pair, Sequence[Reach]],
    sources: Sequence[str],
    destinations: Sequence[str],
    columns: int,
) -> str:
    cells = {
        destination: [
            _cell(pairs.get((source, destination), ()), source == destination) for source in sources
        ]
        for destination in destinations
    }
    corner = "from \\ to"
    room = columns - max(len(corner), *map(len, sources))
    blocks: list[list[str]] = [[]]
    left = room
    for destination, column in cells.items():
        width = len(GAP) + max(len(destination), *map(len, column))
        if blocks[-1] and width > left:
            blocks.append([])
            left = room
        blocks[-1].append(destination)
        left -= width
    return "\n\n".join(
        table(
            [corner, *map(printable, block)],
            [
                [source, *(cells[destination][row] for destination in block)]
                for row, source in enumerate(sources)
            ],
        )
        for block in blocks
    )


def _cell(reaches: Sequence[Reach], same_node: bool) -> Quantity:
    if not reaches:
        return Quantity(NOTHING if same_node else "")
    first = min(reaches, key=lambda reach: _family(reach) != "v4")
    if all(reach.result == first.result for reach in reaches):
        if first.result == REACHED and first.milliseconds is not None:
            return milliseconds(first.milliseconds)
        return Quantity(_words(first))
    families = {
        family: {_words(reach) for reach in reaches if _family(reach) == family}
        for family in sorted(set(map(_family, reaches)))
    }
    words = {
        family: found.pop() if len(found) == 1 else PARTLY for family, found in families.items()
    }
    if len(set(words.values())) == 1:
        return Quantity(PARTLY)
    return Quantity(", ".join(f"{family} {word}".strip() for family, word in words.items()))


def _summary(pairs: Mapping[Pair, Sequence[Reach]]) -> str:
    apart = {pair: reaches for pair, reaches in pairs.items() if pair[0] != pair[1]} or pairs
    good = sum(_all_reached(reaches) for reaches in apart.values())
    line = f"{good:,} of {plural(len(apart), 'pair')} reach each other"
    times = [
        reach.milliseconds
        for reaches in apart.values()
        for reach in reaches
        if reach.milliseconds is not None
    ]
    if not times:
        return f"{line}."
    if len(times) == 1:
        return f"{line}; round trip {milliseconds(times[0])}."
    spread = f"{milliseconds(min(times))} to {milliseconds(max(times))}"
    return f"{line}; round trip {spread}, median {milliseconds(median(times))}."


def _failures(pairs: Mapping[Pair, Sequence[Reach]]) -> list[str]:
    rows: list[list[Cell]] = [
        [
            f"  {reach.source} -> {reach.destination}",
            reach.address or NOTHING,
            _words(reach) + (f": {reach.detail}" if reach.detail else ""),
        ]
        for reaches in pairs.values()
        for reach in reaches
        if reach.result != REACHED
    ]
    # The headings would only repeat what the line says; a failure reads as a sentence.
    return table(["", "", ""], rows).splitlines()[1:]


def _condensed_failures(pairs: Mapping[Pair, Sequence[Reach]]) -> list[str]:
    told: set[Pair] = set()
    lines: list[str] = []
    for end, template in (
        (1, "{name}: none of {others} reaches it"),
        (0, "{name}: reaches none of {others}"),
    ):
        by_node: dict[str, list[Pair]] = {}
        for pair in pairs:
            by_node.setdefault(pair[end], []).append(pair)
        for name, touching in by_node.items():
            failed = [reach for pair in touching for reach in pairs[pair]]
            if len(touching) < 2 or any(reach.result == REACHED for reach in failed):
                continue
            if told.issuperset(touching):
                continue
            told.update(touching)
            words = ", ".join(dict.fromkeys(map(_words, failed)))
            others = plural(len(touching), "other")
            lines.append(printable(f"  {template.format(name=name, others=others)} ({words})"))
    rest = {pair: reaches for pair, reaches in pairs.items() if pair not in told}
    return lines + _failures(rest)


def _all_reached(reaches: Sequence[Reach]) -> bool:
    return all(reach.result == REACHED for reach in reaches)


def _family(reach: Reach) -> str:
    if not reach.address:
        return ""
    return "v6" if ":" in reach.address else "v4"


def _words(reach: Reach) -> str:
    return _WORDS.get(reach.result, reach.result)
