"""The plan that makes a whole lab where there is nothing.

The order is what each step needs: a node before its interfaces, all ports of a bridge before its
switch (it inherits them), the switch before any interface is up, so that nobody's first frames
are lost, addresses before the routes through them.
"""

from __future__ import annotations

from collections.abc import Iterator

from linkspan.bridge.port import PortOptions
from linkspan.model.bridge_options import USER_FDB
from linkspan.model.names import port_name, with_macs
from linkspan.model.topology import HOST, Cache, NodePort, SocketPort, Topology
from linkspan.plan.actions import (
    Action,
    AddCache,
    AddDefaultRoute,
    AddInterface,
    AddNode,
    AddSocket,
    ConfigureInterface,
    StartSwitch,
)
from linkspan.types import HOST_PORT


def build(topology: Topology) -> tuple[Action, ...]:
    """The actions that make `topology`, in order. Ports are numbered from 1 in file order."""
    whole = with_macs(topology)
    return (*_nodes(whole), *_ports(whole), *_switches(whole), *_interfaces(whole))


def _nodes(topology: Topology) -> Iterator[Action]:
    yield AddNode(HOST, "host")
    for name, node in topology.nodes.items():
        if name != HOST:
            yield AddNode(name, node.kind.value)


def _ports(topology: Topology) -> Iterator[Action]:
    numbers = dict.fromkeys(topology.bridges, int(HOST_PORT))
    for name, bridge in topology.bridges.items():
        if bridge.cache is Cache.AUTO:
            yield AddCache(name)
        yield AddInterface(
            name, HOST_PORT, name, bridge.node, name, str(bridge.mac), bridge.mtu, PortOptions()
        )
        for socket_name, socket_port in bridge.ports.items():
            numbers[name] += 1
            yield AddSocket(
                name,
                numbers[name],
                socket_name,
                socket_port.kind.value,
                _options(socket_port, bridge.mtu),
            )
    for node, interface, port in topology.links():
        numbers[port.bridge] += 1
        mtu = topology.mtu_of(port)
        yield AddInterface(
            port.bridge,
            numbers[port.bridge],
            port_name(node, interface),
            node,
            interface,
            str(port.mac),
            mtu,
            _options(port, mtu),
        )


def _options(port: NodePort | SocketPort, mtu: int) -> PortOptions:
    return PortOptions(
        learning=port.learning,
        unicast_flood=port.unicast_flood,
        multicast_flood=port.multicast_flood,
        broadcast_flood=port.broadcast_flood,
        hairpin=port.hairpin,
        isolated=port.isolated,
        group_fwd_mask=port.group_fwd_mask,
        mtu=mtu,
    )


def _switches(topology: Topology) -> Iterator[Action]:
    for name, bridge in topology.bridges.items():
        yield StartSwitch(
            name,
            bridge.node,
            str(bridge.mac),
            bridge.up,
            bridge.ageing_time,
            bridge.fdb_max_learned or USER_FDB,
            bridge.group_fwd_mask,
        )


def _interfaces(topology: Topology) -> Iterator[Action]:
    for name, bridge in topology.bridges.items():
        yield ConfigureInterface(bridge.node, name, bridge.address, bridge.up)
    for node, interface, port in topology.links():
        yield ConfigureInterface(node, interface, port.address, True)
    for name, declared in topology.nodes.items():
        for gateway in declared.gateway:
            yield AddDefaultRoute(name, gateway)
