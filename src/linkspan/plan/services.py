"""Which programs serve a lab, and with which configuration: dnsmasq for bridges, dhcpcd for ports.

A client's configuration holds what it was offered as a comment, so that another offer (another
range, another fixed lease) has it started anew, which is how it gives back what it had. It sends
its hardware address as client identifier, by which the server knows the node, and sends the
node's name for servers that are not ours. Source: dhcpcd.conf(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from linkspan.model.offers import holder, ipv4_networks, ipv6_networks
from linkspan.model.segments import lender, segment
from linkspan.model.state import Service, ServiceKey
from linkspan.model.topology import NodePort, Topology
from linkspan.plan.dnsmasq import dnsmasq

SERVER: Final = "dnsmasq"
CLIENT: Final = "dhcpcd"

IPV4: Final = "ipv4"
IPV6: Final = "ipv6"

_CLIENT: Final = (
    "clientid",
    "duid ll",
    "script /bin/true",
    "option routers, classless_static_routes, interface_mtu",
    "require dhcp_server_identifier",
    "timeout 0",
    "nodelay",
    "noarp",
    "noipv4ll",
    "slaac hwaddr",
    "release",
)
"""No delay at random and no probing: addresses of a lab are known to differ, and `up` waits."""


def services(topology: Topology) -> Iterator[tuple[ServiceKey, Service]]:
    """The services of a topology in which every MAC is known, servers first."""
    for name, bridge in topology.bridges.items():
        if bridge.dhcp or bridge.dns:
            yield (
                ServiceKey(SERVER, bridge.node, name),
                Service(text=dnsmasq(topology, name)),
            )
    for node, interface, port in topology.node_ports():
        if port.asks and not topology.is_machine(node):
            yield ServiceKey(CLIENT, node, interface), _client(topology, node, interface, port)


def _client(topology: Topology, node: str, interface: str, port: NodePort) -> Service:
    joined = segment(topology, port.bridge)
    name = lender(topology, joined)
    bridge = topology.bridges[name]
    lines = list(_CLIENT)
    is_holder = holder(topology, joined, node) == interface
    if is_holder:
        lines.append(f"hostname {node}")
    if bridge.dhcp is None:
        return Service(text="\n".join(lines) + "\n", awaits=(IPV4,))
    lease, ipv6_lease = (
        bridge.dhcp.lease_of(node, version) if is_holder else None for version in (4, 6)
    )
    offers = [*bridge.address, *bridge.dhcp.range, *([ipv6_lease] if ipv6_lease else [])]
    lines.insert(0, f"# {name} offers {', '.join(offers)}")
    if lease:
        lines.append(f"request {lease}")
    awaits = []
    if ipv4_networks(bridge) and (bridge.dhcp.ipv4_ranges or lease):
        awaits.append(lease or IPV4)
    if ipv6_networks(bridge):
        lines += [] if awaits else ["ipv6only"]
        awaits.append(ipv6_lease or IPV6)
    else:
        lines.append("ipv4only")
    return Service(text="\n".join(lines) + "\n", awaits=tuple(awaits))
