"""Cards that can't be an uplink, and why: a table of checks.

Each check is a function from what was found to a fault, or to none; all are made before anything
is touched. `CHECKS` are reasons to refuse, `WARNINGS` are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from linkspan.errors import Fault
from linkspan.model.host_snapshot import Route
from linkspan.model.interface_snapshot import Interface
from linkspan.model.nic import Nic
from linkspan.plan.uplink import is_kernels_route

ETHERNET: Final = 1
"""ARPHRD_ETHER (include/uapi/linux/if_arp.h)."""

LOOPBACK: Final = 772

ABOVE: Final = ("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap")
"""Kinds of devices that stand on another one and get its frames before a bridge does, or not at
all."""

NOT_ETHERNET: Final = {
    "wireguard": "a WireGuard tunnel carries packets, no Ethernet frames",
    "tun": "a tun device carries packets, no Ethernet frames",
}

Check = Callable[[Nic, Interface], Fault | None]


def refusals(nic: Nic) -> list[Fault]:
    """Why a card can't be an uplink; empty when it can."""
    card = nic.namespace.interface(nic.name)
    if card is None:
        return [_not_there(nic)]
    return [fault for check in CHECKS if (fault := check(nic, card)) is not None]


def warnings(nic: Nic) -> list[Fault]:
    """What speaks against a card as an uplink, though it can be one."""
    card = nic.namespace.interface(nic.name)
    if card is None:
        return []
    return [fault for check in WARNINGS if (fault := check(nic, card)) is not None]


def _not_there(nic: Nic) -> Fault:
    names = [each.name for each in nic.namespace.interfaces if each.link_type == ETHERNET]
    return Fault(
        f"there is no interface {nic.name}",
        expected=f"one of {', '.join(names)}" if names else "an Ethernet interface",
        next_step="name one that is there (ip link lists them)",
    )


def _loopback(nic: Nic, card: Interface) -> Fault | None:
    if card.link_type != LOOPBACK:
        return None
    return Fault(
        f"{nic.name} is the loopback interface, which leads nowhere",
        next_step="name the network card that leads to the LAN",
    )


def _no_frames(nic: Nic, card: Interface) -> Fault | None:
    if card.link_type in (ETHERNET, LOOPBACK):
        return None
    why = NOT_ETHERNET.get(card.kind, f"its link type is {card.link_type}, not Ethernet")
    return Fault(
        f"{nic.name} can't be a port of a bridge: {why}",
        expected="an Ethernet interface",
        next_step=f"give {nic.bridge} an address and route between it and {nic.name}",
    )


def _bridge(nic: Nic, card: Interface) -> Fault | None:
    if card.kind != "bridge":
        return None
    return Fault(
        f"{nic.name} is a bridge itself, and no port of another one",
        next_step=f"use {nic.name} in the place of {nic.bridge}, or name the card that is its port",
    )


def _port(nic: Nic, card: Interface) -> Fault | None:
    if card.master is None or card.master_name == nic.bridge:
        return None
    master = nic.namespace.interface(card.master_name or "")
    kind = master.kind if master is not None else ""
    member = {"bond": "a member of the bond", "team": "a member of the team"}
    return Fault(
        f"{nic.name} is {member.get(kind, 'a port of')} {card.master_name} already",
        expected="an interface that belongs to nothing else",
        next_step=f"name {card.master_name} as the uplink"
        if kind in member
        else f"take it out first: ip link set {nic.name} nomaster",
    )


def _wireless(nic: Nic, card: Interface) -> Fault | None:
    if not nic.is_wireless:
        return None
    return Fault(
        f"{nic.name} is a Wi-Fi interface: an access point takes no frames from a station but "
        "those with the station's own MAC, so nobody behind the bridge could be reached",
        expected="a wired interface",
        next_step=f"give {nic.bridge} a network of its own, and route or masquerade it",
    )


def _own_mac_only(nic: Nic, card: Interface) -> Fault | None:
    if card.kind not in ("macvlan", "ipvlan"):
        return None
    return Fault(
        f"{nic.name} is a {card.kind}, to which only frames for its own MAC come",
        next_step="name the interface that it stands on, or a veth",
    )


def _managed(nic: Nic, card: Interface) -> Fault | None:
    if not nic.managers:
        return None
    return Fault(
        f"{nic.name} is looked after by {' and '.join(each.program for each in nic.managers)},"
        " which would undo what we do",
        found="; ".join(each.evidence for each in nic.managers),
        next_step="; ".join(each.release for each in nic.managers),
    )


def _stands_below(nic: Nic, card: Interface) -> Fault | None:
    above = [
        each.name
        for each in nic.namespace.interfaces
        if each.kind in ABOVE
        and each.peer is not None
        and each.peer.index == card.index
        and each.peer.netnsid is None
    ]
    if not above:
        return None
    return Fault(
        f"{', '.join(above)} {'stands' if len(above) == 1 else 'stand'} on {nic.name}, and would"
        " not hear any more what the bridge takes",
        next_step=f"delete {'it' if len(above) == 1 else 'them'} (ip link delete {above[0]}), or"
        f" let {'it' if len(above) == 1 else 'them'} stand on {nic.bridge} afterwards",
    )


def _too_small(nic: Nic, card: Interface) -> Fault | None:
    if card.mtu >= nic.mtu:
        return None
    return Fault(
        f"packets of {nic.mtu} bytes, which {nic.bridge} is to carry, do not fit {nic.name}",
        expected=f"an MTU of at least {nic.mtu}",
        found=str(card.mtu),
        next_step=f"write `mtu: {card.mtu}` at {nic.bridge}",
    )


def _routes(nic: Nic, card: Interface) -> Fault | None:
    addresses = [each for each in nic.namespace.addresses if each.index == card.index]
    numbers = Counter(_identity(route) for route in nic.namespace.routes)
    odd = [
        f"{route.destination} ({why})"
        for route in nic.namespace.routes
        if (why := _oddity(route, card.index))
        or (
            route.index == card.index
            and not is_kernels_route(route, addresses)
            and (why := "there are several of its metric" * (numbers[_identity(route)] > 1))
        )
    ]
    if not odd:
        return None
    return Fault(
        f"{nic.name} has routes that can't be moved in one step: {', '.join(odd)}",
        next_step="replace them by plain routes (ip route), or leave this card alone",
    )


def _identity(route: Route) -> tuple[str, int, int]:
    return route.destination, route.metric, route.table


def _oddity(route: Route, index: int) -> str:
    """What a route of a card has that we can't express."""
    if any(hop.index == index for hop in route.next_hops):
        return "several next hops"
    if route.index != index:
        return ""
    oddities = {
        "a next-hop object": route.next_hop_object is not None,
        "a tunnel header": route.encapsulated,
        "a source prefix": route.source is not None,
        "a type of service": route.tos != 0 and ":" not in route.destination,
    }
    return next((name for name, is_so in oddities.items() if is_so), "")


def _down(nic: Nic, card: Interface) -> Fault | None:
    if card.up:
        return None
    return Fault(
        f"{nic.name} was down, and comes up as a port", next_step="it goes down when it is released"
    )


def _no_carrier(nic: Nic, card: Interface) -> Fault | None:
    if not card.up or card.carrier:
        return None
    return Fault(
        f"{nic.name} has no carrier: nobody can be reached through it",
        next_step="look after its cable, or the switch at the other end",
    )


CHECKS: Final[tuple[Check, ...]] = (
    _loopback,
    _no_frames,
    _bridge,
    _wireless,
    _own_mac_only,
    _port,
    _managed,
    _stands_below,
    _too_small,
    _routes,
)

WARNINGS: Final[tuple[Check, ...]] = (_down, _no_carrier)
