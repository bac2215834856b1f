"""Reading a lab as it is: the switches' own reports, the interfaces that the kernel shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from linkspan.control.lines import Client
from linkspan.engine.netlink import Netlink
from linkspan.engine.user.configuration import service_name
from linkspan.errors import Fault, Mistake
from linkspan.lab.find import Place
from linkspan.model.snapshot import (
    BridgeSnapshot,
    InterfaceSnapshot,
    LabSnapshot,
    NodeSnapshot,
)
from linkspan.model.topology import HOST, NodeKind, Topology
from linkspan.sandbox import holder, state
from linkspan.sandbox.namespaces import NODE_KINDS, close_all, inside, node_key
from linkspan.sandbox.worker import run_inside


def observe(place: Place) -> LabSnapshot:
    """Everything that there is of a running lab. Raises LinkspanError."""
    topology = require_topology(place)
    with holder.connect(place.folder) as init:
        status = init.call("status")
        nodes = [HOST, *(name for name in topology.nodes if name != HOST)]
        interfaces = observe_interfaces(init, nodes)
    bridges = [
        replace(
            read_bridge(place.folder, name),
            restarts=status["services"][service_name(name)]["starts"] - 1,
            addresses=_addresses(interfaces[bridge.node], name),
        )
        for name, bridge in topology.bridges.items()
    ]
    return LabSnapshot(
        name=place.name,
        scope=topology.scope.value,
        state="running",
        since=status["since"],
        bridges=bridges,
        nodes=[
            NodeSnapshot(
                name=node,
                kind=_kind(topology, node).value,
                interfaces=[
                    replace(interface, bridge=_bridge_of(topology, node, interface.name))
                    for interface in interfaces[node]
                    if interface.name != "lo"
                ],
            )
            for node in nodes
        ],
    )


def require_topology(place: Place) -> Topology:
    """The applied topology of a lab that is complete. Raises Mistake."""
    topology = place.topology()
    if topology is None:
        raise Mistake(
            Fault(
                f"the lab {place.name} is not complete: it is being brought up or down",
                next_step="try again in a moment",
            )
        )
    return topology


def read_bridge(folder: Path, bridge: str) -> BridgeSnapshot:
    """What the switch of a bridge reports. Raises LinkspanError when it does not answer."""
    with Client(state.bridge_socket(folder, bridge)) as client:
        return msgspec.convert(client.call("snapshot")["bridge"], BridgeSnapshot)


def observe_interfaces(init: Client, nodes: Sequence[str]) -> dict[str, list[InterfaceSnapshot]]:
    """The interfaces of nodes, by node."""
    _, lab = init.call_for_descriptors("fetch", name="lab")
    try:
        return run_inside(lab, lambda: {node: _read_node(init, node) for node in nodes})
    finally:
        close_all(lab)


def fetch_network(init: Client, node: str) -> int:
    """A descriptor of a node's network namespace, which the caller owns."""
    _, descriptors = init.call_for_descriptors("fetch", name=node_key(node))
    network = descriptors.pop(NODE_KINDS.index("net"))
    close_all(descriptors)
    return network


def _read_node(init: Client, node: str) -> list[InterfaceSnapshot]:
    network = fetch_network(init, node)
    try:
        with inside(network), Netlink() as netlink:
            addresses = netlink.addresses()
            return [
                InterfaceSnapshot(
                    name=interface.name,
                    mac=interface.mac,
                    mtu=interface.mtu,
                    up=interface.up,
                    carrier=interface.carrier,
                    addresses=addresses.get(interface.index, []),
                    bridge=None,
                )
                for interface in netlink.interfaces()
            ]
    finally:
        close_all([network])


def _addresses(interfaces: Sequence[InterfaceSnapshot], name: str) -> list[str]:
    return [
        address
        for interface in interfaces
        if interface.name == name
        for address in interface.addresses
    ]


def _kind(topology: Topology, node: str) -> NodeKind:
    return topology.nodes[node].kind if node in topology.nodes else NodeKind.HOST


def _bridge_of(topology: Topology, node: str, interface: str) -> str | None:
    if interface in topology.bridges and topology.bridges[interface].node == node:
        return interface
    declared = topology.nodes.get(node)
    port = declared.ports.get(interface) if declared else None
    return port.bridge if port else None
