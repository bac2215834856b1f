"""By which interface of a node an address is reached, as far as a file says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_interface

import msgspec

from linkspan.model.topology import Topology


class Station(msgspec.Struct, frozen=True):
    """An interface of a node that is its stack's."""

    interface: str
    addresses: tuple[str, ...]
    mtu: int


def stations(topology: Topology, node: str) -> Iterator[Station]:
    """The interfaces of a node but those of WireGuard, which stand on others."""
    for name, bridge in topology.bridges.items():
        if bridge.node == node:
            yield Station(name, bridge.address, bridge.mtu)
    for place, interface, port in topology.node_ports():
        if place == node and port.bridge in topology.bridges:
            yield Station(interface, port.address, topology.mtu_of(port))
    for end, _, link in topology.wire_ends():
        if end.node == node:
            yield Station(end.interface, end.address, link.mtu)


def towards(topology: Topology, node: str, address: str, ways: Sequence[Station]) -> Station | None:
    """Of the interfaces of a node, that by which it reaches an address: the one with the longest
    prefix that holds it, or the one by which it reaches its gateway.
    """
    found = _neighbours(ways, address)
    if found is not None or node not in topology.nodes:
        return found
    version = ip_address(address).version
    for gateway in topology.nodes[node].gateway:
        if ip_address(gateway).version == version:
            return _neighbours(ways, gateway)
    return None


def _neighbours(ways: Sequence[Station], address: str) -> Station | None:
    wanted = ip_address(address)
    found = [
        (ip_interface(text).network.prefixlen, place, station)
        for place, station in enumerate(ways)
        for text in station.addresses
        if wanted in ip_interface(text).network
    ]
    return max(found)[2] if found else None
