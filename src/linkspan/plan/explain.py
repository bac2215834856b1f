"""Changes in words: what is added or removed by the template of its kind (`wordings`), filled in
with the fields of key and value; what becomes another field by field, old and new.
"""

from __future__ import annotations

import shlex
from typing import Any

import msgspec

from linkspan.model.link_facts import WireguardPeer
from linkspan.model.options import BY_NAME, OptionScope
from linkspan.model.rules import Rules, RulesKey
from linkspan.model.state import (
    AnyKey,
    AnyValue,
    Bridge,
    Command,
    CommandKey,
    Machine,
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
    SettingKey,
    Shaping,
    ShapingKey,
    Up,
    UpKey,
    Veth,
    VethKey,
    Vxlan,
    VxlanKey,
    Wireguard,
    WireguardKey,
)
from linkspan.plan.wordings import WORDINGS


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
