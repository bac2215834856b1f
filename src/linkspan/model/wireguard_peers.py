"""Peers of WireGuard interfaces, with what the file says of them elsewhere filled in."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface
from typing import Final

import msgspec

from linkspan.model.topology import Topology
from linkspan.model.underlay import Station, stations, towards
from linkspan.model.wireguard import WireguardLink, WireguardPeer
from linkspan.model.wireguard_shapes import format_endpoint, split_endpoint

OVERHEAD_BYTES: Final = {4: 60, 6: 80}
"""How much longer a packet of the underlay is, by its IP version: IP, UDP, WireGuard's 32."""

USUAL_MTU: Final = 1420
ROOM_BYTES: Final = 80
"""What is left free where no MTU is given, whatever the underlay is (wg-quick(8))."""


class Peer(msgspec.Struct, frozen=True):
    """A peer as its interface is told of it."""

    number: int
    """Place in the list of its interface's peers."""
    public_key: str
    allowed_ips: tuple[str, ...]
    endpoint: str | None
    keepalive: int


def find(topology: Topology, reference: str) -> WireguardLink | None:
    """The WireGuard interface that `NODE` or `NODE:NAME` names; of several on a node, the first."""
    node, _, name = reference.partition(":")
    return next(
        (
            link
            for _, link in topology.wireguards()
            if link.node == node and (not name or link.name == name)
        ),
        None,
    )


def peers(topology: Topology, link: WireguardLink) -> Iterator[Peer]:
    """The peers of an interface; those that name nobody are left out."""
    for number, peer in enumerate(link.peers):
        other = find(topology, peer.peer) if peer.peer else None
        if peer.peer and other is None:
            continue
        own = [_alone(text) for text in other.address] if other else []
        allowed = tuple(sorted({*own, *peer.allowed_ips}))
        public_key = (other.public_key if other else peer.public_key) or ""
        endpoint = peer.endpoint or (endpoint_of(topology, link, other) if other else None)
        yield Peer(number, public_key, allowed, endpoint, peer.keepalive or 0)


def _alone(address: str) -> str:
    found = ip_interface(address)
    return f"{found.ip}/{found.max_prefixlen}"


def endpoint_of(topology: Topology, link: WireguardLink, other: WireguardLink) -> str | None:
    """Where another interface is reached: it listens, and has an address in a network of ours."""
    if other.listen is None:
        return None
    ways = list(stations(topology, link.node))
    for station in stations(topology, other.node):
        for text in station.addresses:
            address = str(ip_interface(text).ip)
            if towards(topology, link.node, address, ways) is not None:
                return format_endpoint(address, other.listen)
    return None


def underlays(topology: Topology, link: WireguardLink) -> Iterator[tuple[Peer, Station, int]]:
    """By which interface each peer with an endpoint is reached, as far as the file says, and the IP
    version there.
    """
    ways = list(stations(topology, link.node))
    for peer in peers(topology, link):
        if peer.endpoint is not None:
            address, _ = split_endpoint(peer.endpoint)
            way = towards(topology, link.node, address, ways)
            if way is not None:
                yield peer, way, ip_address(address).version


def mtu_of(topology: Topology, link: WireguardLink) -> int:
    """The MTU of an interface: its own, or the smallest of its underlays' less 80 bytes."""
    if link.mtu is not None:
        return link.mtu
    found = [way.mtu - ROOM_BYTES for _, way, _ in underlays(topology, link)]
    return min(found, default=USUAL_MTU)


def all_stations(topology: Topology, node: str) -> list[Station]:
    """The interfaces of a node, those of WireGuard among them."""
    return [
        *stations(topology, node),
        *(
            Station(link.name, link.address, mtu_of(topology, link))
            for _, link in topology.wireguards()
            if link.node == node
        ),
    ]


def networks(peer: WireguardPeer) -> tuple[str, ...]:
    """Networks behind a peer that get a route: all but those that are everything."""
    return tuple(text for text in peer.allowed_ips if not text.endswith("/0"))
