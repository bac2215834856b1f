"""`plan(desired, current)`: the changes that turn what there is into what there should be.

Theory of operation. Both are flat tables, so the difference is found entry by entry; what is left
is the order, and that is a table too (`RANKS`): what others stand on comes first.

    1. what has to be made anew (its engine changes, say) and what stands on it is removed, and
       what is in the way of something to come (another kind of thing of the same name, the same
       IPv6 address with another prefix length)
    2. everything to come or to change, in the order of ranks: bridges before ports before
       addresses before routes
    3. everything else that is to go, in the reverse order
    4. interfaces that are set down, since the kernel drops routes and IPv6 addresses with it, and
       would refuse to delete them once more

So an address is on its new interface before it leaves the old one, a route changes its way in one
step, and what stays in place is not touched. Three orders are finer than ranks: what is set of an
interface comes when the interface is there, before its addresses; a route through a gateway comes
after those by which the gateway is reached; and IPv6 is switched off on an interface (which takes
its addresses away) when everything else has come. A plan of a state against itself is empty, and
the inverse of a plan is the plan the other way round.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Set
from typing import Final

import msgspec

from linkspan.model.rules import PassKey, RulesKey
from linkspan.model.state import (
    AddressKey,
    AnyKey,
    AnyValue,
    Bridge,
    BridgeKey,
    CommandKey,
    EntryKey,
    GuestKey,
    Machine,
    MachineKey,
    MountKey,
    Node,
    NodeKey,
    Port,
    PortKey,
    Route,
    RouteKey,
    ServiceKey,
    Setting,
    SettingKey,
    Shaping,
    ShapingKey,
    Socket,
    SocketKey,
    State,
    Tap,
    TapKey,
    Up,
    UpKey,
    Uplink,
    UplinkKey,
    Veth,
    VethKey,
    Vxlan,
    VxlanKey,
    Wireguard,
    WireguardKey,
    ipv6_switch,
    parents,
)
from linkspan.plan.change import Change

KINDS: Final[tuple[type[msgspec.Struct], ...]] = (
    NodeKey,
    RulesKey,
    PassKey,
    BridgeKey,
    SocketKey,
    TapKey,
    PortKey,
    ShapingKey,
    VethKey,
    UplinkKey,
    GuestKey,
    WireguardKey,
    VxlanKey,
    EntryKey,
    SettingKey,
    AddressKey,
    UpKey,
    RouteKey,
    MountKey,
    ServiceKey,
    CommandKey,
    MachineKey,
)
RANKS: Final = {kind: rank for rank, kind in enumerate(KINDS)}
"""What others stand on has the lower rank."""

_GO_WITH_OTHERS: Final = (
    *(AddressKey, UpKey, RouteKey, EntryKey, ShapingKey),
    *(SettingKey, RulesKey, MountKey, GuestKey),
)
_DISK: Final = ("disk", "disk_format", "snapshot")

MADE_WITH: Final[dict[type[msgspec.Struct], tuple[str, ...]]] = {
    Node: ("kind",),
    Bridge: ("node", "engine", "cache"),
    Port: ("engine", "kind"),
    Shaping: ("engine",),
    Uplink: ("engine",),
    Socket: ("kind",),
    Tap: ("node", "engine", "owner", "group", "multi_queue"),
    Veth: ("peer_node", "peer_interface"),
    Wireguard: ("public_key",),
    Vxlan: (
        *("engine", "vni", "remotes", "group", "interface"),
        *("local", "port", "learn_remotes"),
    ),
    Machine: ("memory", "cpus", "ports", "kernel", "initrd", "append", *_DISK),
}
"""Fields that can't be changed: a thing with another value there has to be made anew."""

DECLARED: Final = "the file declares it"
CHANGED: Final = "the file says otherwise"
DRIFT: Final = ("it was changed by other hands", "it was removed by other hands")
REMOVED: Final = "the file does not declare it any more"
MADE_ANEW: Final = "what it stands on is made anew"
UPROOTED: Final = "made anew, since what it stood on goes"
IN_THE_WAY: Final = "something else is to have its name"
NOT_WHOLE: Final = "only a part of it is there"
OF_A_GUEST: Final = "libvirt has it there, and it is on no bridge"
OTHER_PREFIX: Final = "its prefix-length can't be changed in place"


def plan(desired: State, current: State, applied: State | None = None) -> tuple[Change, ...]:
    """The ordered changes from `current` to `desired`; each says why.

    What stands in `current` and not in `desired` is removed, so `current` holds only what is
    linkspan's to remove. Where `applied`, the state that was made last, is as desired, somebody
    else has been at it since: drift.
    """
    first = _to_go_first(desired, current)
    arrivals = sorted(_arrivals(desired, current, first, applied or {}), key=_order)
    silent = {change.key for change in arrivals if _silences(change)}
    rest = {
        key: REMOVED
        for key in current
        if key not in desired and key not in first and not _is_silenced(key, current, silent)
    }
    return (
        *_removals(first, current),
        *(change for change in arrivals if not _is_setting_down(change)),
        *_removals(rest, current),
        *(change for change in arrivals if _is_setting_down(change)),
    )


def _arrivals(
    desired: State, current: State, first: dict[AnyKey, str], applied: State
) -> Iterator[Change]:
    for key, value in desired.items():
        before = current.get(key)
        if before is not None and key in first:
            yield Change(key=key, after=value, reason=first[key])
        elif before != value:
            declared = DECLARED if before is None else CHANGED
            declared = OF_A_GUEST if isinstance(key, GuestKey) else declared
            reason = DRIFT[before is None] if applied.get(key) == value else declared
            yield Change(key=key, before=before, after=value, reason=reason)


def _order(change: Change) -> tuple[int, bool]:
    if _silences(change):
        return len(KINDS), False
    return RANKS[type(change.key)], isinstance(change.after, Route) and bool(change.after.gateway)


def _silences(change: Change) -> bool:
    """Whether a change switches IPv6 off on an interface."""
    match change:
        case Change(key=SettingKey(name=name), after=Setting(text="1")):
            return name.startswith("net/ipv6/conf/") and name.endswith("/disable_ipv6")
        case _:
            return False


def _is_silenced(key: AnyKey, state: State, silent: Set[AnyKey]) -> bool:
    """Whether an address or a route goes when IPv6 is switched off on its interface."""
    match key, state[key]:
        case AddressKey(node=node, interface=str() as interface, address=text), _:
            pass
        case RouteKey(node=node, destination=text), Route(interface=str() as interface):
            pass
        case _:
            return False
    return ":" in text and SettingKey(node, ipv6_switch(interface)) in silent


def _is_setting_down(change: Change) -> bool:
    return change.before == Up(up=True) and change.after == Up(up=False)


def _removals(reasons: dict[AnyKey, str], current: State) -> list[Change]:
    going = sorted(reasons, key=lambda key: _order(Change(key=key, after=current[key])))
    return [
        Change(key=key, before=current[key], reason=reasons[key])
        for key in reversed(going)
        if not _goes_by_itself(key, current, reasons)
    ]


def _goes_by_itself(key: AnyKey, current: State, going: dict[AnyKey, str]) -> bool:
    """Whether a fact ends with the thing it is said of: an address with its interface."""
    if not isinstance(key, _GO_WITH_OTHERS):
        return False
    return any(parent in going for parent in parents(key, current))


def _to_go_first(desired: State, current: State) -> dict[AnyKey, str]:
    """What has to be removed before anything is added, with what stands on it, and why."""
    arriving = {
        name
        for key, value in desired.items()
        for name in _names(key, value)
        if key not in current or name not in _names(key, current[key])
    }
    first: dict[AnyKey, str] = {}
    children: dict[AnyKey, list[AnyKey]] = defaultdict(list)
    for key, value in current.items():
        for parent in parents(key, current):
            children[parent].append(key)
        wanted = desired.get(key)
        if wanted is None:
            if arriving.intersection(_names(key, value)):
                first[key] = OTHER_PREFIX if isinstance(key, AddressKey) else IN_THE_WAY
        elif changed := _unchangeable(value, wanted):
            is_whole = getattr(value, changed) != ""
            name = changed.replace("_", "-")
            first[key] = f"its {name} can't be changed in place" if is_whole else NOT_WHOLE
    waiting = list(first)
    while waiting:
        parent = waiting.pop()
        anew = MADE_ANEW if parent in desired else UPROOTED
        for child in children[parent]:
            if child not in first:
                first[child] = anew if child in desired else REMOVED
                waiting.append(child)
    return first


def _unchangeable(before: AnyValue, after: AnyValue) -> str | None:
    """The field because of which a thing has to be made anew."""
    fields = MADE_WITH.get(type(before), ())
    return next((name for name in fields if getattr(before, name) != getattr(after, name)), None)


def _names(key: AnyKey, value: AnyValue) -> tuple[tuple[str, ...], ...]:
    """What the kernel has only once: interfaces, by node and name, and addresses."""
    match key, value:
        case BridgeKey(bridge=name), Bridge(node=node):
            return ((node, name),)
        case (
            (
                PortKey(node=node, interface=name)
                | VethKey(node=node, interface=name)
                | WireguardKey(node=node, interface=name)
            ),
            _,
        ):
            return ((node, name),)
        case VxlanKey(name=name), Vxlan(node=node, engine="kernel", port=port, vni=vni):
            return ((node, name), (node, f"udp {port}", f"segment {vni}"))
        case VxlanKey(), Vxlan(node=node, port=port):
            return ((node, f"udp {port}"),)
        case AddressKey(), _:
            return (key.place,)
        case MountKey(node=node), _:
            return tuple((node, step) for step in key.steps)
        case _:
            return ()
