"""What there should be of links: each as the facts that it consists of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from linkspan.model.kernel_options import options_of
from linkspan.model.state import AnyKey, AnyValue, Veth, VethKey, Vxlan, VxlanKey
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
    for _, tunnel in topology.tunnels():
        bridge = topology.bridges[tunnel.bridge]
        yield (
            VxlanKey(tunnel.bridge, tunnel.port_name),
            Vxlan(
                node=bridge.node,
                engine=bridge.engine.value,
                vni=tunnel.vni,
                remotes=tuple(sorted(tunnel.remote)),
                group=tunnel.group,
                interface=tunnel.interface,
                local=tunnel.local,
                port=tunnel.port,
                learn_remotes=tunnel.learn_remotes,
                mtu=bridge.mtu,
                options=options_of(tunnel),
            ),
        )
