"""What there is of bridges of the kernel engine: read of a lab's namespaces, as facts of a state.

Both ends of a veth carry the mark of the port (`web.eth0`): the one that has the interface's name,
in the node, and the other one, which is the bridge's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface
from linkspan.model.names import Mark
from linkspan.model.state import (
    Bridge,
    BridgeKey,
    Entry,
    EntryKey,
    Port,
    PortKey,
    Uplink,
    UplinkKey,
)
from linkspan.plan.current_links import Fact, declared_tap, is_wires_end, kernel_tunnel


def kernel_bridges(lab: str, nodes: Mapping[str, NamespaceSnapshot]) -> Iterator[Fact]:
    """Bridges of the kernel engine, their ports, uplinks and configured entries."""
    for node, found in nodes.items():
        bridges = {each.name for each in found.interfaces if _is_bridge_of(lab, each)}
        for interface in found.interfaces:
            if interface.name in bridges:
                yield (
                    BridgeKey(interface.name),
                    Bridge(
                        node=node,
                        engine="kernel",
                        mac=interface.mac or "",
                        mtu=interface.mtu,
                        options=dict(interface.bridge_options or {}),
                    ),
                )
            elif interface.kind == "vxlan" and interface.mark == Mark(lab, interface.name):
                yield kernel_tunnel(node, interface, found)
            elif (tap := declared_tap(lab, node, interface, "kernel")) is not None:
                yield tap
            elif _is_bridges_end_of(lab, interface):
                yield from _kernel_port(interface, nodes)
            elif interface.master_name in bridges:  # also a node's end, the card of a sandbox
                yield (
                    UplinkKey(node, interface.name),
                    Uplink(
                        bridge=interface.master_name or "",
                        engine="kernel",
                        options=dict(interface.port_options or {}),
                    ),
                )
        for entry in found.fdb:
            if entry.bridge in bridges and "static" in entry.flags:
                port = port_label(found.interface(entry.port)) or entry.port
                key = EntryKey(entry.bridge or "", entry.mac, entry.vlan or 0)
                yield key, Entry(port=port, sticky="sticky" in entry.flags)


def _is_bridge_of(lab: str, interface: Interface) -> bool:
    mark = interface.mark
    return interface.kind == "bridge" and mark is not None and mark.lab == lab


def _is_bridges_end_of(lab: str, interface: Interface) -> bool:
    mark = interface.mark
    return mark is not None and mark.lab == lab and is_bridges_end(interface)


def port_label(interface: Interface | None) -> str | None:
    """The name as a port, `web.eth0`, of the bridge's end of a veth of ours."""
    if interface is None or interface.mark is None or not is_bridges_end(interface):
        return None
    return interface.mark.id


def is_bridges_end(interface: Interface) -> bool:
    """Whether this is what a bridge has of a port, and no interface of a node: `web.eth0`, and
    what our own switch works with (`ls-…`).
    """
    if interface.mark is None or is_wires_end(interface):
        return False
    node, dot, name = interface.mark.id.partition(".")
    return node.startswith("~") or (
        interface.kind in ("veth", "tap") and dot != "" and interface.name != name
    )


def _kernel_port(interface: Interface, nodes: Mapping[str, NamespaceSnapshot]) -> Iterator[Fact]:
    """The port whose bridge's end this interface is; nothing for the node's end."""
    if interface.mark is None or not is_bridges_end(interface):
        return
    node, _, name = interface.mark.id.partition(".")
    if interface.kind == "tap":
        if node not in nodes and not node.startswith("~"):  # a machine has no namespace
            yield (
                PortKey(node, name),
                Port(
                    bridge=interface.master_name or "",
                    engine="kernel",
                    mac="",
                    mtu=interface.mtu,
                    kind="machine",
                    options=dict(interface.port_options or {}),
                ),
            )
        return
    if node not in nodes:
        return
    far = nodes[node].interface(name)
    if far is None or far.mark != interface.mark:
        return
    yield (
        PortKey(node, name),
        Port(
            bridge=interface.master_name or "",
            engine="kernel",
            mac=far.mac or "",
            mtu=far.mtu,
            options=dict(interface.port_options or {}),
        ),
    )
