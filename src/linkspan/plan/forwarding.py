"""What a topology's networks ask of the nodes that carry them: rules, and sysctls of a router.

A node forwards packets only when one of its networks has a way out, and only in the families that
the network has addresses of. Where it becomes a router of IPv6 it would not listen to routers any
more, and lose its own default route (Documentation/networking/ip-sysctl.rst, accept_ra), so its
interfaces towards others are told to go on listening; that comes before forwarding is switched on,
which forgets what was heard (rt6_purge_dflt_routers, net/ipv6/route.c).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final, TypeAlias

from linkspan.model.address_shapes import parse_interface
from linkspan.model.network import Forward
from linkspan.model.publish import parse_publish
from linkspan.model.rules import Network, PortForward, Rules, RulesKey
from linkspan.model.state import Setting, SettingKey
from linkspan.model.targets import targets
from linkspan.model.topology import Bridge, Scope, Topology

IPV4_FORWARDING: Final = "net/ipv4/ip_forward"
IPV6_FORWARDING: Final = "net/ipv6/conf/all/forwarding"

_ANY: Final = {4: "0.0.0.0", 6: "::"}

Fact: TypeAlias = tuple[RulesKey, Rules] | tuple[SettingKey, Setting]


def forwarding(topology: Topology) -> Iterator[Fact]:
    """The rules and the settings of all nodes that carry networks with `forward`."""
    for node in dict.fromkeys(bridge.node for bridge in topology.bridges.values()):
        carried = {
            name: bridge
            for name, bridge in topology.bridges.items()
            if bridge.node == node and bridge.forward is not None
        }
        if not carried:
            continue
        rules = Rules(
            networks=tuple(
                network for name, bridge in carried.items() for network in _networks(name, bridge)
            ),
            forwards=tuple(
                forward for name in carried for forward in port_forwards(topology, name)
            ),
        )
        yield RulesKey(node), rules
        yield from _settings(topology, node, rules)


def _networks(name: str, bridge: Bridge) -> Iterator[Network]:
    """A bridge's network; one for each IP version where these go different ways."""
    assert bridge.forward is not None
    networks = list(dict.fromkeys(parse_interface(text).network for text in bridge.address))
    if bridge.forward_of(6) is bridge.forward:
        prefixes = tuple(map(str, networks))
        yield Network(bridge=name, forward=bridge.forward.value, prefixes=prefixes)
        return
    for version in (4, 6):
        forward = bridge.forward_of(version) or bridge.forward
        prefixes = tuple(str(each) for each in networks if each.version == version)
        yield Network(bridge=name, forward=forward.value, prefixes=prefixes, version=version)


def port_forwards(topology: Topology, name: str) -> Iterator[PortForward]:
    """The forwards of a bridge, one for each family that can be."""
    for text in topology.bridges[name].publish:
        forward = parse_publish(text)
        for version, target in targets(topology, name, forward).items():
            is_let_in = topology.bridges[name].forward_of(version) is not Forward.NONE
            if forward.listen_version in (None, version) and is_let_in:
                yield PortForward(
                    bridge=name,
                    protocol=forward.protocol,
                    listen=forward.listen or _ANY[version],
                    first=forward.first,
                    last=forward.last,
                    target=target,
                    to=forward.to,
                )


def _settings(topology: Topology, node: str, rules: Rules) -> Iterator[tuple[SettingKey, Setting]]:
    versions = {
        ipaddress.ip_network(prefix).version
        for network in rules.networks
        if network.forward != Forward.NONE.value
        for prefix in network.prefixes
    }
    if 6 in versions:
        for interface in _towards_others(topology, node):
            key = SettingKey(node, f"net/ipv6/conf/{interface}/accept_ra")
            yield key, Setting(text="2")
        yield SettingKey(node, IPV6_FORWARDING), Setting(text="1")
        if topology.scope is Scope.HOST:
            # As in nodes that are made for a lab (`sandbox.nodes.make_nodes`).
            for network in rules.networks:
                key = SettingKey(node, f"net/ipv6/conf/{network.bridge}/accept_dad")
                yield key, Setting(text="0")
    if 4 in versions:
        yield SettingKey(node, IPV4_FORWARDING), Setting(text="1")
    for bridge in dict.fromkeys(
        forward.bridge for forward in rules.forwards if listens_on_loopback(forward)
    ):
        yield SettingKey(node, f"net/ipv4/conf/{bridge}/route_localnet"), Setting(text="1")


def listens_on_loopback(forward: PortForward) -> bool:
    """Whether a forward takes in the node's own 127.0.0.0/8."""
    address = ipaddress.ip_address(forward.listen)
    return address.version == 4 and (address.is_unspecified or address.is_loopback)


def _towards_others(topology: Topology, node: str) -> Iterator[str]:
    """The interfaces of a node behind which a router may be that the node listens to."""
    yield from (interface for place, interface, _ in topology.stations() if place == node)
    for name, bridge in topology.bridges.items():
        if bridge.node == node and bridge.forward is None:
            yield name
