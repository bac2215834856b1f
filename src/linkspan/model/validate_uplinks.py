"""Checks of uplinks: which interface may become a port of which bridge.

In a sandbox the interfaces of a host are those that the file gives it. In scope host they are the
machine's, of which the file knows nothing; what is found there is checked when the time has come.
"""

from __future__ import annotations

from collections.abc import Iterator

from linkspan.model.flaw import Flaw, brief, label, names_of
from linkspan.model.position import Path
from linkspan.model.texts import LARGEST_MTU
from linkspan.model.topology import HOST, Bridge, Scope, Topology


def uplinks(topology: Topology) -> Iterator[Flaw]:
    """Uplinks that are not there, that two bridges want, or that can't carry the frames."""
    owners: dict[tuple[str, str], Path] = {}
    for name, bridge, uplink in topology.uplinks():
        path: Path = ("bridges", name, "uplink")
        interface = uplink.interface
        first = owners.setdefault((bridge.node, interface), path)
        if first is not path:
            yield Flaw(
                path,
                f"{label(path)}: {brief(interface)} is the uplink of another bridge already",
                expected="an interface for each bridge",
                found=f"{label(first)} at {{also}}",
                next_step="remove one of the two",
                also=first,
            )
        elif interface in topology.bridges and topology.bridges[interface].node == bridge.node:
            yield Flaw(
                path,
                f"{label(path)}: {brief(interface)} is a bridge, which is no port of another one",
                expected="an interface of the host, such as eth0",
                found="the bridge at {also}",
                next_step="put the ports of both on one bridge",
                also=("bridges", interface),
            )
        elif interface in bridge.ports:
            yield Flaw(
                path,
                f"{label(path)}: another port of the bridge is called {brief(interface)}",
                expected="names that differ",
                found="the port at {also}",
                next_step="rename the socket's port",
                also=("bridges", name, "ports", interface),
            )
        elif topology.scope is Scope.HOST:
            yield from _of_the_machine(topology, path, interface)
        else:
            yield from _of_a_sandbox(topology, path, name, bridge, interface)


def _of_the_machine(topology: Topology, path: Path, interface: str) -> Iterator[Flaw]:
    host = topology.nodes.get(HOST)
    if host is not None and interface in host.ports:
        yield Flaw(
            path,
            f"{label(path)}: {brief(interface)} is made by this file",
            expected="an interface that the machine has without it",
            found="the port at {also}",
            next_step="name the machine's network card",
            also=("nodes", HOST, "ports", interface),
        )


def _of_a_sandbox(
    topology: Topology, path: Path, name: str, bridge: Bridge, interface: str
) -> Iterator[Flaw]:
    node = topology.nodes.get(bridge.node)
    port = node.ports.get(interface) if node is not None else None
    mtus = _mtus(topology, bridge.node)
    if interface not in mtus:
        elsewhere = any(each == interface for _, each, _ in topology.stations())
        yield Flaw(
            path,
            f"{label(path)}: {brief(bridge.node)} has no interface {brief(interface)}",
            expected=names_of(f"an interface of {brief(bridge.node)}, where the bridge is", mtus),
            found="interfaces of that name on other nodes" if elsewhere else "",
            next_step=f"declare it under nodes, {brief(bridge.node)}, ports, or as a wire's end",
            needs=(("nodes", bridge.node), ("bridges", name, "node"), ("links",)),
        )
    elif port is not None and port.bridge == name:
        yield Flaw(
            path,
            f"{label(path)}: {brief(interface)} is joined to this very bridge, which is a loop",
            expected="an interface that leads somewhere else",
            found="the port at {also}",
            next_step="put that port on another bridge, the one that plays the LAN",
            also=("nodes", bridge.node, "ports", interface, "bridge"),
        )
    elif mtus[interface] < bridge.mtu:
        yield Flaw(
            path,
            f"{label(path)}: packets of {bridge.mtu} bytes do not fit {brief(interface)}",
            expected=f"an uplink with an MTU of at least {bridge.mtu}",
            found=f"{mtus[interface]}",
            next_step=f"write `mtu: {mtus[interface]}` at the bridge",
        )


def _mtus(topology: Topology, node: str) -> dict[str, int]:
    """The interfaces of a node that are no bridges, with their MTU in bytes. A port of a bridge
    that the file does not declare is a flaw by itself, and carries everything here.
    """
    found = {
        interface: topology.mtu_of(port) if port.bridge in topology.bridges else LARGEST_MTU
        for place, interface, port in topology.node_ports()
        if place == node
    }
    found |= {end.interface: link.mtu for end, _, link in topology.wire_ends() if end.node == node}
    return found
