"""Connections that the kernel tracks and that a change of published ports has made stale.

    a forward is gone       its connections (the first packet was translated to its target)
    a forward of UDP is new what was sent to its port before, untranslated: a "connection" of UDP
                            lives as long as somebody sends, and would never meet the new rule

Asked by plain messages: a list, and a deletion by the tuple as the kernel gave it.

Source: include/uapi/linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_common.h.
"""

from __future__ import annotations

import errno
import ipaddress
import struct
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from linkspan.engine.reading.dump import Attributes, Dumps, attributes, network
from linkspan.engine.reading.firewall import NETLINK_NETFILTER
from linkspan.model.rules import PortForward

_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
"""NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET and _DELETE."""

_ORIGINAL, _REPLY, _STATUS, _ID, _ZONE = 1, 2, 3, 12, 18
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_SOURCE: Final = {4: 1, 6: 3}
_DESTINATION: Final = {4: 2, 6: 4}
_PROTO_NUMBER, _PROTO_DESTINATION_PORT = 1, 3
_IPS_DST_NAT: Final = 0x20
_PROTOCOLS: Final = {"tcp": 6, "udp": 17}
_FAMILIES: Final = {4: 2, 6: 10}
_NESTED: Final = 0x8000


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """What a tracked connection began with, and who answers it."""

    protocol: int
    destination: str
    port: int
    answered_by: str
    is_translated: bool
    """Whether its destination was translated."""
    body: bytes
    """What names it in a request to delete it."""


def forget(before: Sequence[PortForward], after: Sequence[PortForward]) -> None:
    """Delete what a change of forwards has made stale, in the namespace of the calling thread.

    Raises OSError.
    """
    gone = [forward for forward in before if forward not in after]
    new = [each for each in after if each not in before and each.protocol == "udp"]
    versions = {ipaddress.ip_address(each.listen).version for each in (*gone, *new)}
    if not versions:
        return
    with Dumps(NETLINK_NETFILTER) as dumps:
        for version in sorted(versions):
            for connection in _connections(dumps, version):
                if is_stale(connection, gone, new):
                    _delete(dumps, connection)


def is_stale(
    connection: Connection, gone: Sequence[PortForward], new: Sequence[PortForward]
) -> bool:
    """Whether a connection belongs to a forward that is gone, or passes one by that is new."""
    if connection.is_translated:
        return any(
            _is_for(connection, forward) and connection.answered_by == forward.target
            for forward in gone
        )
    return any(_is_for(connection, forward) for forward in new)


def _is_for(connection: Connection, forward: PortForward) -> bool:
    listen = ipaddress.ip_address(forward.listen)
    return (
        connection.protocol == _PROTOCOLS[forward.protocol]
        and forward.first <= connection.port <= forward.last
        and ipaddress.ip_address(connection.destination).version == listen.version
        and (listen.is_unspecified or connection.destination == forward.listen)
    )


def _connections(dumps: Dumps, version: int) -> Iterator[Connection]:
    for data in dumps.entries(_GET, struct.pack("=BBH", _FAMILIES[version], 0, 0)):
        if (found := _connection(data, version)) is not None:
            yield found


def _connection(data: bytes, version: int) -> Connection | None:
    attrs = attributes(data, 4)
    if _ORIGINAL not in attrs or _REPLY not in attrs:
        return None
    ip, protocol = _parts(attrs[_ORIGINAL])
    answering, _ = _parts(attrs[_REPLY])
    destination, answered_by = ip.get(_DESTINATION[version]), answering.get(_SOURCE[version])
    if destination is None or answered_by is None:
        return None
    named = _attribute(_ORIGINAL | _NESTED, attrs[_ORIGINAL])
    named += b"".join(_attribute(kind, attrs[kind]) for kind in (_ID, _ZONE) if kind in attrs)
    return Connection(
        protocol=network(protocol.get(_PROTO_NUMBER, b"")),
        destination=str(ipaddress.ip_address(destination)),
        port=network(protocol.get(_PROTO_DESTINATION_PORT, b"")),
        answered_by=str(ipaddress.ip_address(answered_by)),
        is_translated=bool(network(attrs.get(_STATUS, b"")) & _IPS_DST_NAT),
        body=data[:4] + named,
    )


def _parts(data: bytes) -> tuple[Attributes, Attributes]:
    found = attributes(data)
    return attributes(found.get(_TUPLE_IP, b"")), attributes(found.get(_TUPLE_PROTO, b""))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def _delete(dumps: Dumps, connection: Connection) -> None:
    try:
        dumps.carry_out(_DELETE, connection.body)
    except OSError as error:
        if error.errno != errno.ENOENT:  # it has ended by itself
            raise
