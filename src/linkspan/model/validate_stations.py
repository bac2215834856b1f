"""Checks of fixed leases of those who are no nodes: addresses and MACs that nobody else has."""

from __future__ import annotations

from collections.abc import Iterator

from linkspan.model.flaw import Flaw, brief, label, names_of
from linkspan.model.offers import fixed_addresses, ipv4_networks
from linkspan.model.position import Path
from linkspan.model.topology import Topology
from linkspan.model.validate_dhcp import is_host_in


def stations(topology: Topology) -> Iterator[Flaw]:
    """Each station has a name, a MAC and an address of its own, in the bridge's network."""
    for name, bridge in topology.bridges.items():
        if bridge.dhcp is None:
            continue
        networks = [each.network for each in ipv4_networks(bridge)]
        owners = {str(each.ip): node for on, node, each in fixed_addresses(topology) if on == name}
        owners |= {
            address: node for node, leases in bridge.dhcp.hosts.items() for address in leases
        }
        cards = {
            port.mac: node
            for node, _, port in topology.node_ports()
            if port.bridge == name and port.mac is not None
        }
        for station, lease in bridge.dhcp.stations.items():
            path: Path = ("bridges", name, "dhcp", "stations", station)
            what = f"{label(path[:2])}: the station {brief(station)}"
            if station in topology.nodes:
                yield Flaw(
                    path,
                    f"{what} is called like a node of the file",
                    expected="a name of its own",
                    next_step="rename it, or give the node its lease under `hosts`",
                    at_key=True,
                    needs=(("nodes", station),),
                )
            if networks and not is_host_in(lease.address, networks):
                yield Flaw(
                    (*path, "address"),
                    f"{what}, {lease.address}, is in none of the bridge's networks",
                    expected=names_of("an address in", map(str, networks)),
                    next_step="correct the address",
                    needs=(("bridges", name, "address"),),
                )
            for field, taken, value in (
                ("address", owners, lease.address),
                ("mac", cards, lease.mac),
            ):
                if taken.setdefault(value, station) != station:
                    yield Flaw(
                        (*path, field),
                        f"{what} has the {'MAC' if field == 'mac' else field} {value}, as"
                        f" {brief(taken[value])} has",
                        expected="one of its own",
                        next_step="change one of the two",
                    )
