"""What there is: the readings of a lab's namespaces and switches, as a state.

A namespace tells of everything that is in it, whoever made it; what is linkspan's is known by the
mark in the alias. What there is of bridges is in `current_bridges`, of links in `current_links`.

`owned` says what a plan may look at. Interfaces that carry the lab's mark are ours. Addresses,
routes, uplinks and entries carry no mark, so of those only what the lab declares, or declared when
it was last changed, is looked at: what somebody added by hand beside it stays. An IPv6 address to
which somebody gave another prefix length is the one that was declared, since both can't be there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from linkspan.model import host_snapshot as read
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.options import BY_NAME, OptionScope
from linkspan.model.rules import PassKey, RulesKey
from linkspan.model.state import (
    Address,
    AddressKey,
    AnyKey,
    AnyValue,
    Bridge,
    BridgeKey,
    CommandKey,
    MachineKey,
    NodeKey,
    Options,
    PortKey,
    Route,
    RouteKey,
    ServiceKey,
    SocketKey,
    State,
    TapKey,
    Up,
    UpKey,
    VethKey,
    VxlanKey,
    WireguardKey,
    network_broadcast,
)
from linkspan.plan.current_links import Fact

MARKED = (
    NodeKey,
    BridgeKey,
    PortKey,
    SocketKey,
    TapKey,
    VethKey,
    VxlanKey,
    WireguardKey,
    RulesKey,
    PassKey,
    ServiceKey,
    MachineKey,
    CommandKey,
)
"""Kinds of things that can't be anybody else's when they are found in a lab."""

AUTOMATIC = ("kernel", "redirect", "ra")
"""Protocols of routes that the kernel makes by itself: for an address, on a router's word."""


KEPT_FLAGS = ("home", "autojoin")
"""Flags of an IPv6 address that somebody asked for, and that say nothing of its state."""

CLOCKS_APART = 5.0
"""Seconds by which two readings of the end of one lifetime may differ: the kernel tells whole
seconds that are left."""


def owned(observed: State, *declared: Iterable[AnyKey]) -> State:
    """Of what was observed, what is the lab's to change: what is marked and what is declared."""
    known = {key for keys in declared for key in keys}
    places = {key.place for key in known if isinstance(key, AddressKey)}
    return {
        key: value
        for key, value in observed.items()
        if isinstance(key, MARKED)
        or key in known
        or (isinstance(key, AddressKey) and key.place in places)
    }


def steady(observed: State, known: State) -> State:
    """The observed state without what is no difference to what is known: lifetimes that end at the
    same time, how an address of ours that is there came to be checked, or to be broadcast to, and
    the ageing time that a bridge has for a while when its spanning tree has changed.
    """
    return {key: _steady(value, known.get(key)) for key, value in observed.items()}


def _steady(found: AnyValue, known: AnyValue | None) -> AnyValue:
    if isinstance(found, Bridge) and isinstance(known, Bridge):
        return replace(found, options=_settled(found.options, known.options))
    if not isinstance(found, Address) or not isinstance(known, Address):
        return found
    return replace(
        found,
        broadcast=known.broadcast,
        checked=known.checked,
        valid_until=_same_time(found.valid_until, known.valid_until),
        preferred_until=_same_time(found.preferred_until, known.preferred_until),
    )


def _settled(found: Options, known: Options) -> Options:
    """Options as they are when no spanning tree is changing: until then the kernel has, and tells
    of, an ageing time of two forward delays (`__br_set_topology_change`, net/bridge/br_stp.c).
    """
    ageing, delay = (
        found.get(name, BY_NAME[OptionScope.BRIDGE][name].default)
        for name in ("ageing_time", "forward_delay")
    )
    if "stp" not in found or ageing != 2 * float(delay or 0):
        return found
    others = {name: value for name, value in found.items() if name != "ageing_time"}
    return others | {name: known[name] for name in ("ageing_time",) if name in known}


def _same_time(found: float | None, known: float | None) -> float | None:
    is_same = found is not None and known is not None and abs(found - known) < CLOCKS_APART
    return known if is_same else found


def stacks(nodes: Mapping[str, NamespaceSnapshot], now: float = 0.0) -> Iterator[Fact]:
    """Addresses, interfaces up or down, and routes of every node, read at `now`.

    A route for some packets only (by TOS, by source prefix) is none of those that a key names. In
    IPv6 several routes may have the same key; one that was configured comes after those that the
    kernel made by itself, and so is the one that stays in the state.
    """
    for node, found in nodes.items():
        for interface in found.interfaces:
            yield UpKey(node, interface.name), Up(up=interface.up)
        for address in in_order(found.addresses):
            fact = address_fact(address, now)
            yield AddressKey(node, address.interface, address.address), fact
        for route in sorted(found.routes, key=lambda each: each.protocol not in AUTOMATIC):
            if route.tos or route.source is not None:
                continue
            key = RouteKey(node, route.destination, route.metric, route.table)
            yield key, route_fact(route)


def in_order(addresses: Sequence[read.Address]) -> list[read.Address]:
    """Addresses in the order in which they have to be added to be listed like this again: the
    kernel puts a new IPv6 address before the others of its scope (ipv6_link_dev_addr,
    net/ipv6/addrconf.c).
    """
    ipv6 = [each for each in addresses if ":" in each.address]
    return [*(each for each in addresses if ":" not in each.address), *reversed(ipv6)]


def address_fact(address: read.Address, now: float) -> Address:
    """What is said of an address that was read at `now`, in seconds since 1970-01-01 UTC."""
    is_ipv6 = ":" in address.address
    usual = network_broadcast(address.address, address.peer)
    return Address(
        scope=address.scope,
        peer=address.peer,
        label=None if address.label == address.interface else address.label,
        metric=address.metric,
        connected_route="noprefixroute" not in address.flags,
        broadcast="network" if (address.broadcast or "") == usual else address.broadcast or "",
        checked=is_ipv6 and "nodad" not in address.flags,
        flags=tuple(name for name in KEPT_FLAGS if name in address.flags),
        valid_until=None if address.valid is None else now + address.valid,
        preferred_until=None if address.preferred is None else now + address.preferred,
    )


def route_fact(route: read.Route) -> Route:
    """What is said of a route that was read."""
    return Route(
        interface=route.interface,
        gateway=route.gateway,
        source=route.preferred_source,
        onlink="onlink" in route.flags,
        scope=route.scope,
        protocol=route.protocol,
        kind=route.kind,
        preference=route.preference or "medium",
        metrics=route.metrics,
    )
