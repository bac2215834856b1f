"""Requests about addresses and routes.

Sources: rtnetlink(7), net/ipv4/devinet.c, net/ipv6/addrconf.c, net/ipv4/fib_frontend.c.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from typing import Final

from linkspan.engine.netlink import CREATE_EXCLUSIVELY, CREATE_OR_REPLACE, REPLACE, Request
from linkspan.engine.packed import Packed, attribute, nest, whole, words
from linkspan.model.state import Address, Route, RouteKey, network_broadcast

_NEWADDR, _DELADDR = 20, 21
_NEWROUTE, _DELROUTE = 24, 25
_IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = 0x02, 0x200
_RTNH_F_ONLINK = 4
_ADDRESS: Final = struct.Struct("=BBBBI")
"""struct ifaddrmsg."""
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
"""struct rtmsg."""
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST = 1, 2, 3, 4
_IFA_CACHEINFO, _IFA_FLAGS, _IFA_RT_PRIORITY = 6, 8, 9
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC = 1, 4, 5, 6, 7
_RTA_METRICS, _RTA_TABLE, _RTA_VIA, _RTA_PREF = 8, 15, 18, 20
_LIFETIMES: Final = struct.Struct("=IIII")
"""struct ifa_cacheinfo: seconds preferred and valid, and two times that the kernel tells."""
_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_FOREVER: Final = 0xFFFFFFFF

_ADDRESS_FLAGS: Final = {"home": 0x10, "autojoin": 0x400}
"""IFA_F_* (include/uapi/linux/if_addr.h) that are passed on from one interface to another."""

_PREFERENCES: Final = {"medium": 0, "high": 1, "low": 3}
"""ICMPV6_ROUTER_PREF_* (include/uapi/linux/icmpv6.h)."""

METRICS: Final = {
    "mtu": 2,
    "window": 3,
    "rtt": 4,
    "rttvar": 5,
    "ssthresh": 6,
    "cwnd": 7,
    "advmss": 8,
    "reordering": 9,
    "hoplimit": 10,
    "initcwnd": 11,
    "features": 12,
    "rto_min": 13,
    "initrwnd": 14,
    "quickack": 15,
    "lock": 1,
}
"""RTAX_* (include/uapi/linux/rtnetlink.h)."""

SCOPES: Final = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
"""rt_scope_t (include/uapi/linux/rtnetlink.h)."""

PROTOCOLS: Final = {
    "redirect": 1,
    "kernel": 2,
    "boot": 3,
    "static": 4,
    "ra": 9,
    "dhcp": 16,
    "zebra": 11,
    "bird": 12,
    "keepalived": 18,
    "babel": 42,
    "bgp": 186,
    "isis": 187,
    "ospf": 188,
    "rip": 189,
    "eigrp": 192,
}
"""Who made a route: rtm_protocol (include/uapi/linux/rtnetlink.h); another goes by its number."""

ROUTE_KINDS: Final = {
    "unicast": 1,
    "local": 2,
    "broadcast": 3,
    "anycast": 4,
    "multicast": 5,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
    "throw": 9,
}
"""rtm_type (include/uapi/linux/rtnetlink.h)."""


def add_address(index: int, address: str, facts: Address) -> Request:
    """Give an interface an address such as 192.168.57.1/24.

    Duplicate address detection is left out for IPv6: addresses of one file are known to differ,
    and a node is to answer as soon as `up` returns.
    """
    bits = _IFA_F_NODAD if ":" in address else 0
    return Request(
        f"add the address {address}",
        _address_message(_NEWADDR, CREATE_EXCLUSIVELY, index, address, facts, bits),
    )


def mark_checked(index: int, address: str, facts: Address) -> Request:
    """Say of an IPv6 address that it was checked for duplicates. The kernel does not check it
    again (inet6_addr_modify, net/ipv6/addrconf.c).
    """
    return Request(
        f"mark the address {address} as checked",
        _address_message(_NEWADDR, REPLACE, index, address, facts, 0),
    )


def delete_address(index: int, address: str, facts: Address) -> Request:
    """Take an address from an interface."""
    return Request(
        f"delete the address {address}",
        _address_message(_DELADDR, 0, index, address, facts, 0),
        may_be_gone=True,
    )


def _address_message(
    number: int, flags: int, index: int, address: str, facts: Address, bits: int
) -> Packed:
    interface = ipaddress.ip_interface(address)
    far = _packed(facts.peer.partition("/")[0]) if facts.peer else interface.packed
    parts = [attribute(_IFA_LOCAL, interface.packed), attribute(_IFA_ADDRESS, far)]
    if interface.version == 4:
        parts += _ipv4_attributes(address, facts)
    if facts.metric:
        parts.append(whole(_IFA_RT_PRIORITY, facts.metric))
    if not facts.connected_route:
        bits |= _IFA_F_NOPREFIXROUTE
    bits |= sum(_ADDRESS_FLAGS[name] for name in facts.flags)
    parts.append(whole(_IFA_FLAGS, bits))
    if facts.valid_until is not None or facts.preferred_until is not None:
        left = _seconds_left(facts.preferred_until), _seconds_left(facts.valid_until)
        parts.append(attribute(_IFA_CACHEINFO, _LIFETIMES.pack(*left, 0, 0)))
    family, length = _FAMILIES[interface.version], interface.network.prefixlen
    header = _ADDRESS.pack(family, length, 0, SCOPES[facts.scope], index)
    return Packed(number, flags, header + b"".join(parts))


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def _ipv4_attributes(address: str, facts: Address) -> list[bytes]:
    broadcast = facts.broadcast
    if broadcast == "network":
        broadcast = network_broadcast(address, facts.peer)
    found = [attribute(_IFA_BROADCAST, _packed(broadcast))] if broadcast else []
    if facts.label is not None:
        found.append(words(_IFA_LABEL, facts.label))
    return found


def _seconds_left(until: float | None) -> int:
    """Whole seconds until a moment, at least 0; what stands for ever if there is none."""
    return _FOREVER if until is None else max(0, round(until - time.time()))


def add_route(key: RouteKey, route: Route, index: int | None) -> Request:
    """Add a route; the kernel refuses when there is one with its destination and metric."""
    message = _route_message(_NEWROUTE, CREATE_EXCLUSIVELY, key, route, index)
    return Request(f"add the route {key.destination}", message)


def replace_route(key: RouteKey, route: Route, index: int | None) -> Request:
    """Put a route in the place of the one with its destination and metric, in one step."""
    message = _route_message(_NEWROUTE, CREATE_OR_REPLACE, key, route, index)
    return Request(f"change the route {key.destination}", message)


def delete_route(key: RouteKey, route: Route, index: int | None) -> Request:
    """Delete a route."""
    message = _route_message(_DELROUTE, 0, key, route, index)
    return Request(f"delete the route {key.destination}", message, may_be_gone=True)


def _route_message(
    number: int, flags: int, key: RouteKey, route: Route, index: int | None
) -> Packed:
    network = ipaddress.ip_network(key.destination)
    parts = [whole(_RTA_TABLE, key.table)]
    if network.prefixlen:
        parts.append(attribute(_RTA_DST, network.network_address.packed))
    if index is not None:
        parts.append(whole(_RTA_OIF, index))
    if route.gateway is not None:
        parts.append(_gateway(route.gateway, network.version))
    if route.source is not None:
        parts.append(attribute(_RTA_PREFSRC, _packed(route.source)))
    if key.metric:
        parts.append(whole(_RTA_PRIORITY, key.metric))
    if route.preference != "medium":
        parts.append(attribute(_RTA_PREF, bytes([_PREFERENCES[route.preference]])))
    if route.metrics:
        values = [whole(METRICS[name], value) for name, value in route.metrics.items()]
        parts.append(nest(_RTA_METRICS, *values))
    header = _ROUTE.pack(
        _FAMILIES[network.version],
        network.prefixlen,
        0,
        0,
        key.table if key.table < 256 else 0,
        PROTOCOLS.get(route.protocol) or int(route.protocol),
        SCOPES[route.scope],
        ROUTE_KINDS[route.kind],
        _RTNH_F_ONLINK if route.onlink else 0,
    )
    return Packed(number, flags, header + b"".join(parts))


def _gateway(text: str, version: int) -> bytes:
    """The next hop; that of an IPv4 route may be an IPv6 neighbour (struct rtvia, RFC 5549)."""
    gateway = ipaddress.ip_address(text)
    if gateway.version == version:
        return attribute(_RTA_GATEWAY, gateway.packed)
    return attribute(_RTA_VIA, struct.pack("=H", _FAMILIES[gateway.version]) + gateway.packed)
