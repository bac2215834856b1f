"""Requests about addresses and routes.

Sources: rtnetlink(7), net/ipv4/devinet.c, net/ipv6/addrconf.c, net/ipv4/fib_frontend.c.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, Final

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from linkspan.engine.netlink import (
    ACK,
    CREATE_EXCLUSIVELY,
    CREATE_OR_REPLACE,
    Request,
    message_of,
)
from linkspan.model.state import Address, Route, RouteKey

_NEWADDR, _DELADDR = 20, 21
_NEWROUTE, _DELROUTE = 24, 25
_IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = 0x02, 0x200
_RTNH_F_ONLINK = 4

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
    return Request(
        f"add the address {address}",
        _address_message(_NEWADDR, ACK | CREATE_EXCLUSIVELY, index, address, facts),
    )


def delete_address(index: int, address: str, facts: Address) -> Request:
    """Take an address from an interface."""
    return Request(
        f"delete the address {address}",
        _address_message(_DELADDR, ACK, index, address, facts),
        may_be_gone=True,
    )


def _address_message(number: int, flags: int, index: int, address: str, facts: Address) -> Any:
    interface = ipaddress.ip_interface(address)
    network, is_ipv4 = interface.network, interface.version == 4
    attributes: list[tuple[str, object]] = [
        ("IFA_LOCAL", str(interface.ip)),
        ("IFA_ADDRESS", facts.peer or str(interface.ip)),
    ]
    if is_ipv4 and network.prefixlen < 31 and facts.peer is None:
        attributes.append(("IFA_BROADCAST", str(network.broadcast_address)))
    if facts.label is not None and is_ipv4:
        attributes.append(("IFA_LABEL", facts.label))
    if facts.metric:
        attributes.append(("IFA_RT_PRIORITY", facts.metric))
    bits = 0 if is_ipv4 else _IFA_F_NODAD
    if not facts.connected_route:
        bits |= _IFA_F_NOPREFIXROUTE
    attributes.append(("IFA_FLAGS", bits))
    fields = {
        "family": socket.AF_INET if is_ipv4 else socket.AF_INET6,
        "prefixlen": network.prefixlen,
        "index": index,
        "scope": SCOPES[facts.scope],
    }
    return message_of(ifaddrmsg, number, flags, fields, attributes)


def add_route(key: RouteKey, route: Route, index: int | None) -> Request:
    """Add a route; the kernel refuses when there is one with its destination and metric."""
    message = _route_message(_NEWROUTE, ACK | CREATE_EXCLUSIVELY, key, route, index)
    return Request(f"add the route {key.destination}", message)


def replace_route(key: RouteKey, route: Route, index: int | None) -> Request:
    """Put a route in the place of the one with its destination and metric, in one step."""
    message = _route_message(_NEWROUTE, ACK | CREATE_OR_REPLACE, key, route, index)
    return Request(f"change the route {key.destination}", message)


def delete_route(key: RouteKey, route: Route, index: int | None) -> Request:
    """Delete a route."""
    message = _route_message(_DELROUTE, ACK, key, route, index)
    return Request(f"delete the route {key.destination}", message, may_be_gone=True)


def _route_message(number: int, flags: int, key: RouteKey, route: Route, index: int | None) -> Any:
    network = ipaddress.ip_network(key.destination)
    attributes: list[tuple[str, object]] = [("RTA_TABLE", key.table)]
    if network.prefixlen:
        attributes.append(("RTA_DST", str(network.network_address)))
    attributes += [
        (attribute, value)
        for attribute, value in (
            ("RTA_OIF", index),
            ("RTA_GATEWAY", route.gateway),
            ("RTA_PREFSRC", route.source),
            ("RTA_PRIORITY", key.metric or None),
        )
        if value is not None
    ]
    fields = {
        "family": socket.AF_INET if network.version == 4 else socket.AF_INET6,
        "dst_len": network.prefixlen,
        "table": key.table if key.table < 256 else 0,
        "proto": PROTOCOLS.get(route.protocol) or int(route.protocol),
        "scope": SCOPES[route.scope],
        "type": ROUTE_KINDS[route.kind],
        "flags": _RTNH_F_ONLINK if route.onlink else 0,
    }
    return message_of(rtmsg, number, flags, fields, attributes)
