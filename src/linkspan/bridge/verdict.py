"""What is decided about one frame: plain values that can be kept, compared and printed."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from linkspan.bridge.reasons import Reason
from linkspan.types import NO_MAC, NO_VLAN, Mac, PortNumber, Vlan


class Learn(NamedTuple):
    """An address that lives behind the ingress port: to be learned, moved or refreshed.

    It equals the plain (VLAN, MAC) that the FDB is keyed by.
    """

    vlan: Vlan
    mac: Mac


class Verdict(msgspec.Struct, frozen=True):
    """The fate of one frame. `commit` turns what it teaches into state; nothing else does."""

    reason: Reason
    ingress: PortNumber
    egress: tuple[PortNumber, ...] = ()
    """Where the frame goes; HOST_PORT, always last, is the host's stack."""
    learn: Learn | None = None
    source: Mac = NO_MAC
    """Source address of the frame, where the decision came far enough to read it."""
    report: Reason | None = None
    """Something to tell people although the frame goes on."""
    withheld: tuple[tuple[PortNumber, Reason], ...] = ()
    """Ports that were considered and refused. A flood does not consider its ingress port."""
    vlan: Vlan = NO_VLAN
    cacheable: bool = False
    """Whether the next frame with the same ingress port, addresses, tag and type, not longer
    than its egress ports take, has the same verdict while `Bridge.generation` stands."""
