"""Addresses and routes: RTM_GETADDR's and RTM_GETROUTE's answers as values.

Sources: include/uapi/linux/{if_addr,rtnetlink}.h, net/ipv{4,6}.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from linkspan.engine.reading.dump import (
    Attributes,
    Dumps,
    attributes,
    internet,
    names_of,
    native,
    text,
)
from linkspan.model.host_snapshot import Address, NextHop, Route

_GETADDR, _GETROUTE = 22, 26
_AF_INET, _AF_INET6 = 2, 10
_ADDRESS_HEADER: Final = struct.Struct("=BBBBi")
_ROUTE_HEADER: Final = struct.Struct("=BBBBBBBBI")
_NEXT_HOP: Final = struct.Struct("=HBBi")
_FOREVER: Final = 0xFFFFFFFF
_LOCAL_TABLE: Final = 255
_CLONED: Final = 0x200
"""RTM_F_CLONED: an exception that path MTU discovery or a redirect left, not a route."""
_ANYWHERE: Final = {_AF_INET: "0.0.0.0", _AF_INET6: "::"}
"""The families whose addresses and routes we know, and what stands for all of their addresses."""

SCOPES: Final = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
_IPV4_FLAGS: Final = {0x01: "secondary"}
_IPV6_FLAGS: Final = {0x01: "temporary"}
_ADDRESS_FLAGS: Final = {
    0x02: "nodad",
    0x04: "optimistic",
    0x08: "dadfailed",
    0x10: "home",
    0x20: "deprecated",
    0x40: "tentative",
    0x80: "permanent",
    0x100: "mngtmpaddr",
    0x200: "noprefixroute",
    0x400: "autojoin",
    0x800: "stable-privacy",
}
_PERMANENT: Final = 0x80
_ADDRESS_PROTOCOLS: Final = {0: "", 1: "kernel_lo", 2: "kernel_ra", 3: "kernel_ll"}
_KINDS: Final = (
    "unspecified",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
)
_PROTOCOLS: Final = {
    0: "",
    1: "redirect",
    2: "kernel",
    3: "boot",
    4: "static",
    8: "gated",
    9: "ra",
    10: "mrt",
    11: "zebra",
    12: "bird",
    14: "xorp",
    16: "dhcp",
    17: "mrouted",
    18: "keepalived",
    42: "babel",
    186: "bgp",
    187: "isis",
    188: "ospf",
    189: "rip",
    192: "eigrp",
}
"""RTPROT_*, by the names of ip(8)."""

_ROUTE_FLAGS: Final = {
    1: "dead",
    2: "pervasive",
    4: "onlink",
    8: "offload",
    16: "linkdown",
    32: "unresolved",
    64: "trap",
}
_PREFERENCES: Final = {0: "medium", 1: "high", 3: "low"}
_METRICS: Final = {
    1: "lock",
    2: "mtu",
    3: "window",
    4: "rtt",
    5: "rttvar",
    6: "ssthresh",
    7: "cwnd",
    8: "advmss",
    9: "reordering",
    10: "hoplimit",
    11: "initcwnd",
    12: "features",
    13: "rto_min",
    14: "initrwnd",
    15: "quickack",
    17: "fastopen_no_cookie",
}
"""RTAX_*, by the names of ip(8)."""


def read_addresses(dumps: Dumps, names: Mapping[int, str]) -> list[Address]:
    """All addresses, in the kernel's order. Raises OSError."""
    return [
        _address(_ADDRESS_HEADER.unpack_from(data), attributes(data, 8), names)
        for data in dumps.entries(_GETADDR, _ADDRESS_HEADER.pack(0, 0, 0, 0, 0))
        if data[0] in _ANYWHERE
    ]


def _address(header: tuple[int, ...], attrs: Attributes, names: Mapping[int, str]) -> Address:
    family, length, flags, scope, index = header
    own = attrs.get(2) or attrs.get(1, b"")
    far = attrs.get(1, own)
    bits = native(attrs[8]) if 8 in attrs else flags
    table = _IPV4_FLAGS if family == _AF_INET else _IPV6_FLAGS
    preferred, valid = struct.unpack_from("=II", attrs[6]) if 6 in attrs else (_FOREVER,) * 2
    protocol = native(attrs.get(11, b""))
    lasting = () if bits & _PERMANENT else ("dynamic",)
    return Address(
        address=f"{internet(own)}/{length}",
        index=index,
        interface=names.get(index, str(index)),
        scope=SCOPES.get(scope, str(scope)),
        flags=names_of(bits, table) + names_of(bits, _ADDRESS_FLAGS) + lasting,
        peer=f"{internet(far)}/{length}" if far != own else None,
        broadcast=internet(attrs[4]) if 4 in attrs else None,
        label=text(attrs[3]) if 3 in attrs else None,
        valid=None if valid == _FOREVER else valid,
        preferred=None if preferred == _FOREVER else preferred,
        metric=native(attrs.get(9, b"")),
        protocol=_ADDRESS_PROTOCOLS.get(protocol, str(protocol)),
    )


def read_routes(dumps: Dumps, names: Mapping[int, str]) -> list[Route]:
    """The routes of all tables but `local`. Raises OSError."""
    found: list[Route] = []
    for data in dumps.entries(_GETROUTE, _ROUTE_HEADER.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)):
        header = _ROUTE_HEADER.unpack_from(data)
        if header[4] == _LOCAL_TABLE or header[8] & _CLONED or header[0] not in _ANYWHERE:
            continue
        attrs = attributes(data, 12)
        if native(attrs.get(15, b"")) != _LOCAL_TABLE:
            found.append(_route(header, attrs, names))
    return found


def _route(header: tuple[int, ...], attrs: Attributes, names: Mapping[int, str]) -> Route:
    family, length, source_length, tos, table, protocol, scope, kind, flags = header
    index = native(attrs[4]) if 4 in attrs else None
    destination = internet(attrs[1]) if 1 in attrs else _ANYWHERE[family]
    return Route(
        destination=f"{destination}/{length}",
        kind=_KINDS[kind] if kind < len(_KINDS) else str(kind),
        table=native(attrs[15]) if 15 in attrs else table,
        gateway=_gateway(attrs),
        index=index,
        interface=None if index is None else names.get(index, str(index)),
        metric=native(attrs.get(6, b"")),
        preferred_source=internet(attrs[7]) if 7 in attrs else None,
        source=f"{internet(attrs[2])}/{source_length}" if 2 in attrs else None,
        tos=tos,
        scope=SCOPES.get(scope, str(scope)),
        protocol=_PROTOCOLS.get(protocol, str(protocol)),
        flags=names_of(flags, _ROUTE_FLAGS),
        next_hops=_next_hops(attrs[9], names) if 9 in attrs else (),
        next_hop_object=native(attrs[30]) if 30 in attrs else None,
        preference=_PREFERENCES.get(native(attrs[20])) if 20 in attrs else None,
        metrics=_metrics(attrs[8]) if 8 in attrs else {},
        encapsulated=22 in attrs,
        expires=_expires(attrs) if family == _AF_INET6 else None,
    )


def _gateway(attrs: Attributes) -> str | None:
    if 5 in attrs:
        return internet(attrs[5])
    # struct rtvia: an IPv4 route over an IPv6 neighbour (RFC 5549)
    return internet(attrs[18][2:]) if len(attrs.get(18, b"")) in (6, 18) else None


def _next_hops(data: bytes, names: Mapping[int, str]) -> tuple[NextHop, ...]:
    """struct rtnexthop, one after the other, each with attributes of its own."""
    found: list[NextHop] = []
    start = 0
    while start + _NEXT_HOP.size <= len(data):
        length, flags, more, index = _NEXT_HOP.unpack_from(data, start)
        if length < _NEXT_HOP.size:
            break
        attrs = attributes(data[start : start + length], _NEXT_HOP.size)
        found.append(
            NextHop(
                gateway=_gateway(attrs),
                index=index,
                interface=names.get(index, str(index)),
                weight=more + 1,
                flags=names_of(flags, _ROUTE_FLAGS),
            )
        )
        start += (length + 3) & ~3
    return tuple(found)


def _metrics(data: bytes) -> dict[str, int]:
    return {
        _METRICS[number]: native(value)
        for number, value in attributes(data).items()
        if number in _METRICS
    }


def _expires(attrs: Attributes) -> float | None:
    """struct rta_cacheinfo, third field, in USER_HZ; 0 for ever."""
    ticks = struct.unpack_from("=IIi", attrs[12])[2] if len(attrs.get(12, b"")) >= 12 else 0
    return ticks / 100 if ticks else None
