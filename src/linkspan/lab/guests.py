"""Guests that others run on a lab's bridges: whose their taps are, and putting them back.

Which taps belong on a bridge is asked of libvirt's own state each time (`engine.reading.guests`)
and not remembered here: a guest may start, get another card and end without any command of ours,
and the next guest's tap has the name of the last one's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linkspan.engine.reading.guests import STATUS, GuestPort, guest_ports
from linkspan.engine.reading.processes import open_taps, taps_of
from linkspan.engine.reading.session_guests import session_ports
from linkspan.engine.reading.taps import namespace_of, with_holders
from linkspan.model.guest_facts import Guest, GuestKey
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.state import Bridge, BridgeKey, State
from linkspan.model.topology import HOST, Scope, Topology


def with_guests(topology: Topology, wanted: State, folder: Path = STATUS) -> State:
    """A state to come, with the ports of libvirt's guests on its bridges of the kernel."""
    if topology.scope is not Scope.HOST:
        return wanted
    found, _ = guest_ports(folder)
    found += session_ports()
    return wanted | {
        GuestKey(HOST, port.tap): Guest(port.bridge, port.guest, port.isolated)
        for port in found
        if _is_kernels(wanted, port.bridge) and _holds(port)
    }


def _is_kernels(state: State, bridge: str) -> bool:
    match state.get(BridgeKey(bridge)):
        case Bridge(engine="kernel"):
            return True
        case _:
            return False


def _holds(port: GuestPort) -> bool:
    """Whether the guest's process has the tap open, in this network namespace."""
    here = Path("/proc/thread-self/ns/net").stat().st_ino
    return any(
        tap.interface == port.tap and namespace_of(tap) in (here, None) for tap in taps_of(port.pid)
    )


def with_foreign_holders(
    nodes: Mapping[str, NamespaceSnapshot],
) -> dict[str, NamespaceSnapshot]:
    """The namespaces of a lab, with the processes that have taps open which are ports there and not
    the lab's. Every namespace knows its inode.
    """
    names = {
        each.name
        for found in nodes.values()
        for each in found.interfaces
        if each.kind == "tap" and each.mark is None and each.port_state is not None
    }
    if not names:
        return dict(nodes)
    taps = [tap for tap in open_taps() if tap.interface in names]
    return dict(zip(nodes, with_holders(list(nodes.values()), taps), strict=True))
