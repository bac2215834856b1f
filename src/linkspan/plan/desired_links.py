"""What there should be of links: each as the facts that it consists of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from linkspan.model.state import AnyKey, AnyValue, Veth, VethKey
from linkspan.model.topology import Topology

Fact: TypeAlias = tuple[AnyKey, AnyValue]


def links(topology: Topology) -> Iterator[Fact]:
    """The links of a topology whose MACs are all worked out."""
    for end, far, link in topology.wire_ends():
        yield (
            VethKey(end.node, end.interface),
            Veth(
                peer_node=far.node,
                peer_interface=far.interface,
                mac=str(end.mac),
                mtu=link.mtu,
            ),
        )
