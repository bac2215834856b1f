"""What there should be of links: each as the facts that it consists of."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from typing import TypeAlias

from msgspec.structs import asdict

from linkspan.model.kernel_options import options_of
from linkspan.model.link_facts import WireguardPeer
from linkspan.model.state import (
    AnyKey,
    AnyValue,
    Route,
    RouteKey,
    Veth,
    VethKey,
    Vxlan,
    VxlanKey,
    Wireguard,
    WireguardKey,
)
from linkspan.model.topology import Topology
from linkspan.model.wireguard_peers import mtu_of, networks, peers
from linkspan.plan.routing import DEFAULT_METRICS

Network: TypeAlias = IPv4Network | IPv6Network
Fact: TypeAlias = tuple[AnyKey, AnyValue]


def wireguards(topology: Topology) -> Iterator[Fact]:
    """WireGuard interfaces, their public keys being known, and routes to what is behind peers."""
    for _, link in topology.wireguards():
        found = sorted(peers(topology, link), key=lambda peer: peer.public_key)
        yield (
            WireguardKey(link.node, link.name),
            Wireguard(
                public_key=link.public_key or "",
                listen=link.listen or 0,
                mtu=mtu_of(topology, link),
                peers=tuple(
                    WireguardPeer(
                        public_key=peer.public_key,
                        allowed_ips=peer.allowed_ips,
                        endpoint=peer.endpoint,
                        keepalive=peer.keepalive,
                    )
                    for peer in found
                ),
            ),
        )
        own = [ip_interface(text).network for text in link.address]
        for network in sorted({text for peer in link.peers for text in networks(peer)}):
            wanted = ip_network(network)
            if not any(_is_within(wanted, each) for each in own):
                version = wanted.version
                key = RouteKey(link.node, network, DEFAULT_METRICS[version])
                yield key, Route(interface=link.name, scope="link" if version == 4 else "global")


def _is_within(network: Network, other: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and network.subnet_of(other)
    return isinstance(other, IPv6Network) and network.subnet_of(other)


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
                **asdict(link.shape),
            ),
        )
    yield from wireguards(topology)
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
