"""The configuration of a bridge's dnsmasq: a text, made of the topology alone.

Names. A node has its name for each of its fixed addresses, wherever in the lab they are, and for
what it got by DHCP on this bridge, or on one whose name server is asked (`plan.name_servers`).
Names given by DHCP go by the MAC (`dhcp-host`), so that nobody gets another node's name by asking
for it.

Addresses. The ranges of the file, less every address that the file gives to somebody, since
dnsmasq is told not to probe (`no-ping`): that takes three seconds for each address. A node
with a fixed lease gets that and nothing else.

IPv6. The network is advertised for stateless configuration (RFC 4862), with a range or a block of
addresses given out by DHCPv6 beside it. With `gateway: none`, and in a network that leads nowhere
(`forward: none`), the bridge says that it is no default router.

Where files are (leases, configuration) and who dnsmasq runs as is said on its command line.
Source: dnsmasq(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final

from linkspan.model.dhcp import NONE, Dhcp, Dns
from linkspan.model.network import Forward
from linkspan.model.offers import (
    dynamic,
    fixed_addresses,
    holders,
    ipv4_networks,
    ipv6_offers,
)
from linkspan.model.topology import Bridge, Scope, Topology
from linkspan.plan.name_servers import forwards, heard_at

USUAL_MTU: Final = 1500
"""Bytes: what every stack takes when nobody says another (RFC 894)."""

ROUTER_INTERVAL: Final = 600
ROUTER_LIFETIME: Final = 1800
"""Seconds: MaxRtrAdvInterval and AdvDefaultLifetime (RFC 4861, 6.2.1)."""


def dnsmasq(topology: Topology, name: str) -> str:
    """The configuration for a bridge with `dhcp` or `dns`; every MAC is known."""
    bridge = topology.bridges[name]
    lines = [f"interface={name}", "bind-dynamic", "except-interface=lo", "no-hosts", "no-ping"]
    lines += _dns(topology, name, bridge.dns) if bridge.dns else ["port=0", "no-resolv"]
    if bridge.dhcp:
        lines += _dhcp(topology, name, bridge, bridge.dhcp)
    return "\n".join(lines) + "\n"


def _dns(topology: Topology, name: str, dns: Dns) -> Iterator[str]:
    yield f"domain={dns.domain}"
    yield f"local=/{dns.domain}/"
    yield from ("domain-needed", "bogus-priv", "localise-queries")
    if dns.upstream or topology.scope is Scope.SANDBOX:
        yield "no-resolv"
    yield from (f"server={address}" for address in dns.upstream)
    yield from (f"listen-address={address}" for address in heard_at(topology, name))
    yield from forwards(topology, name)
    for _, node, address in fixed_addresses(topology):
        yield f"host-record={node}.{dns.domain},{node},{address.ip}"


def _dhcp(topology: Topology, name: str, bridge: Bridge, dhcp: Dhcp) -> Iterator[str]:
    yield "dhcp-authoritative"
    spans = dynamic(topology, name)
    for own in ipv4_networks(bridge):
        network = own.network
        ranges = [f"{first},{last}" for first, last in spans if first in network]
        if not ranges and any(IPv4Address(text) in network for text in dhcp.leases):
            ranges = [f"{network.network_address},static"]
        yield from (f"dhcp-range={text},{network.netmask},{dhcp.lease_time}" for text in ranges)
    offers = list(ipv6_offers(topology, name))
    for begin, end in offers:
        yield f"dhcp-range={begin},{end},slaac,64,{dhcp.lease_time}"
    for node, port, leases in holders(topology, name):
        named = (f"[{lease}]" if ":" in lease else lease for lease in leases)
        yield ",".join([f"dhcp-host={port.mac}", *named, node])
    for station, fixed in dhcp.stations.items():
        yield f"dhcp-host={fixed.mac},{fixed.address},{station}"
    gateway, ipv6_gateway = (
        dhcp.gateway or (NONE if bridge.forward_of(version) is Forward.NONE else None)
        for version in (4, 6)
    )
    if gateway is not None:
        yield "dhcp-option=option:router" + ("" if gateway == NONE else f",{gateway}")
    mtu = dhcp.mtu or bridge.mtu
    if mtu != USUAL_MTU:
        yield f"dhcp-option=option:mtu,{mtu}"
    if offers:
        yield "enable-ra"
        lifetime = 0 if ipv6_gateway == NONE else ROUTER_LIFETIME
        yield f"ra-param={name},mtu:{mtu},{ROUTER_INTERVAL},{lifetime}"
