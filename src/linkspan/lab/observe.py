"""Reading a lab as it is: the switches' own reports, the interfaces that the kernel shows."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from linkspan.control.client import Client
from linkspan.control.descriptors import close_all
from linkspan.engine.kernel.lines import read_lines, wire_lines
from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import read_namespace
from linkspan.engine.site import Site
from linkspan.engine.user.configuration import service_name
from linkspan.errors import Fault, Mistake
from linkspan.lab.commands import mounts_of, read_commands
from linkspan.lab.confirm import pending
from linkspan.lab.find import Place
from linkspan.lab.guests import with_foreign_holders
from linkspan.lab.kernel_bridge import kernel_bridge
from linkspan.lab.lent import lent
from linkspan.lab.life import scope_of
from linkspan.lab.machines import as_node, read_machines
from linkspan.lab.networks import read_networks
from linkspan.lab.readings import read_node
from linkspan.lab.records import Records
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface
from linkspan.model.shaping import Shape
from linkspan.model.snapshot import (
    BridgeSnapshot,
    Counters,
    InterfaceSnapshot,
    LabSnapshot,
    NodeSnapshot,
    WireguardSnapshot,
)
from linkspan.model.state import Bridge, BridgeKey, Shaping, ShapingKey, State, VethKey
from linkspan.model.topology import HOST, NodeKind, Topology
from linkspan.plan.current_bridges import is_bridges_end
from linkspan.sandbox import holder, state
from linkspan.sandbox.namespaces import NODE_KINDS, node_key
from linkspan.sandbox.worker import run_inside
from linkspan.services.wireguard_status import wireguards
from linkspan.types import format_mac

_OWN: Final = ""
"""What stands for the lab's own namespace where others have a node's name."""


class _Read(msgspec.Struct, frozen=True):
    """What the kernel says of a lab."""

    namespaces: dict[str, NamespaceSnapshot]
    """Of nodes, by node, and where machines are, the lab's own."""
    tunnels: dict[tuple[str, str], WireguardSnapshot]
    shapes: dict[ShapingKey, Shaping]
    """The limits of ports of kernel bridges."""
    wires: dict[VethKey, Shape]
    """The limits of wires, by their ends."""


def observe(place: Place) -> LabSnapshot:
    """Everything that there is of a running lab. Raises LinkspanError."""
    topology = require_topology(place)
    applied = Records(place.folder).applied()
    with holder.connect(place.folder) as init:
        status = init.call("status")
        read = _read(place, init, topology, applied)
    found = with_foreign_holders(read.namespaces)
    read = replace(read, namespaces=found)
    services = status["services"]
    bridges = _bridges(place, topology, applied, read, services)
    machines, leases = [], []
    if _has_machines(topology):
        leases = lent(place.folder, topology)
        with holder.connect(place.folder) as init:
            machines = read_machines(place.folder, init, topology, bridges, _taps(found))
    return LabSnapshot(
        name=place.name,
        scope=topology.scope.value,
        state="running",
        since=status["since"],
        bridges=bridges,
        nodes=[
            *_nodes(place, topology, read, services),
            *(as_node(topology, machine, leases) for machine in machines),
        ],
        machines=machines,
        pending=pending(place),
    )


def _bridges(
    place: Place, topology: Topology, applied: State, read: _Read, services: Mapping[str, Any]
) -> list[BridgeSnapshot]:
    """Every bridge, with what its engine says of it and what the lab knows."""
    engines = Records(place.folder).engines()
    networks = read_networks(place, topology, services)
    bridges = []
    for name, bridge in topology.bridges.items():
        match applied.get(BridgeKey(name)):
            case Bridge(engine="kernel"):
                seen = kernel_bridge(place.name, name, bridge.node, read.namespaces)
                seen = _with_shapes(seen, read.shapes)
            case _:
                restarts = services[service_name(name)]["starts"] - 1
                seen = replace(read_bridge(place.folder, name), restarts=restarts)
        whole = replace(
            seen,
            addresses=_addresses(read.namespaces[bridge.node], name),
            engine_reason=engines.get(name, ""),
            network=networks.get(name),
        )
        bridges.append(whole)
    return bridges


def _nodes(
    place: Place, topology: Topology, read: _Read, services: Mapping[str, Any]
) -> list[NodeSnapshot]:
    """The nodes that have a namespace."""
    commands = read_commands(place.folder, topology, services)
    return [
        NodeSnapshot(
            name=node,
            kind=_kind(topology, node).value,
            interfaces=_interfaces(topology, node, read),
            command=commands.get(node),
            mounts=mounts_of(topology, node),
        )
        for node in _with_namespace(topology)
    ]


def _taps(namespaces: Mapping[str, NamespaceSnapshot]) -> dict[str, Counters]:
    """What the taps in the lab's namespaces count, by name."""
    return {
        each.name: Counters(
            frames_in=each.statistics.frames_in,
            bytes_in=each.statistics.bytes_in,
            frames_out=each.statistics.frames_out,
            bytes_out=each.statistics.bytes_out,
        )
        for found in namespaces.values()
        for each in found.interfaces
        if each.kind == "tap"
    }


def _with_namespace(topology: Topology) -> list[str]:
    """The nodes that have a namespace, the host first."""
    every = [HOST, *(name for name in topology.nodes if name != HOST)]
    return [name for name in every if not topology.is_machine(name)]


def _has_machines(topology: Topology) -> bool:
    return any(topology.is_machine(name) for name in topology.nodes)


def _with_shapes(bridge: BridgeSnapshot, shapes: Mapping[ShapingKey, Shaping]) -> BridgeSnapshot:
    """A bridge of the kernel with the limits of its ports."""
    ports = []
    for port in bridge.ports:
        shaping = shapes.get(ShapingKey(port.node or "", port.interface or ""))
        ports.append(replace(port, shape=shaping.shape) if shaping is not None else port)
    return replace(bridge, ports=ports)


def _read(place: Place, init: Client, topology: Topology, applied: State) -> _Read:
    _, lab = init.call_for_descriptors("fetch", name="lab")

    nodes = _with_namespace(topology)

    def read() -> _Read:
        site = Site(place.name, place.folder, init, scope_of(place.folder))
        try:
            site.find_networks(nodes)
            found = {node: _read_node(site, node) for node in nodes}
            if _has_machines(topology):
                with Dumps() as dumps:
                    found[_OWN] = read_namespace(dumps)
            shapes = dict(read_lines(site, found, [applied]))
            wires = wire_lines(site, found, [applied])
            return _Read(found, wireguards(site, topology, time.time()), shapes, wires)
        finally:
            site.close()

    try:
        return run_inside(lab, read)
    finally:
        close_all(lab)


def _read_node(site: Site, node: str) -> NamespaceSnapshot:
    return replace(read_node(site, node), id=os.fstat(site.network(node)).st_ino)


def _interfaces(topology: Topology, node: str, read: _Read) -> list[InterfaceSnapshot]:
    """The interfaces of a node that are its own: not loopback, nor the bridges' ends of ports."""
    found = read.namespaces[node]
    addresses = defaultdict(list)
    wires = {
        (end.node, end.interface): f"{far.node}:{far.interface}"
        for end, far, _ in topology.wire_ends()
    }
    for address in found.addresses:
        addresses[address.index].append(address.address)
    return [
        InterfaceSnapshot(
            name=each.name,
            mac=each.mac or format_mac(bytes(6)),
            mtu=each.mtu,
            up=each.up,
            carrier=each.carrier,
            addresses=addresses[each.index],
            bridge=_bridge_of(topology, node, each),
            peer=wires.get((node, each.name)),
            wireguard=read.tunnels.get((node, each.name)),
            shape=read.wires.get(VethKey(node, each.name)),
        )
        for each in found.interfaces
        if each.kind != "loopback" and not is_bridges_end(each)
    ]


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


def fetch_network(init: Client, node: str) -> int:
    """A descriptor of a node's network namespace, which the caller owns."""
    _, descriptors = init.call_for_descriptors("fetch", name=node_key(node))
    network = descriptors.pop(NODE_KINDS.index("net"))
    close_all(descriptors)
    return network


def _addresses(found: NamespaceSnapshot, name: str) -> list[str]:
    return [address.address for address in found.addresses if address.interface == name]


def _kind(topology: Topology, node: str) -> NodeKind:
    return topology.nodes[node].kind if node in topology.nodes else NodeKind.HOST


def _bridge_of(topology: Topology, node: str, interface: Interface) -> str | None:
    name = interface.name
    if name in topology.bridges and topology.bridges[name].node == node:
        return name
    if interface.master_name is not None:
        return interface.master_name
    for each, bridge in topology.bridges.items():
        if bridge.node == node and name in bridge.ports and bridge.ports[name].is_tap:
            return each
    declared = topology.nodes.get(node)
    port = declared.ports.get(name) if declared else None
    return port.bridge if port else None
