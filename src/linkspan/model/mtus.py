"""Which MTU a bridge has that is stretched over several hosts, where the file does not say it.

A frame that goes through a VXLAN tunnel is a packet of the underlay that is 50 bytes longer (IPv4),
or 70 (IPv6). A bridge has one MTU for all of its ports, so that of a bridge with tunnels is the
largest that fits all of them: that of the interface by which the far host is reached, less those
bytes. Such an interface may be a WireGuard tunnel, whose own MTU is worked out in turn, or another
stretched bridge, so it is asked again until nothing changes. Where the file does not say which
interface it is, as for a network card of the machine, it is taken for one of Ethernet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from ipaddress import ip_address
from typing import Final

from msgspec.structs import replace

from linkspan.model.topology import Topology
from linkspan.model.underlay import Station, towards
from linkspan.model.vxlan import VxlanLink
from linkspan.model.wireguard_peers import all_stations
from linkspan.wire.vxlan import OVERHEAD_BYTES

USUAL_MTU: Final = 1500
"""Bytes: Ethernet's (RFC 894)."""

SMALLEST_MTU: Final = 68
"""Bytes: the smallest that IPv4 knows (RFC 791, 3.2)."""


def underlays(topology: Topology, link: VxlanLink) -> Iterator[tuple[Station | None, int]]:
    """For each far end of a tunnel: the interface by which it is reached, None where the file does
    not say which that is, and the bytes by which a packet there is longer.
    """
    own = all_stations(topology, topology.bridges[link.bridge].node)
    for remote in link.everyone:
        if link.interface is not None:
            way = next((each for each in own if each.interface == link.interface), None)
        else:
            way = towards(topology, topology.bridges[link.bridge].node, remote, own)
        yield way, OVERHEAD_BYTES[ip_address(remote).version]


def with_mtus(topology: Topology, said: Collection[str]) -> Topology:
    """The topology with bridges as their tunnels let them be; those `said` are left as they are."""
    stretched = {link.bridge for _, link in topology.tunnels() if link.bridge in topology.bridges}
    for _ in topology.bridges:
        found = {name: _fitting(topology, name) for name in stretched.difference(said)}
        bridges = {
            name: replace(bridge, mtu=found.get(name, bridge.mtu))
            for name, bridge in topology.bridges.items()
        }
        if bridges == topology.bridges:
            break
        topology = replace(topology, bridges=bridges)
    return topology


def _fitting(topology: Topology, name: str) -> int:
    rooms = [
        (way.mtu if way else USUAL_MTU) - longer
        for _, link in topology.tunnels()
        if link.bridge == name
        for way, longer in underlays(topology, link)
    ]
    return max(SMALLEST_MTU, min([USUAL_MTU, *rooms]))
