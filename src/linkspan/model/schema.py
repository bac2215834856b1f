"""The file format as JSON Schema (for editors) and as a page of documentation.

Both are generated from the types of `model.topology`. msgspec writes the schema of the values;
what is added here is what the loader takes beyond them: short forms and blank mappings.
`docs/linkspan.schema.json`, `docs/file.md` and `docs/options.md` (`model.options_page`) are the
results; `python -m linkspan.model.schema DOCS` writes them anew.
"""

from __future__ import annotations

import enum
import json
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from linkspan.model.container import Mount
from linkspan.model.convert import SHORT_FORMS, TEXT_FORMS, field_readers, kinds_of, own_first
from linkspan.model.dhcp import Dhcp, Dns
from linkspan.model.link import VethEnd, VethLink
from linkspan.model.machine import Disk
from linkspan.model.network import NodeRoute
from linkspan.model.options_page import options_page
from linkspan.model.station import Station
from linkspan.model.topology import (
    Bridge,
    Node,
    NodePort,
    SocketPort,
    StaticEntry,
    Topology,
    UplinkPort,
)
from linkspan.model.vxlan import VxlanLink
from linkspan.model.wireguard import WireguardLink, WireguardPeer

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

SECTIONS: Final[tuple[tuple[type[msgspec.Struct], str, str], ...]] = (
    (Topology, "The lab", "the top of the file"),
    (Bridge, "A bridge", "`bridges: {NAME: …}`"),
    (UplinkPort, "An uplink", "`bridges: {NAME: {uplink: …}}`"),
    (Dhcp, "Addresses that a bridge gives away", "`bridges: {NAME: {dhcp: …}}`"),
    (Station, "A fixed lease of no node", "`bridges: {NAME: {dhcp: {stations: {NAME: …}}}}`"),
    (Dns, "A name server of a bridge", "`bridges: {NAME: {dns: …}}`"),
    (SocketPort, "A port for a program", "`bridges: {BRIDGE: {ports: {NAME: …}}}`"),
    (StaticEntry, "An entry of the FDB", "`bridges: {BRIDGE: {fdb: {MAC: …}}}`"),
    (Node, "A node", "`nodes: {NAME: …}`"),
    (NodeRoute, "A route", "`nodes: {NODE: {routes: [ … ]}}`"),
    (Mount, "A mount", "`nodes: {NODE: {mounts: [ … ]}}`"),
    (Disk, "A disk", "`nodes: {NODE: {disk: …}}`"),
    (NodePort, "An interface of a node", "`nodes: {NODE: {ports: {NAME: …}}}`"),
    (VethLink, "A wire", "`links: [{kind: veth, …}]`"),
    (VethEnd, "An end of a wire", "`links: [{kind: veth, ends: […]}]`"),
    (VxlanLink, "A VXLAN tunnel", "`links: [{kind: vxlan, …}]`"),
    (WireguardLink, "A WireGuard interface", "`links: [{kind: wireguard, …}]`"),
    (WireguardPeer, "A WireGuard peer", "`links: [{kind: wireguard, peers: […]}]`"),
)
"""What `reference` documents, in its order: value, heading, where it stands."""

_TYPE_WORDS: Final[dict[Any, str]] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
}


_KEY_WORDS: Final = {"station": "MAC addresses"}
"""What the keys of a mapping are, by their shape, where they are no names."""


def json_schema() -> dict[str, Any]:
    """JSON Schema of a file, draft 2020-12."""
    schema = msgspec.json.schema(Topology)
    definitions: dict[str, Any] = schema["$defs"]
    for definition in definitions.values():
        for name, field in definition.get("properties", {}).items():
            definition["properties"][name] = _as_written(field)
    definitions["Topology"]["required"] = []
    for cls, name in SHORT_FORMS.items():
        text = dict(definitions[cls.__name__]["properties"][name])
        text["description"] = f"Short for {{{name}: …}}."
        full = definitions.pop(cls.__name__)
        definitions[cls.__name__] = {"anyOf": [text, full]}
    for cls, (pattern, _) in TEXT_FORMS.items():
        full = definitions.pop(cls.__name__)
        definitions[cls.__name__] = {"anyOf": [{"type": "string", "pattern": pattern}, full]}
    for name in ("Bridge", "Node"):
        definitions[name] = {**definitions[name], "type": ["object", "null"]}
    return {"$schema": DIALECT, "title": "A linkspan lab", **schema}


def reference() -> str:
    """The page `docs/file.md`: every field with type, default and meaning."""
    parts = [
        "# The file\n",
        "<!-- Generated from src/linkspan/model/{topology,bridge,node,dhcp,*_options}.py. -->\n",
        "A lab is one YAML 1.2 file. Nothing in it is ignored: a key that is not listed here is a",
        "mistake. Mappings without a value are empty (`br0:`), and a list of one may be written",
        "without brackets. The same as JSON Schema: [linkspan.schema.json](linkspan.schema.json).",
    ]
    for cls, heading, where in SECTIONS:
        parts += [f"\n## {heading}\n", f"{cls.__doc__} Stands at {where}.\n"]
        parts += ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
        parts += [
            f"| `{field.encode_name}` | {_type_words(field.type)} | {_default(cls, field)} "
            f"| {_description(field.type)} |"
            for field in own_first(cls)
        ]
    return "\n".join(parts) + "\n"


def main(folder: Path) -> None:
    """Write the documents into a folder."""
    (folder / "linkspan.schema.json").write_text(schema_text())
    (folder / "file.md").write_text(reference())
    (folder / "options.md").write_text(options_page())


def schema_text() -> str:
    """The schema as it is stored."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _as_written(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field as a file may write it: one for a list of one, blank for none."""
    if field.get("type") == "array":
        items = field["items"]
        outer: dict[str, Any] = {
            key: field[key] for key in ("description", "default") if key in field
        }
        return {**outer, "anyOf": [items, {"type": "array", "items": items}, {"type": "null"}]}
    if field.get("type") == "object":
        values = field["additionalProperties"]
        return {
            **field,
            "type": ["object", "null"],
            "additionalProperties": _as_written(values) if isinstance(values, dict) else values,
        }
    return field


def _unwrapped(annotation: Any) -> tuple[Any, tuple[msgspec.Meta, ...]]:
    """A type without Annotated and None, and what was annotated."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner, metas = _unwrapped(arguments[0])
        return inner, (*arguments[1:], *metas)
    if origin in (Union, types.UnionType) and int not in arguments:
        (argument,) = (one for one in arguments if one is not type(None))
        return _unwrapped(argument)
    return annotation, ()


def _description(annotation: Any) -> str:
    return next(meta.description for meta in _unwrapped(annotation)[1] if meta.description)


def _type_words(annotation: Any) -> str:
    inner, metas = _unwrapped(annotation)
    origin, arguments = get_origin(inner), get_args(inner)
    if origin is dict:
        (shape,) = (meta.extra["shape"] for meta in _unwrapped(arguments[0])[1] if meta.extra)
        keys = _KEY_WORDS.get(shape, "names")
        return f"mapping of {keys} to: {_type_words(arguments[1])}"
    if origin is tuple and (kinds := kinds_of(arguments[0])):
        return "list of: " + ", ".join(_heading(kind) for kind in kinds.values())
    if origin is tuple and arguments[0] in [cls for cls, _, _ in SECTIONS]:
        return f"list of: {_heading(arguments[0])}"
    if origin in (Union, types.UnionType):
        return "text or number"
    if origin is tuple:
        return f"{_type_words(arguments[0])}, or a list of them"
    if issubclass(inner, msgspec.Struct):
        return _heading(inner)
    if issubclass(inner, enum.Enum):
        return ", ".join(f"`{choice.value}`" for choice in inner)
    limits = [meta for meta in metas if meta.ge is not None]
    if limits:
        return f"{_TYPE_WORDS[inner]}, {limits[0].ge} to {limits[0].le}"
    examples = [example for meta in metas for example in meta.examples or ()]
    such_as = " or ".join(f"`{example}`" for example in examples)
    return f"text such as {such_as}" if such_as else _TYPE_WORDS[inner]


def _heading(cls: type[msgspec.Struct]) -> str:
    heading = next(heading for known, heading, _ in SECTIONS if known is cls)
    return f"[{heading.lower()}](#{heading.lower().replace(' ', '-')})"


def _default(cls: type[msgspec.Struct], field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        required = field_readers(cls)[field.encode_name].required
        return "must be given" if required else "the file's name"
    value = field.default
    if isinstance(value, enum.Enum):
        return f"`{value.value}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value in (None, msgspec.NODEFAULT, ()):
        return "none"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
