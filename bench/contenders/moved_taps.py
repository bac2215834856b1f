"""Taps that a switch made in its own namespace become the endpoints' `eth0`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence

from bench.contenders.base import Wired
from bench.stage import COMMAND_LIMIT, Namespace, Stage, TrialError


def move_taps(
    stage: Stage,
    switch: Namespace,
    taps: Mapping[str, Namespace],
    process: subprocess.Popen[str],
) -> None:
    """Wait until the switch has made its taps, then move each into its namespace as `eth0`.

    Raises TrialError when the switch ends first, or takes more than 20 seconds.
    """
    deadline = time.monotonic() + COMMAND_LIMIT
    while not all(f" {tap}:" in stage.run(switch, ["ip", "-oneline", "link"]) for tap in taps):
        if process.poll() is not None or time.monotonic() > deadline:
            raise TrialError(f"{process.args!r} made no taps: {stage.complaints()}")
        time.sleep(0.02)
    for tap, namespace in taps.items():
        stage.ip(switch, f"link set {tap} netns {namespace.pid} name eth0")


def tap_pairs(
    stage: Stage,
    namespaces: Sequence[Namespace],
    places: Sequence[tuple[str, str]],
    pids: tuple[int, ...],
) -> tuple[Wired, ...]:
    """Address the moved taps, two by two."""
    return tuple(
        Wired(stage.endpoint(left, here), stage.endpoint(right, there), pids)
        for left, right, (here, there) in zip(
            namespaces[::2], namespaces[1::2], places, strict=True
        )
    )
