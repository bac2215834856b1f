"""A bridge as a network of libvirt's: what `virsh net-define` reads.

A bridge of scope host stays linkspan's, and libvirt puts its guests on it as it is. One of a
sandbox, which libvirt can't see, becomes a definition by which libvirt makes such a network itself,
with a comment for each thing that it has no words for. Nodes stay where they are; their names and
fixed leases are told. Source: formatnetwork.html of libvirt 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final
from xml.etree import ElementTree

from linkspan.model.address_shapes import Interface, parse_interface
from linkspan.model.base import Engine
from linkspan.model.bridge_options import SpanningTree
from linkspan.model.dhcp import Dhcp, span
from linkspan.model.kernel_options import options_of
from linkspan.model.names import with_macs
from linkspan.model.network import Forward
from linkspan.model.offers import fixed_addresses, holders
from linkspan.model.topology import Bridge, Scope, Topology

MODES: Final = {Forward.NAT: "nat", Forward.ROUTED: "route"}
"""Mode of `forward` there by that here; none is told by leaving it out."""

_WAYS: Final = {(Forward.NAT, Forward.ROUTED), *((each, each) for each in Forward)}
"""What of IPv4 and IPv6 has words there."""

_USUAL_MTU: Final = 1500
_USUAL_LEASE: Final = 3600
"""What libvirt takes when nothing is said."""

_IN_WORDS: Final = frozenset({"stp", "forward_delay"})
"""Options of a bridge that libvirt has words for."""


def write(topology: Topology, bridge: str) -> str:
    """The definition of the network that a bridge of the topology is."""
    whole = with_macs(topology)
    name = whole.name if len(whole.bridges) == 1 else f"{whole.name}-{bridge}"
    root = ElementTree.Element("network")
    ElementTree.SubElement(root, "name").text = name
    if whole.scope is Scope.HOST:
        ElementTree.SubElement(root, "forward", mode="bridge")
        ElementTree.SubElement(root, "bridge", name=bridge)
    else:
        _describe(root, whole, bridge)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _describe(root: ElementTree.Element, topology: Topology, name: str) -> None:
    bridge = topology.bridges[name]
    if bridge.forward in MODES:
        forward = ElementTree.SubElement(root, "forward", mode=MODES[bridge.forward])
        if bridge.forward_of(6) is Forward.NAT:
            ElementTree.SubElement(forward, "nat", ipv6="yes")
    ElementTree.SubElement(
        root,
        "bridge",
        name=name,
        stp="off" if bridge.stp is SpanningTree.OFF else "on",
        delay=str(round(bridge.forward_delay)),
    )
    if bridge.mtu != _USUAL_MTU:
        ElementTree.SubElement(root, "mtu", size=str(bridge.mtu))
    ElementTree.SubElement(root, "mac", address=str(bridge.mac))
    if bridge.address:
        _names(root, topology, bridge)
    for number, text in enumerate(bridge.address):
        _address(root, topology, name, text, number)
    for remark in _without_words(topology, name, bridge):
        root.append(ElementTree.Comment(f" {remark.replace('--', '- -')} "))


def _names(root: ElementTree.Element, topology: Topology, bridge: Bridge) -> None:
    if bridge.dns is None:
        ElementTree.SubElement(root, "dns", enable="no")
        return
    ElementTree.SubElement(root, "domain", name=bridge.dns.domain, localOnly="yes")
    dns = ElementTree.SubElement(root, "dns")
    for upstream in bridge.dns.upstream:
        ElementTree.SubElement(dns, "forwarder", addr=upstream)
    names: dict[str, list[str]] = {}
    for _, node, address in fixed_addresses(topology):
        if node != bridge.node:
            names.setdefault(str(address.ip), []).append(node)
    for ip, nodes in names.items():
        host = ElementTree.SubElement(dns, "host", ip=ip)
        for node in dict.fromkeys(nodes):
            ElementTree.SubElement(host, "hostname").text = node


def _address(
    root: ElementTree.Element, topology: Topology, name: str, text: str, number: int
) -> None:
    bridge = topology.bridges[name]
    own = parse_interface(text)
    family = "ipv4" if own.version == 4 else "ipv6"
    element = ElementTree.SubElement(
        root, "ip", family=family, address=str(own.ip), prefix=str(own.network.prefixlen)
    )
    if bridge.dhcp is not None and own in _served(bridge):
        _dhcp(element, topology, name, bridge.dhcp, own)


def _served(bridge: Bridge) -> list[Interface]:
    """The addresses in whose networks libvirt gives others away: the first of each family."""
    own = list(map(parse_interface, bridge.address))
    return [each for each in own if each is next(o for o in own if o.version == each.version)]


def _dhcp(
    ip: ElementTree.Element, topology: Topology, name: str, dhcp: Dhcp, own: Interface
) -> None:
    ranges = [text for text in dhcp.range if span(text)[0] in own.network]
    stations = [
        *(
            (str(port.mac), node, lease)
            for node, port, _ in holders(topology, name)
            if (lease := dhcp.lease_of(node, 4))
        ),
        *((each.mac, station, each.address) for station, each in dhcp.stations.items()),
    ]
    leases = [each for each in stations if IPv4Address(each[2]) in own.network]
    if not ranges and not leases:
        return
    element = ElementTree.SubElement(ip, "dhcp")
    for text in ranges:
        first, last = span(text)
        found = ElementTree.SubElement(element, "range", start=str(first), end=str(last))
        _lease(found, dhcp)
    for mac, station, address in leases:
        found = ElementTree.SubElement(element, "host", mac=mac, name=station, ip=address)
        _lease(found, dhcp)


def _lease(element: ElementTree.Element, dhcp: Dhcp) -> None:
    if dhcp.lease_time != _USUAL_LEASE:
        ElementTree.SubElement(element, "lease", expiry=str(dhcp.lease_time), unit="seconds")


def _without_words(topology: Topology, name: str, bridge: Bridge) -> Iterator[str]:
    """What libvirt's definition can't say of a bridge."""
    options = [each.replace("_", "-") for each in options_of(bridge) if each not in _IN_WORDS]
    nodes = [node for node, _, port in topology.node_ports() if port.bridge == name]
    tunnels = [tunnel.port_name for _, tunnel in topology.tunnels() if tunnel.bridge == name]
    addresses = list(map(parse_interface, bridge.address))
    dhcp = bridge.dhcp
    others = [
        text
        for text in (dhcp.range if dhcp else ())
        if not any(span(text)[0] in own.network for own in _served(bridge))
    ]
    yield from (
        text
        for is_so, text in (
            (bridge.engine is Engine.USER, "switched by engine user; libvirt's is the kernel's"),
            (not bridge.up, "down; libvirt sets its bridges up"),
            (nodes, f"nodes of the lab are on it and not on libvirt's: {', '.join(nodes)}"),
            (options, f"options without words here: {', '.join(options)}"),
            (
                bridge.forward is None and bridge.address,
                "without rules; libvirt lets nothing pass between this network and others",
            ),
            (
                bridge.forward_delay % 1,
                f"forward-delay {bridge.forward_delay:g}; libvirt has whole seconds",
            ),
            (
                bridge.forward_ipv6 and (bridge.forward, bridge.forward_ipv6) not in _WAYS,
                f"forward-ipv6 {bridge.forward_ipv6.value if bridge.forward_ipv6 else ''}",
            ),
            (bridge.publish, f"published, which libvirt can't: {', '.join(bridge.publish)}"),
            (bridge.uplink, f"uplink {bridge.uplink.interface if bridge.uplink else ''}"),
            (bridge.ports, f"sockets as ports: {', '.join(bridge.ports)}"),
            (tunnels, f"tunnels as ports: {', '.join(tunnels)}"),
            (bridge.fdb, f"static entries of the FDB: {', '.join(bridge.fdb)}"),
            (
                others,
                f"libvirt gives away addresses of one network a family; not {', '.join(others)}",
            ),
            (
                dhcp and dhcp.ipv6_leases,
                "libvirt knows no MAC of those with fixed leases of IPv6; not"
                f" {', '.join(dhcp.ipv6_leases if dhcp else ())}",
            ),
            (
                dhcp and (dhcp.ipv6_ranges or dhcp.ipv6_leases),
                "DHCPv6 has ranges or fixed leases; libvirt's name no MAC, so they are left out",
            ),
            (dhcp and dhcp.gateway, f"DHCP tells of the gateway {dhcp.gateway if dhcp else ''}"),
            (dhcp and dhcp.mtu, f"DHCP tells of the MTU {dhcp.mtu if dhcp else ''}"),
            (
                any(each.version == 6 for each in addresses) and not dhcp,
                "without advertisements; libvirt sends some for its IPv6 addresses",
            ),
        )
        if is_so
    )
