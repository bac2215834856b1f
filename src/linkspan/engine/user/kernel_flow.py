"""What the process's side of the in-kernel cache speaks of: flows, what they did, devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linkspan.bridge.reasons import Reason
from linkspan.bridge.verdict import Learn
from linkspan.types import PortNumber


@dataclass(slots=True)
class Flow:
    """One entry of the map, how much of its counters was collected, and how much noted."""

    key: bytes
    slot: int
    generation: int
    ingress: PortNumber
    egress: tuple[PortNumber, ...]
    reason: Reason
    learn: Learn | None
    frames: int = 0
    size: int = 0
    noted: int = -1


@dataclass(frozen=True, slots=True)
class Used:
    """What a flow did since the last collection, under the verdict of that time."""

    ingress: PortNumber
    egress: tuple[PortNumber, ...]
    reason: Reason
    learn: Learn | None
    frames: int
    size: int
    last_used: float
    """Seconds of the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Device:
    """The kernel device that is a port; frames to a veth go straight to its far end."""

    ifindex: int
    is_veth: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """How much of the maps' counters the ports' counters hold: frames and bytes by slot, with
    None for a slot that is empty now, and lost frames by port."""

    flows: Mapping[int, tuple[int, int] | None]
    lost: Mapping[PortNumber, int]


NOTHING_COUNTED: Final = Counted({}, {})
