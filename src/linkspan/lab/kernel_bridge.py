"""A bridge of the kernel as `show` has it: the same values that our own switch reports.

The kernel counts at the port's device. What a device received came into the bridge, unless it is
the bridge's own, which counts as the host's stack sees it: what the stack sent came in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from linkspan.model.host_snapshot import FdbEntry, NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface
from linkspan.model.names import Mark
from linkspan.model.options import BY_NAME, OptionScope
from linkspan.model.snapshot import BridgeSnapshot, Counters, FdbSnapshot, PortSnapshot
from linkspan.plan.current_bridges import is_bridges_end, port_label

Setting = bool | int | float | str


def kernel_bridge(
    lab: str, name: str, node: str, nodes: Mapping[str, NamespaceSnapshot]
) -> BridgeSnapshot:
    """One bridge of the kernel engine, from the readings of the lab's nodes. One that is gone is
    down and has no ports.
    """
    found = nodes[node]
    own = found.interface(name)
    if own is None or own.mark != Mark(lab, name):
        return _gone(name, node)
    return BridgeSnapshot(
        name=name,
        node=node,
        engine="kernel",
        mac=own.mac or "",
        up=own.up,
        addresses=[],
        options=_options(OptionScope.BRIDGE, own.bridge_options or {}),
        pid=0,
        restarts=0,
        ports=[_host_port(own, node), *_ports(own, found)],
        fdb=[_entry(entry, own, found) for entry in found.fdb if entry.bridge == name],
    )


def _gone(name: str, node: str) -> BridgeSnapshot:
    return BridgeSnapshot(
        name=name,
        node=node,
        engine="kernel",
        mac="",
        up=False,
        addresses=[],
        options={},
        pid=0,
        restarts=0,
        ports=[],
        fdb=[],
    )


def _host_port(own: Interface, node: str) -> PortSnapshot:
    seen = own.statistics
    return PortSnapshot(
        name=own.name,
        number=0,
        kind="bridge",
        state="forwarding" if own.up else "disabled",
        node=node,
        interface=own.name,
        options=_options(OptionScope.PORT, {}),
        counters=Counters(
            frames_in=seen.frames_out,
            bytes_in=seen.bytes_out,
            frames_out=seen.frames_in,
            bytes_out=seen.bytes_in,
        ),
    )


def _ports(own: Interface, found: NamespaceSnapshot) -> Iterator[PortSnapshot]:
    ports = [each for each in found.interfaces if each.master == own.index and each.port_state]
    for port in sorted(ports, key=lambda each: each.port_state.number if each.port_state else 0):
        assert port.port_state is not None
        node, _, interface = (port_label(port) or "").partition(".")
        seen = port.statistics
        lost = {"DEVICE_IN": seen.drops_in, "DEVICE_OUT": seen.drops_out}
        yield PortSnapshot(
            name=port_label(port) or port.name,
            number=port.port_state.number,
            kind=port.kind,
            state=port.port_state.state,
            node=node if is_bridges_end(port) else None,
            interface=interface if is_bridges_end(port) else None,
            options=_options(OptionScope.PORT, port.port_options or {}),
            counters=Counters(
                frames_in=seen.frames_in,
                bytes_in=seen.bytes_in,
                frames_out=seen.frames_out,
                bytes_out=seen.bytes_out,
                drops={reason: count for reason, count in lost.items() if count},
            ),
            held_by=port.holders[0] if port.holders and port.mark is None else None,
        )


def _options(scope: OptionScope, values: Mapping[str, object]) -> dict[str, Setting]:
    """All options that a user knows of our own switch, and whatever else is not at its default."""
    return {
        name: value
        for name, option in BY_NAME[scope].items()
        if isinstance(value := values.get(name, option.default), Setting)
    }


def _entry(entry: FdbEntry, own: Interface, found: NamespaceSnapshot) -> FdbSnapshot:
    if "permanent" in entry.flags:
        kind = "local"
    elif "sticky" in entry.flags:
        kind = "sticky"
    else:
        kind = "static" if "static" in entry.flags else "learned"
    return FdbSnapshot(
        mac=entry.mac,
        vlan=entry.vlan or 0,
        port=port_label(found.interface(entry.port)) or entry.port,
        kind=kind,
        age=entry.updated if kind == "learned" else None,
    )
