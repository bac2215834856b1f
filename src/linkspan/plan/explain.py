"""Changes in words: a table with a row for each kind of thing.

A row has a template for what is added and one for what is removed, filled in with the fields of
key and value. What becomes another is told field by field, old and new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from linkspan.model.options import BY_NAME, OptionScope
from linkspan.model.state import (
    AddressKey,
    AnyKey,
    AnyValue,
    Bridge,
    BridgeKey,
    EntryKey,
    NodeKey,
    Options,
    PortKey,
    RouteKey,
    SettingKey,
    SocketKey,
    UpKey,
    UplinkKey,
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
        "{name} of {node}", "set {name} of {node} to {text}", "leave {name} of {node} alone"
    ),
    BridgeKey: Wording(
        "{bridge}",
        "make the bridge {bridge} on {node}, {engine} engine",
        "remove the bridge {bridge} from {node}",
    ),
    PortKey: Wording(
        "{interface} of {node}",
        "make {interface} in {node}, a port of {bridge}",
        "remove {interface} from {node} and {bridge}",
    ),
    SocketKey: Wording(
        "socket {name} of {bridge}",
        "make the {kind} socket {name}, a port of {bridge}",
        "remove the {kind} socket {name} from {bridge}",
    ),
    UplinkKey: Wording(
        "{interface} of {node}",
        "make {interface} of {node} a port of {bridge}",
        "release {interface} of {node} from {bridge}",
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
}


def explain(key: AnyKey, before: AnyValue | None, after: AnyValue | None) -> str:
    """A change in words."""
    wording = WORDINGS[type(key)]
    value = after if after is not None else before
    fields = {**msgspec.structs.asdict(key), **(_fields(value) if value is not None else {})}
    if isinstance(key, NodeKey):
        fields["title"] = f"{fields['kind']} {key.node}" if fields["kind"] != key.node else key.node
    if before is None:
        return wording.add.format_map(fields)
    if after is None:
        return wording.remove.format_map(fields)
    if isinstance(key, UpKey):
        return wording.add.format_map(fields)
    if isinstance(key, RouteKey) and (way := _fields(before)["way"]) != fields["way"]:
        return f"{wording.add.format_map(fields)} instead of {way}"
    changed = "; ".join(_differences(before, after))
    return f"change {wording.thing.format_map(fields)}: {changed}"


def _fields(value: AnyValue) -> dict[str, Any]:
    fields = msgspec.structs.asdict(value)
    if "up" in fields:
        fields["state"] = "up" if fields["up"] else "down"
    if "gateway" in fields:
        through = f"through {fields['gateway']}" if fields["gateway"] else ""
        by = f"by {fields['interface']}" if fields["interface"] else ""
        fields["way"] = " ".join(filter(None, [through, by])) or fields["kind"]
    return fields


def _differences(before: AnyValue, after: AnyValue) -> list[str]:
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
        case _:
            return str(value)
