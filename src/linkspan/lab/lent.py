"""What the bridges of a lab have lent, of the files in which dnsmasq keeps it."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from linkspan.model.names import with_macs
from linkspan.model.snapshot import LeaseSnapshot
from linkspan.model.state import ServiceKey
from linkspan.model.topology import Topology
from linkspan.plan.services import SERVER
from linkspan.services.leases import read_leases
from linkspan.services.programs import LEASES, folder_of


def lent(folder: Path, topology: Topology) -> list[LeaseSnapshot]:
    """The leases in a lab's folder, by bridge and address.

    Who asks may be on another bridge that is connected with the one that lends.
    """
    topology = with_macs(topology)
    owners = {(port.bridge, port.mac): node for node, _, port in topology.node_ports()}
    elsewhere = {port.mac: node for node, _, port in topology.node_ports()}
    found = []
    for name, bridge in topology.bridges.items():
        service = folder_of(folder, ServiceKey(SERVER, bridge.node, name))
        found += [
            LeaseSnapshot(
                bridge=name,
                address=lease.address,
                mac=lease.mac,
                name=lease.name,
                expires=lease.expires,
                node=owners.get((name, lease.mac), elsewhere.get(lease.mac)),
            )
            for lease in sorted(read_leases(service / LEASES), key=lambda each: each.order)
        ]
    return found


def with_prefix(topology: Topology, lease: LeaseSnapshot) -> str:
    """The address of a lease with the prefix length of its network."""
    address = ipaddress.ip_address(lease.address)
    for text in topology.bridges[lease.bridge].address:
        own = ipaddress.ip_interface(text)
        if address in own.network:
            return f"{address}/{own.network.prefixlen}"
    return f"{address}/{address.max_prefixlen}"
