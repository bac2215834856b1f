"""What there is of links: wires between nodes, tunnels and taps as ports of the kernel's
bridges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface
from linkspan.model.names import LINK_PREFIX, TAP_PREFIXES, port_name
from linkspan.model.state import AnyKey, AnyValue, Tap, TapKey, Veth, VethKey, Vxlan, VxlanKey

Fact: TypeAlias = tuple[AnyKey, AnyValue]

_ALL_REMOTES = "00:00:00:00:00:00"
"""The entries of a VXLAN device that say where it floods."""

_NO_ADDRESS = (None, "0.0.0.0", "::")


def is_wires_end(interface: Interface) -> bool:
    """Whether this carries the mark of a wire between two nodes."""
    return interface.mark is not None and interface.mark.id.startswith(LINK_PREFIX)


def wires(lab: str, nodes: Mapping[str, NamespaceSnapshot]) -> Iterator[Fact]:
    """The ends of wires. One whose other end is not as it should be is wired to nothing, so that
    a plan makes both anew.
    """
    for node, found in nodes.items():
        for each in found.interfaces:
            if each.mark is None or each.mark.lab != lab or not is_wires_end(each):
                continue
            peer, _, interface = _far_end(each.mark.id, (node, each.name)).partition(".")
            far = nodes[peer].interface(interface) if peer in nodes else None
            if far is None or far.mark != each.mark:
                peer = interface = ""
            yield (
                VethKey(node, each.name),
                Veth(peer_node=peer, peer_interface=interface, mac=each.mac or "", mtu=each.mtu),
            )


def _far_end(mark: str, end: tuple[str, str]) -> str:
    """The end that a mark names beside this one, as `b.eth1`; nothing if it does not name this."""
    ends = mark.removeprefix(LINK_PREFIX).split(":")
    near = port_name(*end)
    if near not in ends:
        return ""
    ends.remove(near)
    return ends[0]


def kernel_tunnel(node: str, interface: Interface, found: NamespaceSnapshot) -> Fact:
    """A VXLAN device of ours. One that is down or on no bridge is to be made anew: of no VNI."""
    details = interface.details
    remotes = {
        entry.remote
        for entry in found.fdb
        if entry.port == interface.name and entry.mac == _ALL_REMOTES and entry.remote
    }
    group = details.get("remote") if details.get("remote") not in _NO_ADDRESS else None
    local = details.get("local") if details.get("local") not in _NO_ADDRESS else None
    names = {each.index: each.name for each in found.interfaces}
    device = details.get("device")
    return (
        VxlanKey(interface.master_name or "", interface.name),
        Vxlan(
            node=node,
            engine="kernel",
            vni=int(details.get("id") or 0) if interface.up else 0,
            remotes=tuple(sorted(remotes - {group})),
            group=None if group is None else str(group),
            interface=names.get(int(device)) if device else None,
            local=None if local is None else str(local),
            port=int(details.get("port") or 0),
            learn_remotes=bool(details.get("learning")),
            mtu=interface.mtu,
            options=dict(interface.port_options or {}),
        ),
    )


def declared_tap(
    lab: str, node: str, interface: Interface, engine: str
) -> tuple[TapKey, Tap] | None:
    """A tap that the lab's file declared as a port of a bridge of that engine; None for all else.
    It is in place on a bridge of the kernel; what our own switch has, it says itself.
    """
    mark, details = interface.mark, interface.details
    if mark is None or mark.lab != lab or not mark.id.startswith(TAP_PREFIXES[engine]):
        return None
    bridge, _, name = mark.id.removeprefix(TAP_PREFIXES[engine]).partition(":")
    if name != interface.name:
        return None
    owner, group = (details.get(each) for each in ("owner", "group"))
    return (
        TapKey(bridge, name),
        Tap(
            node=node,
            engine=engine,
            mtu=interface.mtu,
            owner=None if owner is None else int(owner),
            group=None if group is None else int(group),
            multi_queue=bool(details.get("multi_queue")),
            in_place=interface.up and interface.master_name == bridge,
            options=dict(interface.port_options or {}),
        ),
    )
