"""The services of a lab's bridges as they are: what is declared, what is lent, what runs."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from linkspan.lab.find import Place
from linkspan.model.bridge import Bridge
from linkspan.model.dhcp import Dhcp, Dns, size, without
from linkspan.model.network_snapshot import (
    DhcpSnapshot,
    DnsSnapshot,
    NetworkSnapshot,
    PublishedSnapshot,
)
from linkspan.model.offers import addresses_on, dynamic, ipv6_offers, pool
from linkspan.model.program_facts import ServiceKey
from linkspan.model.topology import Topology
from linkspan.plan.forwarding import port_forwards
from linkspan.plan.name_servers import asked
from linkspan.plan.services import SERVER
from linkspan.services.leases import Lease, read_leases
from linkspan.services.programs import LEASES, folder_of
from linkspan.services.running import service_name


def read_networks(
    place: Place, topology: Topology, services: Mapping[str, Any]
) -> dict[str, NetworkSnapshot]:
    """The networks that have services, by bridge; `services` is what init says of them."""
    found = {}
    for name, bridge in topology.bridges.items():
        if bridge.forward is None and bridge.dhcp is None and bridge.dns is None:
            continue
        key = ServiceKey(SERVER, bridge.node, name)
        status = services.get(service_name(key))
        leases = read_leases(folder_of(place.folder, key) / LEASES)
        found[name] = NetworkSnapshot(
            forward=_forward(bridge),
            published=list(_published(topology, name)),
            dhcp=_dhcp(topology, name, bridge, bridge.dhcp, leases) if bridge.dhcp else None,
            dns=_dns(topology, name, bridge, bridge.dns) if bridge.dns else None,
            server=status["starts"] - 1 if status and status["pid"] else None,
        )
    return found


def _forward(bridge: Bridge) -> str | None:
    if bridge.forward is None:
        return None
    ipv6 = bridge.forward_of(6) or bridge.forward
    differs = f", IPv6 {ipv6.value}" if ipv6 is not bridge.forward else ""
    return f"{bridge.forward.value}{differs}"


def _published(topology: Topology, name: str) -> list[PublishedSnapshot]:
    owners = {str(each.ip): node for node, each in addresses_on(topology, name)}
    dhcp = topology.bridges[name].dhcp
    for node, leases in dhcp.hosts.items() if dhcp else ():
        owners |= dict.fromkeys(leases, node)
    return [
        PublishedSnapshot(
            protocol=each.protocol,
            listen=each.listen,
            first=each.first,
            last=each.last,
            target=each.target,
            to=each.to,
            node=owners.get(each.target),
        )
        for each in port_forwards(topology, name)
    ]


def _dhcp(
    topology: Topology, name: str, bridge: Bridge, dhcp: Dhcp, leases: list[Lease]
) -> DhcpSnapshot:
    taken = [IPv4Address(lease.address) for lease in leases if ":" not in lease.address]
    offers = [*dynamic(topology, name), *ipv6_offers(topology, name)]
    return DhcpSnapshot(
        ranges=[f"{first}-{last}" for first, last in offers],
        fixed={node: list(fixed) for node, fixed in dhcp.hosts.items()}
        | {station: [each.address] for station, each in dhcp.stations.items()},
        lent=len(leases),
        free=size(without(pool(topology, name), taken)) if dhcp.ipv4_ranges else None,
        lease_time=dhcp.lease_time,
        gateway=dhcp.gateway,
        mtu=dhcp.mtu or bridge.mtu,
    )


def _dns(topology: Topology, name: str, bridge: Bridge, dns: Dns) -> DnsSnapshot:
    return DnsSnapshot(
        addresses=[text.partition("/")[0] for text in bridge.address],
        domain=dns.domain,
        upstream=list(dns.upstream),
        asks=list(asked(topology, name)),
    )
