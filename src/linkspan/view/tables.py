"""One table each for bridges, ports, FDB, addresses and drops.

Frames are counted exactly, with separators; bytes are rounded to a unit a person can compare.
Where a lab has nothing of a kind, the function says so in a sentence instead of showing headings
without rows; only `drops_table`, which is an addition to the ports, is then empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from linkspan.model.interface_snapshot import Interface, TapHolder
from linkspan.model.snapshot import (
    BridgeSnapshot,
    InterfaceSnapshot,
    LabSnapshot,
    PortSnapshot,
)
from linkspan.types import HOST_PORT, NO_VLAN
from linkspan.view.table import Cell, Quantity, byte_count, seconds, table

_LOOPBACK_ADDRESSES: Final = frozenset({"127.0.0.1/8", "::1/128"})
_NOTABLE_OPTIONS: Final[tuple[tuple[str, bool, str], ...]] = (
    ("isolated", True, "isolated"),
    ("hairpin", True, "hairpin"),
    ("learning", False, "no learning"),
    ("unicast_flood", False, "no unknown unicast"),
    ("multicast_flood", False, "no multicast"),
    ("broadcast_flood", False, "no broadcast"),
)
"""Option of a port, the value that is not the ordinary one, and how we say so."""


def bridges_table(lab: LabSnapshot) -> str:
    """One line a bridge; `ports` does not count the bridge's own port."""
    rows: list[list[Cell]] = [
        [
            bridge.node,
            bridge.name,
            bridge.engine,
            bridge.mac,
            "up" if bridge.up else "down",
            sum(port.number != HOST_PORT for port in bridge.ports),
            ", ".join(bridge.addresses) or None,
            len(bridge.fdb),
            bridge.restarts,
        ]
        for bridge in lab.bridges
    ]
    headings = ["node", "bridge", "engine", "MAC", "state", "ports", "addresses", "FDB"]
    headings.append("restarts")
    return table(headings, rows) if rows else f"Lab {lab.name} has no bridge."


def ports_table(lab: LabSnapshot) -> str:
    """One line a port, with its counters seen from the switch: `in` came from the port."""
    rows: list[list[Cell]] = [
        [
            bridge.name,
            Quantity(port.number),
            port.name,
            port.kind,
            port.state,
            far_end(bridge, port),
            ", ".join(option_notes(port)) or None,
            port.counters.frames_in,
            byte_count(port.counters.bytes_in),
            port.counters.frames_out,
            byte_count(port.counters.bytes_out),
            sum(port.counters.drops.values()),
        ]
        for bridge in lab.bridges
        for port in bridge.ports
    ]
    headings = ["bridge", "no.", "port", "kind", "state", "far end", "options"]
    headings += ["frames in", "bytes in", "frames out", "bytes out", "drops"]
    return table(headings, rows) if rows else f"Lab {lab.name} has no ports."


def fdb_table(lab: LabSnapshot) -> str:
    """Which MAC address is behind which port; sorted by port, then address."""
    rows: list[list[Cell]] = []
    for bridge in lab.bridges:
        ports = {port.name: port for port in bridge.ports}
        order = {name: place for place, name in enumerate(ports)}
        entries = sorted(
            bridge.fdb, key=lambda entry: (order.get(entry.port, len(order)), entry.mac, entry.vlan)
        )
        rows += [
            [
                bridge.name,
                entry.mac,
                None if entry.vlan == NO_VLAN else Quantity(entry.vlan),
                entry.port,
                far_end(bridge, ports[entry.port]) if entry.port in ports else None,
                entry.kind,
                None if entry.age is None else seconds(entry.age),
            ]
            for entry in entries
        ]
    headings = ["bridge", "MAC", "VLAN", "port", "far end", "kind", "age"]
    return table(headings, rows) if rows else "No bridge has learned an address yet."


def addresses_table(lab: LabSnapshot) -> str:
    """Every interface of every node, one line an address; an ordinary loopback is left out."""
    rows: list[list[Cell]] = []
    for node in lab.nodes:
        name = node.name
        for interface in node.interfaces:
            if is_ordinary_loopback(interface):
                continue
            rows.append(
                [
                    name,
                    interface.name,
                    interface.bridge or interface.wire or None,
                    interface.mac,
                    interface_state(interface),
                    Quantity(interface.mtu),
                    interface.addresses[0] if interface.addresses else None,
                ]
            )
            rows += [["", "", "", "", "", "", address] for address in interface.addresses[1:]]
            name = ""
        if name and not node.interfaces:
            rows.append([name, None, None, None, None, None, None])
    headings = ["node", "interface", "bridge", "MAC", "state", "MTU", "addresses"]
    return table(headings, rows) if rows else f"Lab {lab.name} has no interfaces."


def drops_table(lab: LabSnapshot) -> str:
    """Why frames ended at which port, most frequent first; empty when none did."""
    rows: list[list[Cell]] = [
        [bridge.name, port.name, reason, frames]
        for bridge in lab.bridges
        for port in bridge.ports
        for reason, frames in sorted(
            port.counters.drops.items(), key=lambda drop: (-drop[1], drop[0])
        )
        if frames
    ]
    return table(["bridge", "port", "reason", "frames"], rows) if rows else ""


def far_end(bridge: BridgeSnapshot, port: PortSnapshot) -> str | None:
    """What the port leads to, as `node:interface`; None for a socket that nobody here made."""
    if port.held_by is not None:
        return holder_text(port.held_by)
    if port.node is None:
        return f"{bridge.node}:{bridge.name}" if port.number == HOST_PORT else port.interface
    return f"{port.node}:{port.interface}" if port.interface else port.node


def holder_text(holder: TapHolder) -> str:
    """Who has a tap open: `guest web (qemu-system-x86, pid 7)`, or the program alone."""
    if holder.guest is None:
        return f"{holder.command} (pid {holder.pid})"
    return f"guest {holder.guest} ({holder.command}, pid {holder.pid})"


def interface_state(interface: InterfaceSnapshot | Interface) -> str:
    """`up`, `down`, or `no carrier`: up, but with nothing at the other end of the wire."""
    if not interface.up:
        return "down"
    return "up" if interface.carrier else "no carrier"


def option_notes(port: PortSnapshot) -> Iterable[str]:
    """The port's options that are not the ordinary ones, and its limits, in words."""
    notes = [
        words
        for option, notable, words in _NOTABLE_OPTIONS
        if option in port.options and bool(port.options[option]) is notable
    ]
    return notes if port.shape is None else [*notes, port.shape.words]


def is_ordinary_loopback(interface: InterfaceSnapshot) -> bool:
    """Whether it is a `lo` that is up and has no address but its own."""
    return (
        interface.name == "lo"
        and interface.up
        and _LOOPBACK_ADDRESSES.issuperset(interface.addresses)
    )
