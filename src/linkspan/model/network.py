"""What a file says of the way out of a bridge's network, and of a node's routes."""

from __future__ import annotations

import enum
from typing import Annotated, Final

from msgspec import Meta

from linkspan.model.base import LARGEST_U32, Value

FORWARDING_SETTINGS: Final = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
"""What makes a node a router, as a file has it under `sysctls`."""


class Forward(enum.Enum):
    """What becomes of packets between a bridge's network and others."""

    NONE = "none"
    NAT = "nat"
    ROUTED = "routed"


NetworkText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F.:]+/[0-9]{1,3}$",
        extra={"shape": "network"},
        examples=["192.168.50.0/24", "fd00:50::/64"],
    ),
]
NextHopText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F.:]+$",
        extra={"shape": "gateway"},
        examples=["192.168.57.1"],
    ),
]


class NodeRoute(Value, frozen=True, kw_only=True):
    """A static route of a node."""

    destination: Annotated[NetworkText, Meta(description="The network that it leads to.")]
    via: Annotated[NextHopText, Meta(description="Next hop, in one of the node's networks.")]
    metric: Annotated[
        Annotated[int, Meta(ge=1, le=LARGEST_U32)] | None,
        Meta(description="Of several routes to a network the one with the lowest metric counts."),
    ] = None
