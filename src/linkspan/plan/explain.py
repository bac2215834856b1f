"""Changes in words: a table with a row for each kind of thing.

A row has a template for what is added and one for what is removed, filled in with the fields of
key and value. What becomes another is told field by field, old and new.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from linkspan.model.link_facts import WireguardPeer
from linkspan.model.options import BY_NAME, OptionScope
from linkspan.model.rules import PassKey, Rules, RulesKey
from linkspan.model.state import (
    AddressKey,
    AnyKey,
    AnyValue,
    Bridge,
    BridgeKey,
    Command,
    CommandKey,
    EntryKey,
    GuestKey,
    Machine,
    MachineKey,
    Mount,
    MountKey,
    Node,
    NodeKey,
    Options,
    Port,
    PortKey,
    Route,
    RouteKey,
    Service,
    ServiceKey,
    SettingKey,
    Shaping,
    ShapingKey,
    SocketKey,
    TapKey,
    Up,
    UpKey,
    UplinkKey,
    Veth,
    VethKey,
    Vxlan,
    VxlanKey,
    Wireguard,
    WireguardKey,
)


@dataclass(frozen=True, slots=True)
class Wording:
    """How one kind of thing is spoken of; braces hold fields of its key and its value."""

    thing: str
    add: str
    remove: str


WORDINGS: Final[dict[type[msgspec.Struct], Wording]] = {
    NodeKey: Wording("{node}", "make the {title}", "remove the {title}"),
    SettingKey: Wording(
        "{name} of {node}",
        "set {name} of {node} to {text}",
        "set {name} of {node} to what it was before",
    ),
    RulesKey: Wording(
        "rules of {node}", "write the rules of {node}: {content}", "delete the rules of {node}"
    ),
    PassKey: Wording(
        "{bridge} in table {family} {table}",
        "let {bridge} pass Docker's firewall: accept it in DOCKER-USER of table {family} {table}",
        "take what lets {bridge} pass out of DOCKER-USER of table {family} {table}",
    ),
    MountKey: Wording(
        "{path} in {node}",
        "mount {source} over {path} in {node}{mode}",
        "unmount {path} in {node}",
    ),
    CommandKey: Wording(
        "the command of {node}",
        "start {line} in {node}",
        "end {line} in {node}",
    ),
    BridgeKey: Wording(
        "{bridge}",
        "make the bridge {bridge} on {node}, {engine} engine",
        "remove the bridge {bridge} from {node}",
    ),
    PortKey: Wording(
        "{interface} of {node}",
        "make {interface} in {node}, a port of {on}",
        "remove {interface} from {places}",
    ),
    ShapingKey: Wording(
        "the limits of {interface} of {node}",
        "limit {interface} of {node}: {limits}",
        "lift the limits of {interface} of {node}",
    ),
    SocketKey: Wording(
        "socket {name} of {bridge}",
        "make the {kind} socket {name}, a port of {bridge}",
        "remove the {kind} socket {name} from {bridge}",
    ),
    TapKey: Wording(
        "tap {name} of {bridge}",
        "make the tap {name}, a port of {bridge}",
        "remove the tap {name} from {bridge}",
    ),
    UplinkKey: Wording(
        "{interface} of {node}",
        "make {interface} of {node} a port of {bridge}",
        "release {interface} of {node} from {bridge}",
    ),
    GuestKey: Wording(
        "{interface} of the guest {guest}",
        "put {interface} of libvirt's guest {guest} back on {bridge}",
        "take {interface} of libvirt's guest {guest} off {bridge}",
    ),
    VethKey: Wording(
        "{interface} of {node}",
        "make {interface} in {node}, wired to {far}{limits}",
        "remove {interface} from {node}, which was wired to {far}",
    ),
    VxlanKey: Wording(
        "the tunnel {name} of {bridge}",
        "make the tunnel {name}, a port of {bridge}: VXLAN {vni} to {far}",
        "remove the tunnel {name} from {bridge}",
    ),
    MachineKey: Wording(
        "{node}",
        "start the virtual machine {node}",
        "shut down the virtual machine {node}",
    ),
    WireguardKey: Wording(
        "{interface} of {node}",
        "make the WireGuard interface {interface} in {node}, with {far}",
        "remove the WireGuard interface {interface} from {node}",
    ),
    EntryKey: Wording(
        "entry {mac} of {bridge}",
        "add {mac} at {port} to the FDB of {bridge}",
        "delete {mac} at {port} from the FDB of {bridge}",
    ),
    AddressKey: Wording(
        "{address} on {interface} of {node}",
        "add {address} to {interface} of {node}",
        "delete {address} from {interface} of {node}",
    ),
    UpKey: Wording(
        "{interface} of {node}",
        "set {interface} of {node} {state}",
        "leave {interface} of {node} as it is",
    ),
    RouteKey: Wording(
        "route {destination} of {node}",
        "route {destination} of {node} {way}",
        "delete the route {destination} of {node} {way}",
    ),
    ServiceKey: Wording(
        "{program} of {interface} of {node}",
        "start {program} for {interface} of {node}",
        "stop {program} for {interface} of {node}",
    ),
}


def explain(key: AnyKey, before: AnyValue | None, after: AnyValue | None) -> str:
    """A change in words."""
    wording = WORDINGS[type(key)]
    value = after if after is not None else before
    assert value is not None
    fields = _fields(key, value)
    if before is None:
        return wording.add.format_map(fields)
    if after is None:
        return wording.remove.format_map(fields)
    if isinstance(key, UpKey | SettingKey):
        return wording.add.format_map(fields)
    if isinstance(before, Machine) and isinstance(after, Machine) and before.power != after.power:
        return (wording.add if after.power else wording.remove).format_map(fields)
    if isinstance(key, RouteKey) and (way := _fields(key, before)["way"]) != fields["way"]:
        return f"{wording.add.format_map(fields)} instead of {way}"
    changed = "; ".join(_differences(before, after))
    return f"change {wording.thing.format_map(fields)}: {changed}"


def _fields(key: AnyKey, value: AnyValue) -> dict[str, Any]:
    """What a template may speak of: fields of key and value, and what is made of them."""
    fields = {**msgspec.structs.asdict(key), **msgspec.structs.asdict(value)}
    match key, value:
        case NodeKey(node=name), Node(kind=kind):
            fields["title"] = name if name == kind else f"{kind} {name}"
        case PortKey(node=node), Port(bridge=bridge):
            fields["on"] = bridge or "no bridge"
            fields["places"] = f"{node} and {bridge}" if bridge else node
        case VethKey(), Veth(peer_node=peer, peer_interface=interface):
            fields["far"] = f"{interface} of {peer}" if peer else "nothing of the lab"
            fields["limits"] = f": {value.shape.words}" if value.shape.words else ""
        case RulesKey(), Rules():
            fields["content"] = "; ".join(value.lines()) or "none"
        case WireguardKey(), Wireguard(peers=peers):
            number = len(peers)
            fields["far"] = "one peer" if number == 1 else f"{number or 'no'} peers"
        case VxlanKey(), Vxlan(remotes=remotes, group=group):
            fields["far"] = ", ".join(remotes) if group is None else f"the group {group}"
        case ShapingKey(), Shaping() as shaping:
            fields["limits"] = shaping.shape.words
        case MountKey(), Mount(read_only=read_only):
            fields["mode"] = ", read-only" if read_only else ""
        case CommandKey(), Command(words=words):
            fields["line"] = shlex.join(words)
        case UpKey(), Up(up=up):
            fields["state"] = "up" if up else "down"
        case RouteKey(), Route(gateway=gateway, interface=interface, kind=kind):
            through = f"through {gateway}" if gateway else ""
            by = f"by {interface}" if interface else ""
            fields["way"] = " ".join(filter(None, [through, by])) or kind
    return fields


def _differences(before: AnyValue, after: AnyValue) -> list[str]:
    if isinstance(before, Service) and isinstance(after, Service):
        return _lines(before.text, after.text)
    if isinstance(before, Command) and isinstance(after, Command):
        return _of_commands(before, after)
    if isinstance(before, Rules) and isinstance(after, Rules):
        gone, come = before.lines(), after.lines()
        return [
            *(f"add {line}" for line in come if line not in gone),
            *(f"drop {line}" for line in gone if line not in come),
        ]
    old, new = _flat(before), _flat(after)
    defaults = BY_NAME[OptionScope.BRIDGE if isinstance(after, Bridge) else OptionScope.PORT]

    def text(values: dict[str, Any], name: str) -> str:
        if name not in defaults:
            return _text(values.get(name))
        value = values.get(name, defaults[name].default)
        return "the engine's own" if value is None else _text(value)

    return [
        f"{name.replace('_', '-')} {text(new, name)} instead of {text(old, name)}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def _of_commands(before: Command, after: Command) -> list[str]:
    old = {name: f"{name}={text}" for name, text in before.env.items()}
    new = {name: f"{name}={text}" for name, text in after.env.items()}
    return [
        *(
            [f"{shlex.join(after.words)} instead of {shlex.join(before.words)}"]
            if before.words != after.words
            else []
        ),
        *(
            f"{new.get(name, 'no ' + name)} instead of {old.get(name, 'none')}"
            for name in dict.fromkeys([*old, *new])
            if old.get(name) != new.get(name)
        ),
    ]


def _lines(before: str, after: str) -> list[str]:
    """What lines of a configuration come and go."""
    old, new = before.splitlines(), after.splitlines()
    return [
        *(f"with {line}" for line in new if line not in old),
        *(f"without {line}" for line in old if line not in new),
    ] or ["its lines in another order"]


def _flat(value: AnyValue) -> dict[str, Any]:
    """Fields and options of a value side by side."""
    fields = msgspec.structs.asdict(value)
    options: Options = fields.pop("options", {})
    return {**fields, **options}


def _text(value: object) -> str:
    match value:
        case None | "":
            return "none"
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
        case tuple():
            return "; ".join(map(_text, value)) or "none"
        case WireguardPeer():
            far = f" at {value.endpoint}" if value.endpoint else ""
            kept = f", keepalive {value.keepalive}" if value.keepalive else ""
            return f"{value.public_key}{far} for {', '.join(value.allowed_ips)}{kept}"
        case _:
            return str(value)
