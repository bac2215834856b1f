"""Requests about a bridge that no engine makes, and a dump of its FDB that is quick enough to be
asked for thousands of times.

Sources: include/uapi/linux/{neighbour,rtnetlink}.h, net/bridge/br_{fdb,netlink}.c.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Final

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg

from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.port import PortState
from linkspan.engine.kernel.codec import message_of
from linkspan.engine.netlink import CREATE_OR_REPLACE, Request
from linkspan.types import Mac, format_mac

_NEWLINK, _NEWNEIGH, _DELNEIGH, _GETNEIGH = 16, 28, 29, 30
_REQUEST, _DUMP = 0x1, 0x300
_DONE = 3
_HEADER: Final = struct.Struct("=LHHLL")
_LINK: Final = struct.Struct("=BxHiII")
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NDA_LLADDR, _NDA_VLAN, _NDA_MASTER = 2, 5, 9
_NTF_SELF, _NTF_MASTER, _NTF_STICKY = 0x02, 0x04, 0x40
_NUD_REACHABLE, _NUD_NOARP, _NUD_PERMANENT = 0x02, 0x40, 0x80

_STATES: Final = {
    EntryKind.LEARNED: _NUD_REACHABLE,
    EntryKind.STATIC: _NUD_NOARP,
    EntryKind.STICKY: _NUD_NOARP,
    EntryKind.LOCAL: _NUD_PERMANENT,
}


def flush_bridge(name: str) -> Request:
    """Forget what was learned."""
    info = {
        "attrs": [
            ("IFLA_INFO_KIND", "bridge"),
            ("IFLA_INFO_DATA", {"attrs": [("IFLA_BR_FDB_FLUSH", None)]}),
        ]
    }
    return _change(f"flush {name}", name, info)


def flush_port(name: str) -> Request:
    """Forget what was learned behind a port."""
    return _change_port(f"flush {name}", name, "IFLA_BRPORT_FLUSH", None)


def set_state(name: str, state: PortState) -> Request:
    """Do as if spanning tree had put a port into a state."""
    return _change_port(f"make {name} {state.name}", name, "IFLA_BRPORT_STATE", state.value)


def _change_port(purpose: str, name: str, attribute: str, value: int | None) -> Request:
    info = {
        "attrs": [
            ("IFLA_INFO_SLAVE_KIND", "bridge"),
            ("IFLA_INFO_SLAVE_DATA", {"attrs": [(attribute, value)]}),
        ]
    }
    return _change(purpose, name, info)


def _change(purpose: str, name: str, info: Mapping[str, object]) -> Request:
    attributes = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", info)]
    return Request(purpose, message_of(ifinfmsg, _NEWLINK, 0, {}, attributes))


def put_entry(index: int, is_bridge: bool, mac: Mac, kind: EntryKind) -> Request:
    """Add or replace an FDB entry of any kind on a port, or on the bridge itself."""
    fields = {
        "family": socket.AF_BRIDGE,
        "ifindex": index,
        "state": _STATES[kind],
        "flags": _place(is_bridge) | (_NTF_STICKY if kind is EntryKind.STICKY else 0),
    }
    return _entry(_NEWNEIGH, CREATE_OR_REPLACE, fields, mac)


def delete_entry(index: int, is_bridge: bool, mac: Mac) -> Request:
    """Delete an FDB entry of any kind of a port, or of the bridge itself."""
    fields = {"family": socket.AF_BRIDGE, "ifindex": index, "flags": _place(is_bridge)}
    return _entry(_DELNEIGH, 0, fields, mac)


def _place(is_bridge: bool) -> int:
    return _NTF_SELF if is_bridge else _NTF_MASTER


def _entry(number: int, flags: int, fields: dict[str, int], mac: Mac) -> Request:
    attributes = [("NDA_LLADDR", format_mac(mac))]
    message = message_of(ndmsg, number, flags, fields, attributes)
    return Request(f"change the entry of {format_mac(mac)}", message)


def entries(sock: socket.socket, bridge: int) -> Iterator[tuple[Mac, int, EntryKind]]:
    """Address, interface and kind of each entry of a bridge that is not in a VLAN."""
    body = _LINK.pack(socket.AF_BRIDGE, 0, 0, 0, 0)
    sock.send(_HEADER.pack(_HEADER.size + len(body), _GETNEIGH, _REQUEST | _DUMP, 0, 0) + body)
    while True:
        received = sock.recv(1 << 18)
        offset = 0
        while offset < len(received):
            length, number, *_ = _HEADER.unpack_from(received, offset)
            if number == _DONE:
                return
            assert number == _NEWNEIGH, "the kernel refuses to list the FDB"
            body = received[offset + _HEADER.size : offset + length]
            _, index, state, flags, _ = _NEIGHBOUR.unpack_from(body)
            found = dict(_attributes(body[_NEIGHBOUR.size :]))
            if found.get(_NDA_MASTER) == struct.pack("=I", bridge) and _NDA_VLAN not in found:
                yield Mac(found[_NDA_LLADDR]), index, _kind(state, flags)
            offset += (length + 3) & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        yield kind, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def _kind(state: int, flags: int) -> EntryKind:
    if state & _NUD_PERMANENT:
        return EntryKind.LOCAL
    if state & _NUD_NOARP:
        return EntryKind.STICKY if flags & _NTF_STICKY else EntryKind.STATIC
    return EntryKind.LEARNED
