"""Bare frames of an ethertype that no stack looks at, counted and dropped by tc where they arrive.

The counting is the same for every contender and costs next to nothing: a classic BPF filter of one
instruction at the far end's ingress, and counts.c, which reads its drop counters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from bench.stage import Endpoint, Stage, figures_of, finish

EXPERIMENTAL = 0x88B5  # IEEE 802 local experimental ethertype 1: no stack looks at it
TC_DROP = "1,6 0 0 2"  # classic BPF: one instruction, return TC_ACT_SHOT
GRACE = 30.0  # seconds beyond the counting until it counts as stuck


def hardware_address(stage: Stage, end: Endpoint) -> str:
    """The MAC of an endpoint's interface."""
    shown = stage.run(end.namespace, ["ip", "-json", "link", "show", "dev", end.interface])
    return str(json.loads(shown)[0]["address"])


def drop_at(stage: Stage, end: Endpoint) -> None:
    """Have tc drop what arrives there of the experimental ethertype."""
    device = f"dev {end.interface}"
    program = f"bpf da bytecode '{TC_DROP}'"
    lines = (
        f"qdisc add {device} clsact",
        f"filter add {device} ingress protocol {EXPERIMENTAL:#x} {program}",
    )
    stage.run(end.namespace, ["tc", "-batch", "-"], "\n".join(lines) + "\n")


def counted(stage: Stage, ends: Iterable[Endpoint], warm_up: float, seconds: float) -> float:
    """Thousands of frames a second that arrive at all these ends together.

    Raises TrialError when none arrives.
    """
    paths = "".join(f"{end.namespace.path}\n" for end in ends)
    command = [str(stage.tools / "counts"), str(warm_up), str(seconds)]
    told = finish(stage.start_reporting(command), warm_up + seconds + GRACE, paths)
    return figures_of(told)["rate"] / 1e3
