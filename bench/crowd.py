"""What many ports and many flows cost: figures that are shown, without a target.

One switch with a hundred pairs. All frames come from one process (frames.c), so what is compared
is how the path scales, not how many senders two cores can run. The ten thousand flows are every
left end to every right one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from bench.contenders.base import Wired
from bench.counted import counted, drop_at, hardware_address
from bench.figures import Measure
from bench.measure import Durations
from bench.stage import Stage, finish

PAIRS: Final = 100
PAIRS_AT_ONCE: Final = {Measure.ONE_PAIR: 1, Measure.TEN_PAIRS: 10, Measure.HUNDRED_PAIRS: PAIRS}
WARM_UP: Final = 0.5  # seconds in which a switch may decide about what is new to it
NEW_FOR: Final = 2.0  # seconds that ten thousand flows have been there when they count as new
GRACE: Final = 30.0  # seconds that a program may take before it counts as stuck
BROADCAST: Final = "ff:ff:ff:ff:ff:ff"

Flow = tuple[str, str, str]
"""Where a frame leaves (path of a network namespace), its source, its destination."""


def listed(flows: Iterable[Flow]) -> str:
    """The list that frames.c reads."""
    return "".join(f"{' '.join(flow)}\n" for flow in flows)


@contextmanager
def flood(stage: Stage, flows: Iterable[Flow]) -> Iterator[None]:
    """One process sends all these flows for a while."""
    sender = stage.start([str(stage.tools / "frames"), "flood"])
    assert sender.stdin is not None
    sender.stdin.write(listed(flows))
    sender.stdin.close()
    yield
    stage.end(sender)


def measure_crowd(
    stage: Stage, wired: Sequence[Wired], durations: Durations
) -> Mapping[Measure, float]:
    """Every measure that needs many pairs or many flows, once."""
    found = {}
    ends = [pair.right for pair in wired]
    for end in ends:
        drop_at(stage, end)
    left = [(pair.left.namespace.path, hardware_address(stage, pair.left)) for pair in wired]
    right = [(pair.right.namespace.path, hardware_address(stage, pair.right)) for pair in wired]
    announced = listed((*end, BROADCAST) for end in (*left, *right))
    announce = stage.start_reporting([str(stage.tools / "frames"), "announce"])
    finish(announce, GRACE, announced)
    paired = [(*here, there[1]) for here, there in zip(left, right, strict=True)]
    for measure, pairs in PAIRS_AT_ONCE.items():
        with flood(stage, paired[:pairs]):
            found[measure] = counted(stage, ends[:pairs], WARM_UP, durations.forwarding)
    every = [(*here, there[1]) for here in left for there in right]
    with flood(stage, every):
        begin = time.monotonic()
        for measure, after in (
            (Measure.NEW_FLOWS, NEW_FOR),
            (Measure.MANY_FLOWS, durations.established),
        ):
            wait = max(0.0, begin + after - time.monotonic())
            found[measure] = counted(stage, ends, wait, durations.forwarding)
    return found
