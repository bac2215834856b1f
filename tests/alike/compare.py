"""Two wires with the same steps: where they begin to differ, and which steps it takes to see it."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.alike.wire import Deliveries, FdbLines, Refused, Send, Step, Wire

FDB_EVERY: Final = 16
"""Frames between two comparisons of the FDBs; after an operation they are always compared."""

SHRINKING_SECONDS: Final = 30.0

_BYTES: Final = re.compile(r"b'(?:[^'\\]|\\.)*'|b\"(?:[^\"\\]|\\.)*\"")
_SHORT = 6

Maker: TypeAlias = Callable[[], Wire]


@dataclass(frozen=True)
class Difference:
    """The first step after which two wires are not alike."""

    position: int
    step: Step
    what: str
    left: object
    right: object


def first_difference(
    left: Wire, right: Wire, steps: Sequence[Step], fdb_every: int = FDB_EVERY
) -> Difference | None:
    """Take steps with both until they differ."""
    since = 0
    for position, step in enumerate(steps):
        outcomes = _outcome(left, step), _outcome(right, step)
        if outcomes[0] != outcomes[1]:
            return Difference(position, step, "what was delivered", *outcomes)
        since += 1
        if isinstance(step, Send) and since < fdb_every and position < len(steps) - 1:
            continue
        since = 0
        tables = left.fdb(), right.fdb()
        if tables[0] != tables[1]:
            return Difference(position, step, "the FDB", *_distinct(*tables))
    return None


def _outcome(wire: Wire, step: Step) -> Deliveries | str:
    """What a step led to; the order among the ports is nobody's business."""
    try:
        return wire.take(step)
    except Refused:
        return "refused"


def _distinct(left: FdbLines, right: FdbLines) -> tuple[FdbLines, FdbLines]:
    macs = [mac for mac in {**left, **right} if left.get(mac) != right.get(mac)]
    return (
        {mac: left[mac] for mac in macs if mac in left},
        {mac: right[mac] for mac in macs if mac in right},
    )


def shrink(make_left: Maker, make_right: Maker, steps: Sequence[Step]) -> list[Step]:
    """Fewer steps that show a difference too: parts are left out, halves first, then less."""
    kept = list(steps)
    part = max(len(kept) // 2, 1)
    deadline = time.monotonic() + SHRINKING_SECONDS
    while time.monotonic() < deadline:
        position, left_out = 0, False
        while position < len(kept) and time.monotonic() < deadline:
            fewer = kept[:position] + kept[position + part :]
            found = _try(make_left, make_right, fewer)
            if found is None:
                position += part
            else:
                kept, left_out = fewer[: found.position + 1], True
        if part == 1 and not left_out:
            break
        part = max(part // 2, 1)
    return kept


def _try(make_left: Maker, make_right: Maker, steps: Sequence[Step]) -> Difference | None:
    with closing(make_left()) as left, closing(make_right()) as right:
        return first_difference(left, right, steps, fdb_every=1)


def explain(make_left: Maker, make_right: Maker, steps: Sequence[Step], seed: int) -> str:
    """A text about the difference that these steps show, with the fewest that do."""
    fewest = shrink(make_left, make_right, steps)
    found = _try(make_left, make_right, fewest)
    lines = [f"seed {seed}: not alike; the fewest steps found that show it:"]
    lines += [f"    {readable(step)}" for step in fewest]
    if found is None:
        return "\n".join([*lines, "(taken once more, they show nothing: it hangs on time)"])
    return "\n".join(
        [
            *lines,
            f"differs in {found.what}:",
            f"    left  {readable(found.left)}",
            f"    right {readable(found.right)}",
        ]
    )


def readable(value: object) -> str:
    """A value as text, its bytes in hexadecimal and without the zeros at their end."""
    return _BYTES.sub(_in_hexadecimal, str(value))


def _in_hexadecimal(match: re.Match[str]) -> str:
    data: bytes = ast.literal_eval(match[0])
    kept = data if len(data) <= _SHORT else data.rstrip(b"\0")
    zeros = f" + {len(data) - len(kept)} zeros" if len(kept) < len(data) else ""
    return f"<{kept.hex()}{zeros}>"
