"""Routes of a topology: gateways, those that are understood, and static ones.

A container on a bridge whose network has a way out (`forward: nat` or `routed`) takes the bridge's
address for its gateway unless the file names one, as with libvirt and Docker. A network with
`forward: none` leads nowhere, and so its containers get no default route.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from linkspan.model.address_shapes import parse_interface
from linkspan.model.network import Forward
from linkspan.model.state import Route, RouteKey
from linkspan.model.topology import Node, NodeKind, NodePort, Topology

DEFAULT_ROUTES: Final = {4: "0.0.0.0/0", 6: "::/0"}
"""Destinations of default routes by IP version."""

DEFAULT_METRICS: Final = {4: 0, 6: 1024}
"""Metric of a route that names none (IP6_RT_PRIO_USER, include/net/ip6_route.h)."""

Fact: TypeAlias = tuple[RouteKey, Route]


def routes(topology: Topology) -> Iterator[Fact]:
    """The routes of all nodes but virtual machines, whose guests set their own."""
    stations = topology.stations_by_node()
    for name, node in topology.nodes.items():
        if node.kind is NodeKind.VM:
            continue
        interfaces = {
            **{own: each.address for own, each in topology.bridges.items() if each.node == name},
            **dict(stations.get(name, [])),
        }
        for gateway in gateways(topology, node):
            version = ipaddress.ip_address(gateway).version
            key = RouteKey(name, DEFAULT_ROUTES[version], DEFAULT_METRICS[version])
            yield key, Route(interface=_towards(interfaces, gateway), gateway=gateway)
        for route in node.routes:
            version = ipaddress.ip_network(route.destination).version
            key = RouteKey(name, route.destination, route.metric or DEFAULT_METRICS[version])
            yield key, Route(interface=_towards(interfaces, route.via), gateway=route.via)


def gateways(topology: Topology, node: Node) -> tuple[str, ...]:
    """A node's gateways: those that the file names, and for the other family what is understood."""
    found: dict[int, str] = {}
    for text in node.gateway:
        found[ipaddress.ip_address(text).version] = text
    known = {
        ipaddress.ip_network(route.destination).version
        for route in node.routes
        if route.destination in DEFAULT_ROUTES.values()
    }
    if node.kind is not NodeKind.HOST:
        for port in node.ports.values():
            for version, gateway in _understood(topology, port):
                if version not in known:
                    found.setdefault(version, gateway)
    return tuple(found.values())


def _understood(topology: Topology, port: NodePort) -> Iterator[tuple[int, str]]:
    bridge = topology.bridges[port.bridge]
    own = [parse_interface(text).ip for text in port.fixed]
    for text in bridge.address:
        address = parse_interface(text)
        leads_out = bridge.forward_of(address.version) in (Forward.NAT, Forward.ROUTED)
        if leads_out and any(one in address.network for one in own):
            yield address.version, str(address.ip)


def _towards(interfaces: Mapping[str, Sequence[str]], gateway: str) -> str | None:
    """The interface, of a node's, in whose network a gateway lies."""
    address = ipaddress.ip_address(gateway)
    for name, addresses in interfaces.items():
        for text in addresses:
            if address in parse_interface(text).network:
                return name
    return None
