"""An uplink: what a network card was becomes what the bridge is, and back.

    Taken                what a card was before: MAC, MTU, and its facts (addresses, routes, …)
    take(…)              … as it was read on a machine, or as the file declares it in a sandbox
    taken_over(…)        the facts, moved to the bridge; of the card the rest: up, IPv6 off
    with_uplink(…)       a lab's state with all of that, and the card as a port
    give_back(…)         a state with the card as it was

The bridge gets the card's MAC and MTU and what its stack was told (sysctls), so for everybody else
it is the host that it was. What the kernel makes by itself stays the kernel's: routes to connected
networks, link-local addresses, and whatever came with router advertisements. With its MAC and
settings the bridge asks the routers at once and gets the same addresses; a connection over one of
these stands still for the second or two that this takes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from linkspan.model import host_snapshot as read
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.state import (
    Address,
    AddressKey,
    AnyKey,
    AnyValue,
    Bridge,
    BridgeKey,
    Options,
    Port,
    PortKey,
    Route,
    RouteKey,
    Setting,
    SettingKey,
    State,
    Up,
    UpKey,
    Uplink,
    UplinkKey,
    Veth,
    VethKey,
    ipv6_switch,
)
from linkspan.plan.current import address_fact, in_order, route_fact

_LABEL_BYTES: Final = 15
_OFF, _ON = Setting(text="1"), Setting(text="0")
"""Values of disable_ipv6."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A network card as it was before it became an uplink."""

    node: str
    interface: str
    mac: str
    mtu: int
    facts: list[tuple[AnyKey, AnyValue]]
    """Its addresses and routes, whether it was up, whether IPv6 was on."""
    had_programs: bool = False
    """Whether somebody had given it the qdisc for programs (clsact)."""
    settings: dict[str, str] = {}
    """What its stack was told and others are not: `ipv6/accept_ra`: 2."""

    @property
    def key(self) -> UplinkKey:
        """The uplink that it is."""
        return UplinkKey(self.node, self.interface)

    def addresses(self) -> list[str]:
        """Its addresses with prefix lengths."""
        return [key.address for key, _ in self.facts if isinstance(key, AddressKey)]

    def gateways(self) -> list[str]:
        """The gateways of its default routes, the one with the lowest metric first."""
        found = [
            (key.metric, value.gateway)
            for key, value in self.facts
            if isinstance(key, RouteKey) and isinstance(value, Route) and value.gateway is not None
            if key.destination.endswith("/0") and key.table == 254
        ]
        return [gateway for _, gateway in sorted(found)]


def take(
    node: str,
    interface: str,
    found: NamespaceSnapshot,
    now: float,
    ipv6_off: str | None,
    settings: Mapping[str, str],
    had_programs: bool = False,
) -> Taken:
    """A card of a machine as it was read at `now` (seconds since 1970-01-01 UTC); `ipv6_off` is
    its setting disable_ipv6, None on a machine without IPv6. The card must be there.
    """
    card = found.interface(interface)
    assert card is not None
    addresses = [each for each in found.addresses if each.index == card.index]
    facts: list[tuple[AnyKey, AnyValue]] = [(UpKey(node, interface), Up(up=card.up))]
    if ipv6_off is not None:
        facts.append((SettingKey(node, ipv6_switch(interface)), Setting(text=ipv6_off)))
    facts += [
        (AddressKey(node, interface, each.address), address_fact(each, now))
        for each in in_order(addresses)
        if not is_kernels_address(each, card.mac)
    ]
    routes = [
        each
        for each in found.routes
        if each.index == card.index and not is_kernels_route(each, addresses)
    ]
    facts += [
        (RouteKey(node, each.destination, each.metric, each.table), route_fact(each))
        for each in sorted(routes, key=lambda route: route.gateway is not None)
    ]
    return Taken(
        node=node,
        interface=interface,
        mac=card.mac or "",
        mtu=card.mtu,
        facts=facts,
        had_programs=had_programs,
        settings=dict(settings),
    )


def is_kernels_address(address: read.Address, mac: str | None) -> bool:
    """Whether the kernel made an address by itself: a link-local one, or one of a prefix that a
    router advertised. Kernels before 5.18 do not say so (IFA_PROTO).
    """
    if ":" not in address.address:
        return False
    if address.protocol in ("kernel_ll", "kernel_ra"):
        return True
    by_itself = {"temporary", "mngtmpaddr"}.intersection(address.flags)
    return bool(by_itself) or address.address == link_local(mac)


def link_local(mac: str | None) -> str | None:
    """The link-local address that comes of a MAC (RFC 4291, appendix A), with prefix length."""
    if mac is None or mac.count(":") != 5:
        return None
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    address = ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + identifier)
    return f"{address}/64"


def is_kernels_route(route: read.Route, addresses: Sequence[read.Address]) -> bool:
    """Whether the kernel made a route by itself: to the network of an address of the interface, or
    as a router advertised or told it.
    """
    if route.protocol == "redirect" or route.kind in ("local", "broadcast", "anycast"):
        return True
    if ":" in route.destination and (route.protocol == "ra" or route.expires is not None):
        return True
    if route.protocol != "kernel" or route.gateway is not None:
        return False
    if route.destination in ("fe80::/64", "ff00::/8"):
        return True
    return any(
        "noprefixroute" not in address.flags
        and route.destination == str(ipaddress.ip_interface(_prefix(address)).network)
        for address in addresses
    )


def _prefix(address: read.Address) -> str:
    """The address whose network is connected: the far one where there is one."""
    length = address.address.partition("/")[2]
    return f"{address.peer.partition('/')[0]}/{length}" if address.peer else address.address


def declared(state: State, node: str, interface: str) -> Taken:
    """A card of a sandbox: what the file declares of that interface, which is a port of another
    bridge or the end of a wire.
    """
    port = state.get(PortKey(node, interface)) or state[VethKey(node, interface)]
    assert isinstance(port, Port | Veth)
    facts: list[tuple[AnyKey, AnyValue]] = [(SettingKey(node, ipv6_switch(interface)), _ON)]
    for key, value in state.items():
        match key, value:
            case ((AddressKey(node=place, interface=name) | UpKey(node=place, interface=name)), _):
                belongs = (place, name) == (node, interface)
            case RouteKey(node=place), Route(interface=name):
                belongs = (place, name) == (node, interface)
            case _:
                belongs = False
        if belongs:
            facts.append((key, value))
    return Taken(node=node, interface=interface, mac=port.mac, mtu=port.mtu, facts=facts)


def taken_over(taken: Taken, bridge: str) -> State:
    """The facts of a card on a bridge: what the bridge is now, and what the card still is."""
    node = taken.node
    state: State = {}
    for family_and_name, text in taken.settings.items():
        family, _, name = family_and_name.partition("/")
        state[SettingKey(node, f"net/{family}/conf/{bridge}/{name}")] = Setting(text=text)
    for key, value in taken.facts:
        match key, value:
            case AddressKey(address=address), Address() as fact:
                label = _label(fact.label, taken.interface, bridge)
                state[AddressKey(node, bridge, address)] = replace(fact, label=label)
            case RouteKey(), Route() as route:
                state[key] = replace(route, interface=bridge)
            case SettingKey(), _:
                state[key] = _OFF
    state[UpKey(node, taken.interface)] = Up(up=True)
    return state


def _label(label: str | None, interface: str, bridge: str) -> str | None:
    """`eth0:web` becomes `br0:web`, if the kernel has room for it; another label stays."""
    if label is None or not label.startswith(f"{interface}:"):
        return label
    moved = bridge + label.removeprefix(interface)
    return moved if len(moved.encode()) <= _LABEL_BYTES else None


def with_uplink(
    state: State, taken: Taken, bridge: str, options: Options, mac: str | None = None
) -> State:
    """A lab's state with a card as the uplink of a bridge. What the state says of the bridge
    beside that stays, also a MAC that the file gives it.
    """
    carrier = state[BridgeKey(bridge)]
    assert isinstance(carrier, Bridge)
    gone = {key for key, _ in taken.facts}
    moved = taken_over(taken, bridge)
    return {
        **moved,
        **{key: value for key, value in state.items() if key not in gone},
        **{key: moved[key] for key in gone if key in moved},
        BridgeKey(bridge): replace(carrier, mac=mac or taken.mac, mtu=taken.mtu),
        taken.key: Uplink(bridge=bridge, engine=carrier.engine, options=options),
    }


def give_back(state: State, taken: Taken) -> State:
    """A state in which a card is what it was before it was taken."""
    return {**dict(taken.facts), **state}


def released_in_sandbox(state: State, applied: State) -> State:
    """A sandbox's state in which cards that were uplinks, and are no more, speak IPv6 again."""
    freed = [
        key
        for key in applied
        if isinstance(key, UplinkKey)
        and key not in state
        and (PortKey(key.node, key.interface) in state or VethKey(key.node, key.interface) in state)
    ]
    return {**{SettingKey(key.node, ipv6_switch(key.interface)): _ON for key in freed}, **state}
