"""What many ports and many flows cost: figures that are shown, without a target.

One switch with a hundred pairs. All frames come from one process (frames.c), so what is compared
is how the path scales, not how many senders two cores can run. The ten thousand flows are every
left end to every right one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bench.contenders.base import Wired
from bench.counted import counted, drop_at, hardware_address
from bench.figures import Measure
from bench.measure import Durations
from bench.stage import Stage, finish

PAIRS: Final = 100
PAIRS_AT_ONCE: Final = {Measure.ONE_PAIR: 1, Measure.TEN_PAIRS: 10, Measure.HUNDRED_PAIRS: PAIRS}
WARM_UP: Final = 0.5  # seconds in which a switch may decide about what is new to it
FIRST_OF_MANY: Final = 2.0  # the same for ten thousand flows
GRACE: Final = 30.0  # seconds that a program may take before it counts as stuck
BROADCAST: Final = "ff:ff:ff:ff:ff:ff"

Flow = tuple[str, str, str]
"""Where a frame leaves (path of a network namespace), its source, its destination."""


def listed(flows: Iterable[Flow]) -> str:
    """The list that frames.c reads."""
    return "".join(f"{' '.join(flow)}\n" for flow in flows)


def flooded(
    stage: Stage, wired: Sequence[Wired], flows: Iterable[Flow], warm_up: float, seconds: float
) -> float:
    """Thousands of frames a second that arrive while one process sends all these flows."""
    sender = stage.start([str(stage.tools / "frames"), "flood"])
    assert sender.stdin is not None
    sender.stdin.write(listed(flows))
    sender.stdin.close()
    rate = counted(stage, (pair.right for pair in wired), warm_up, seconds)
    stage.end(sender)
    return rate


def measure_crowd(
    stage: Stage, wired: Sequence[Wired], durations: Durations
) -> Mapping[Measure, float]:
    """Every measure that needs many pairs or many flows, once."""
    found = {}
    for pair in wired:
        drop_at(stage, pair.right)
    left = [(pair.left.namespace.path, hardware_address(stage, pair.left)) for pair in wired]
    right = [(pair.right.namespace.path, hardware_address(stage, pair.right)) for pair in wired]
    announced = listed((*end, BROADCAST) for end in (*left, *right))
    announce = stage.start_reporting([str(stage.tools / "frames"), "announce"])
    finish(announce, GRACE, announced)
    paired = [(*here, there[1]) for here, there in zip(left, right, strict=True)]
    for measure, pairs in PAIRS_AT_ONCE.items():
        flows = paired[:pairs]
        found[measure] = flooded(stage, wired[:pairs], flows, WARM_UP, durations.forwarding)
    every = [(*here, there[1]) for here in left for there in right]
    found[Measure.MANY_FLOWS] = flooded(stage, wired, every, FIRST_OF_MANY, durations.forwarding)
    return found
