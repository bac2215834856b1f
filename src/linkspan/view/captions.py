"""The words of a picture: what stands in the boxes and beside the wires.

Only what helps to recognise a node or to see why its wire carries nothing is written; the tables
have the rest. An IPv6 link-local address is left out where the interface has a better one: every
interface has one. Of a node's interfaces, the one at the wire is told in full and the others in a
line each, since they are told in full below their own bridges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from linkspan.model.snapshot import (
    BridgeSnapshot,
    InterfaceSnapshot,
    LabSnapshot,
    NodeSnapshot,
    PortSnapshot,
)
from linkspan.types import HOST_PORT
from linkspan.view.drawing import FRAME, WIRE
from linkspan.view.table import plural, printable
from linkspan.view.tables import interface_state, is_ordinary_loopback, option_notes

LARGEST_REST: Final = 4
"""Further interfaces that a box names one by one."""

_SPACES: Final = "   "
_ENDS: Final = {
    "stream": "stream socket",
    "dgram": "datagram socket",
    "packet": "network card",
}
"""What stands at the end of a port that leads to no node, by the port's kind."""


@dataclass(frozen=True, slots=True)
class Hanging:
    """What hangs from one port: the words beside the wire, and the box below it."""

    labels: tuple[str, ...]
    lines: tuple[str, ...]
    row: tuple[str, ...]
    """The same as cells of a list: number, name, interface, address, MAC, notes."""
    is_cut: bool = False

    @property
    def width(self) -> int:
        """Columns that wire and box need."""
        beside_wire = max((len(label) + WIRE + 2 for label in self.labels), default=0)
        return max(WIRE + 3, beside_wire, *(len(line) + FRAME for line in self.lines))


def title(lab: LabSnapshot) -> str:
    since = datetime.fromtimestamp(lab.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    state = f"{lab.state} since {since}"
    if lab.state == "stale":
        state = f"stale (its holder process is gone), brought up {since}"
    return printable(f"Lab {lab.name}: {state}, scope {lab.scope}")


def bridge_lines(bridge: BridgeSnapshot, scope: str) -> list[str]:
    ports = sum(port.number != HOST_PORT for port in bridge.ports)
    first = [bridge.name, f"{bridge.engine} engine", bridge.mac, "up" if bridge.up else "DOWN"]
    second = [plural(ports, "port"), f"FDB {plural(len(bridge.fdb), 'entry', 'entries')}"]
    if bridge.restarts:
        second.append(f"restarted {plural(bridge.restarts, 'time')}")
    lines = [_SPACES.join(first), _SPACES.join(second)]
    if bridge.engine == "user":
        flows = f", {plural(bridge.flows, 'flow')}" if bridge.cache == "on" else ""
        lines.append(f"in-kernel cache {bridge.cache}{flows}")
    if bridge.engine == "user" and scope == "host":
        lines.append("no bridge of the kernel: no ports for libvirt")
    if bridge.engine_reason:
        lines.append(f"engine auto: {bridge.engine_reason}")
    return [printable(line) for line in lines]


def stack_lines(lab: LabSnapshot, bridge: BridgeSnapshot) -> list[str]:
    lines = [f"{bridge.node}: network stack"]
    addresses = worth_showing(bridge.addresses)
    lines += [f"{bridge.name}  {addresses[0]}"] if addresses else [f"{bridge.name}  no address"]
    lines += [f"{'':<{len(bridge.name)}}  {address}" for address in addresses[1:]]
    if not addresses:
        lines.append("(layer 2 only)")
    node = _node(lab, bridge.node)
    if node is not None and _first_bridge_on(lab, node.name) is bridge:
        own = {each.name for each in lab.bridges if each.node == node.name}
        ports = {port.name for each in lab.bridges for port in each.ports}
        lines += _rest_lines(lab, node, own | ports)
    return list(map(printable, lines))


def own_wire(lab: LabSnapshot, bridge: BridgeSnapshot) -> tuple[list[str], bool]:
    port = next((port for port in bridge.ports if port.number == HOST_PORT), None)
    notes = [] if port is None else _port_notes(port)
    interface = _interface(_node(lab, bridge.node), bridge.name)
    if not bridge.up:
        notes.append("down")
    elif interface is not None and interface_state(interface) != "up":
        notes.append(interface_state(interface))
    is_cut = not bridge.up or (port is not None and port.state != "forwarding")
    label = "the bridge's own port" if port is None else f"{port.number} {port.name}"
    return [printable(", ".join([label, *notes]))], is_cut or "no carrier" in notes


def hanging_from(lab: LabSnapshot, bridge: BridgeSnapshot, port: PortSnapshot) -> Hanging:
    node = None if port.node is None else _node(lab, port.node)
    interface = _port_interface(node, bridge, port)
    notes = _port_notes(port)
    labels = (f"{port.number} {port.name}", ", ".join([port.kind, *notes]))
    interface_name = interface.name if interface else port.interface or ""
    state = interface_state(interface) if interface else "up"
    if node is not None:
        lines = [node_title(node)]
        lines += interface_lines(interface) if interface else [interface_name or "no interface"]
        lines += _rest_lines(lab, node, {interface_name})
    elif port.node is not None:
        lines = [port.node, *([interface_name] if interface_name else []), "(not observed)"]
    elif port.held_by is not None:
        holder = port.held_by
        lines = [f"guest {holder.guest}" if holder.guest else "a program of others"]
        lines += [f"{holder.command} {holder.pid}, descriptor {holder.descriptor}"]
    else:
        end = _ENDS.get(port.kind, port.kind)
        lines = [end, *([interface_name] if interface_name else [])]
    address = ", ".join(worth_showing(interface.addresses)) if interface else ""
    row = (
        f"{port.number:>3}",
        lines[0],
        interface_name,
        address or ("no address" if interface else ""),
        interface.mac if interface else "",
        ", ".join([port.name, port.kind, *notes, *([] if state == "up" else [state])]),
    )
    return Hanging(
        labels=tuple(map(printable, labels)),
        lines=tuple(map(printable, lines)),
        row=tuple(map(printable, row)),
        is_cut=port.state != "forwarding" or state != "up",
    )


def interface_lines(interface: InterfaceSnapshot) -> list[str]:
    state = interface_state(interface)
    name = interface.name if state == "up" else f"{interface.name} ({state})"
    wire = [interface.wire] if interface.wire else []
    return [name, *wire, *(worth_showing(interface.addresses) or ["no address"]), interface.mac]


def _rest_lines(lab: LabSnapshot, node: NodeSnapshot, shown: set[str]) -> list[str]:
    """The node's other interfaces, a line each."""
    bridges = {bridge.name for bridge in lab.bridges if bridge.node == node.name}
    lines: list[str] = []
    for interface in node.interfaces:
        if interface.name in shown or is_ordinary_loopback(interface):
            continue
        if interface.name in bridges:
            where = "its own bridge"
        elif interface.bridge:
            where = f"on {interface.bridge}"
        else:
            wire = [interface.wire] if interface.wire else []
            where = ", ".join([*wire, *worth_showing(interface.addresses)]) or "no address"
        state = interface_state(interface)
        lines.append(f"+ {interface.name} {where}" + ("" if state == "up" else f" ({state})"))
    if len(lines) <= LARGEST_REST:
        return lines
    more = len(lines) - LARGEST_REST
    return [*lines[:LARGEST_REST], f"+ {plural(more, 'more interface')}"]


def node_title(node: NodeSnapshot) -> str:
    return node.name if node.kind in ("container", node.name) else f"{node.name} ({node.kind})"


def _port_notes(port: PortSnapshot) -> list[str]:
    state = [] if port.state == "forwarding" else [port.state]
    return [*state, *option_notes(port)]


def _port_interface(
    node: NodeSnapshot | None, bridge: BridgeSnapshot, port: PortSnapshot
) -> InterfaceSnapshot | None:
    if port.interface is not None or node is None:
        return _interface(node, port.interface)
    here = [interface for interface in node.interfaces if interface.bridge == bridge.name]
    return here[0] if len(here) == 1 else None


def worth_showing(addresses: Iterable[str]) -> list[str]:
    every = list(addresses)
    return [address for address in every if not address.lower().startswith("fe80:")] or every


def _first_bridge_on(lab: LabSnapshot, node: str) -> BridgeSnapshot | None:
    return next((bridge for bridge in lab.bridges if bridge.node == node), None)


def _node(lab: LabSnapshot, name: str) -> NodeSnapshot | None:
    return next((node for node in lab.nodes if node.name == name), None)


def _interface(node: NodeSnapshot | None, name: str | None) -> InterfaceSnapshot | None:
    if node is None:
        return None
    return next((interface for interface in node.interfaces if interface.name == name), None)
