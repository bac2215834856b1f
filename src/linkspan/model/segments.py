"""Which bridges are one network: a bridge, and those that VXLAN tunnels join with it.

Two tunnels are the ends of one when they have the same segment number and UDP port, and one leads
to an address of the other's node, or both hear the same group.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_interface

from linkspan.model.topology import Topology
from linkspan.model.vxlan import VxlanLink
from linkspan.model.wireguard_peers import all_stations


def segment(topology: Topology, bridge: str) -> tuple[str, ...]:
    """A bridge and all that are joined with it, the bridge itself first."""
    tunnels = [link for _, link in topology.tunnels() if link.bridge in topology.bridges]
    found = [bridge]
    for each in found:
        for link in tunnels:
            if link.bridge == each:
                found += [
                    other.bridge
                    for other in tunnels
                    if other.bridge not in found and _are_ends(topology, link, other)
                ]
    return tuple(dict.fromkeys(found))


def network_names(topology: Topology) -> dict[str, str]:
    """For each bridge with tunnels: the bridge after which its network is called."""
    stretched = {link.bridge for _, link in topology.tunnels() if link.bridge in topology.bridges}
    order = list(topology.bridges)
    return {name: min(segment(topology, name), key=order.index) for name in stretched}


def lender(topology: Topology, joined: Sequence[str]) -> str:
    """Of joined bridges the one that gives addresses away; the first where none does."""
    return next((each for each in joined if topology.bridges[each].dhcp is not None), joined[0])


def _are_ends(topology: Topology, one: VxlanLink, other: VxlanLink) -> bool:
    if (one.vni, one.port) != (other.vni, other.port):
        return False
    if one.group is not None:
        return one.group == other.group
    return _leads_to(topology, one, other) or _leads_to(topology, other, one)


def _leads_to(topology: Topology, one: VxlanLink, other: VxlanLink) -> bool:
    node = topology.bridges[other.bridge].node
    own = {
        str(ip_interface(text).ip)
        for station in all_stations(topology, node)
        for text in station.addresses
    }
    return not own.isdisjoint(one.remote)
