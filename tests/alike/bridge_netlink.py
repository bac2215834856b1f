"""rtnetlink messages about a bridge, as short as a test that sends thousands of them needs them.

Sources: include/uapi/linux/{if_link,if_bridge,neighbour,rtnetlink}.h, rtnetlink(7).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final

from linkspan.engine.netlink import Request

_NEWLINK, _SETLINK, _NEWNEIGH, _DELNEIGH, _GETNEIGH = 16, 19, 28, 29, 30
_REQUEST, _ACK, _DUMP, _REPLACE, _EXCL, _CREATE = 0x1, 0x4, 0x300, 0x100, 0x200, 0x400
_ERROR, _DONE = 2, 3
_NESTED: Final = 0x8000
_HEADER: Final = struct.Struct("=LHHLL")
_LINK: Final = struct.Struct("=BxHiII")
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")
_ATTRIBUTE: Final = struct.Struct("=HH")

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER, _IFLA_PROTINFO, _IFLA_LINKINFO = 1, 3, 10, 12, 18
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_NDA_LLADDR, _NDA_VLAN, _NDA_MASTER = 2, 5, 9
NTF_SELF, NTF_MASTER, NTF_STICKY = 0x02, 0x04, 0x40
NUD_REACHABLE, NUD_STALE, NUD_NOARP, NUD_PERMANENT = 0x02, 0x04, 0x40, 0x80

BRIDGE_OPTIONS: Final = {
    "ageing_time": (4, "=I"),
    "group_fwd_mask": (9, "=H"),
    "fdb_flush": (21, ""),
    "mcast_snooping": (23, "=B"),
    "nf_call_iptables": (36, "=B"),
    "nf_call_ip6tables": (37, "=B"),
    "nf_call_arptables": (38, "=B"),
    "vlan_default_pvid": (39, "=H"),
    "fdb_max_learned": (49, "=I"),
}
"""Attribute (IFLA_BR_*) and format of each option."""

PORT_OPTIONS: Final = {
    "state": (1, "=B"),
    "hairpin": (4, "=B"),
    "learning": (8, "=B"),
    "unicast_flood": (9, "=B"),
    "fdb_flush": (24, ""),
    "multicast_flood": (27, "=B"),
    "broadcast_flood": (30, "=B"),
    "group_fwd_mask": (31, "=H"),
    "isolated": (33, "=B"),
}
"""Attribute (IFLA_BRPORT_*) and format of each option."""


class _Message:
    """What `Netlink.run` wants of a message: a header to fill in, and bytes."""

    def __init__(self, number: int, flags: int, body: bytes) -> None:
        self._head = {"sequence_number": 0}
        self._number, self._flags, self._body = number, flags, body
        self.data = b""

    def __getitem__(self, _: str) -> dict[str, int]:
        return self._head

    def encode(self) -> None:
        self.data = _HEADER.pack(
            _HEADER.size + len(self._body),
            self._number,
            _REQUEST | self._flags,
            self._head["sequence_number"],
            0,
        )
        self.data += self._body


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _options(table: dict[str, tuple[int, str]], options: dict[str, int]) -> bytes:
    return b"".join(
        _attribute(table[name][0], struct.pack(table[name][1], value) if table[name][1] else b"")
        for name, value in options.items()
    )


def _bridge(name: str, flags: int, options: dict[str, int], extra: bytes = b"") -> _Message:
    data = _attribute(_IFLA_INFO_DATA | _NESTED, _options(BRIDGE_OPTIONS, options))
    info = _attribute(_IFLA_LINKINFO | _NESTED, _attribute(_IFLA_INFO_KIND, b"bridge") + data)
    link = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    body = link + _attribute(_IFLA_IFNAME, name.encode() + b"\0") + extra + info
    return _Message(_NEWLINK, _ACK | flags, body)


def add_bridge(name: str, mac: bytes, **options: int) -> Request:
    """Make a bridge with an address."""
    message = _bridge(name, _CREATE | _EXCL, options, _attribute(_IFLA_ADDRESS, mac))
    return Request(f"make the bridge {name}", message)


def set_bridge(name: str, **options: int) -> Request:
    """Change options of a bridge."""
    return Request(f"set {options} of {name}", _bridge(name, 0, options))


def set_master(index: int, master: int) -> Request:
    """Put an interface into a bridge, or with 0 take it out."""
    body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)
    body += _attribute(_IFLA_MASTER, struct.pack("=I", master))
    return Request("change the bridge of a port", _Message(_NEWLINK, _ACK, body))


def set_port(index: int, **options: int) -> Request:
    """Change options of a port."""
    body = _LINK.pack(socket.AF_BRIDGE, 0, index, 0, 0)
    body += _attribute(_IFLA_PROTINFO | _NESTED, _options(PORT_OPTIONS, options))
    return Request(f"set {options} of a port", _Message(_SETLINK, _ACK, body))


def put_entry(index: int, mac: bytes, state: int, flags: int) -> Request:
    """Add or replace an FDB entry on a port (NTF_MASTER) or on the bridge itself (NTF_SELF)."""
    body = _NEIGHBOUR.pack(socket.AF_BRIDGE, index, state, flags, 0)
    body += _attribute(_NDA_LLADDR, mac)
    message = _Message(_NEWNEIGH, _ACK | _CREATE | _REPLACE, body)
    return Request(f"put an entry for {mac.hex(':')}", message)


def delete_entry(index: int, mac: bytes, flags: int) -> Request:
    """Delete an FDB entry of a port (NTF_MASTER) or of the bridge itself (NTF_SELF)."""
    body = _NEIGHBOUR.pack(socket.AF_BRIDGE, index, NUD_PERMANENT, flags, 0)
    body += _attribute(_NDA_LLADDR, mac)
    return Request(f"delete the entry of {mac.hex(':')}", _Message(_DELNEIGH, _ACK, body))


def entries(sock: socket.socket, master: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Address, interface, NUD state and NTF flags of each entry of a bridge outside of VLANs."""
    request = _Message(_GETNEIGH, _DUMP, _LINK.pack(socket.AF_BRIDGE, 0, 0, 0, 0))
    request.encode()
    sock.send(request.data)
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
            if found.get(_NDA_MASTER) == struct.pack("=I", master) and _NDA_VLAN not in found:
                yield found[_NDA_LLADDR], index, state, flags
            offset += (length + 3) & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        yield kind, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
