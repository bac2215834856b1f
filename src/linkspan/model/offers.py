"""Who gets which address on a bridge that gives addresses away, as far as the file says."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, IPv6Network

from linkspan.model.address_shapes import Interface, parse_interface
from linkspan.model.dhcp import Ipv6Span, Span, ipv6_block, without
from linkspan.model.segments import segment
from linkspan.model.topology import Bridge, NodePort, Topology


def holder(topology: Topology, joined: Collection[str], node: str) -> str | None:
    """The interface by which a node has its name on a network of joined bridges, and its fixed
    lease: the first that asks, or else the first that has no address; None when it has neither.
    """
    if node not in topology.nodes:
        return None
    ports = [
        (interface, port)
        for interface, port in topology.nodes[node].ports.items()
        if port.bridge in joined and (port.asks or not port.address)
    ]
    return min(ports, key=lambda each: not each[1].asks)[0] if ports else None


def holders(topology: Topology, bridge: str) -> Iterator[tuple[str, NodePort, tuple[str, ...]]]:
    """Every node that may get an address of a bridge: its port there, and its fixed leases."""
    dhcp = topology.bridges[bridge].dhcp
    leases = dhcp.hosts if dhcp else {}
    joined = segment(topology, bridge)
    for node, declared in topology.nodes.items():
        if interface := holder(topology, joined, node):
            yield node, declared.ports[interface], leases.get(node, ())


def fixed_addresses(topology: Topology) -> Iterator[tuple[str, str, Interface]]:
    """Every address that the file gives: the bridge it is on, the node that has it. Those of a
    wire between two nodes are on none, which is the empty name.
    """
    for name, bridge in topology.bridges.items():
        for text in bridge.address:
            yield name, bridge.node, parse_interface(text)
    for node, _, port in topology.node_ports():
        for text in port.fixed:
            yield port.bridge, node, parse_interface(text)
    for end, _, _ in topology.wire_ends():
        for text in end.address:
            yield "", end.node, parse_interface(text)


def addresses_on(topology: Topology, bridge: str) -> Iterator[tuple[str, Interface]]:
    """Every address that the file gives on a bridge and those joined with it, and who has it."""
    joined = segment(topology, bridge)
    return ((node, each) for name, node, each in fixed_addresses(topology) if name in joined)


def dynamic(topology: Topology, bridge: str) -> list[Span]:
    """The IPv4 ranges of a bridge less what the file gives to interfaces there."""
    dhcp = topology.bridges[bridge].dhcp
    taken = [
        each.ip for _, each in addresses_on(topology, bridge) if isinstance(each, IPv4Interface)
    ]
    return list(without(dhcp.ipv4_ranges, taken)) if dhcp else []


def pool(topology: Topology, bridge: str) -> list[Span]:
    """The IPv4 addresses that anybody may get from a bridge: no fixed leases either."""
    dhcp = topology.bridges[bridge].dhcp
    leases = dhcp.leases if dhcp else ()
    return list(without(dynamic(topology, bridge), map(IPv4Address, leases)))


def ipv4_networks(bridge: Bridge) -> list[IPv4Interface]:
    """A bridge's IPv4 addresses, the first of each network."""
    found: dict[object, IPv4Interface] = {}
    for each in map(parse_interface, bridge.address):
        if isinstance(each, IPv4Interface):
            found.setdefault(each.network, each)
    return list(found.values())


def ipv6_networks(bridge: Bridge) -> list[IPv6Network]:
    """A bridge's IPv6 networks."""
    found = (parse_interface(text) for text in bridge.address)
    return list(dict.fromkeys(each.network for each in found if isinstance(each, IPv6Interface)))


def ipv6_offers(topology: Topology, bridge: str) -> Iterator[Ipv6Span]:
    """What a bridge gives away of each of its IPv6 networks: the first and the last address of
    the ranges there less what the file gives to interfaces, or of a block where it has no range.
    """
    taken = [
        each.ip for _, each in addresses_on(topology, bridge) if isinstance(each, IPv6Interface)
    ]
    dhcp = topology.bridges[bridge].dhcp
    ranges = dhcp.ipv6_ranges if dhcp else []
    for network in ipv6_networks(topology.bridges[bridge]):
        here = [each for each in ranges if each[0] in network]
        if here:
            yield from without(here, taken)
        else:
            yield ipv6_block(network, (address for address in taken if address in network))
