"""From values with places to a `Topology`, by the annotations of `model.topology`.

Types, limits and shapes are read from the annotations, once per type; nothing about single
fields stands here. A value that cannot be converted is reported and left out, and its path is
kept in `broken`, so that checks which would build on it can be silent: one cause, one fault.

An empty mapping may be left blank (`br0:`), a list of one may be written without brackets, and
`eth0: br0` is short for `eth0: {bridge: br0}`.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, TypeAlias, TypeVar, Union, cast, get_args, get_origin

import msgspec

from linkspan.errors import Fault, Mistake, Place
from linkspan.model.bridge_options import BridgeOptions
from linkspan.model.container import (
    MOUNT_PATTERN,
    OWN_FIELDS,
    ContainerFields,
    Mount,
    parse_mount,
    split_words,
)
from linkspan.model.flaw import in_order, label, resembling
from linkspan.model.link import END_PATTERN, WIRE_PATTERN, VethEnd, VethLink, parse_end, parse_wire
from linkspan.model.machine import Disk, MachineFields
from linkspan.model.port_options import PortOptions
from linkspan.model.position import Path, YamlMapping, YamlScalar, YamlValue, locate
from linkspan.model.readers import (
    INVALID,
    Reader,
    Walk,
    choice_reader,
    list_reader,
    mapping_reader,
    number_reader,
    optional_reader,
    record_list_reader,
    text_reader,
    truth_reader,
    word_reader,
    words_reader,
)
from linkspan.model.shapes import SHAPES
from linkspan.model.shaping import ShapedOptions
from linkspan.model.topology import NodePort, StaticEntry, Topology, UplinkPort
from linkspan.model.unfit import UnfitError
from linkspan.model.yaml_reader import Document
from linkspan.model.yaml_text import shorten

Metas: TypeAlias = tuple[msgspec.Meta, ...]

SHORT_FORMS: Final[dict[type[msgspec.Struct], str]] = {
    NodePort: "bridge",
    StaticEntry: "port",
    UplinkPort: "interface",
    Disk: "file",
}
"""Values that may be written as the text of one of their fields."""

TEXT_FORMS: Final[dict[type[msgspec.Struct], tuple[str, Callable[[str], msgspec.Struct]]]] = {
    VethEnd: (END_PATTERN, parse_end),
    VethLink: (WIRE_PATTERN, parse_wire),
    Mount: (MOUNT_PATTERN, parse_mount),
}
"""Values that may be written as a text with a form of its own: its pattern, who reads it."""

_OPTIONS_IN_WORDS: Final[dict[type[msgspec.Struct], str]] = {
    BridgeOptions: "or an option of a bridge (docs/options.md)",
    ShapedOptions: "bandwidth, delay, loss",
    PortOptions: "or an option of a port (docs/options.md)",
    ContainerFields: f"or of a container {', '.join(OWN_FIELDS)}",
    MachineFields: f"or of a virtual machine {', '.join(MachineFields.__struct_fields__)}",
}

_UNIONS: Final = (Union, types.UnionType)

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class Conversion(Walk):
    """One walk over one document, with the faults that were found and the values left out."""

    def __init__(self, document: Document, file: str) -> None:
        super().__init__(file, document.faults)
        self.root = document.root

    def topology(self) -> Topology:
        if not isinstance(self.root, YamlMapping):
            self.refuse(self.root, (), "the file is not a lab", "`bridges:` and `nodes:`")
            raise Mistake(*in_order(self.faults))
        values = self.fields(Topology, self.root, ())
        if "name" not in values:
            values["name"] = "unnamed" if "name" in self.root.keys else self.stem()
        return Topology(**values)

    def stem(self) -> str:
        """The name of the lab that the name of the file gives."""
        stem = FilePath(self.file).stem
        try:
            return SHAPES["lab"](stem)
        except UnfitError as unfit:
            self.faults.append(
                Fault(
                    f'the lab has no name, and that of the file, "{shorten(stem)}", cannot serve',
                    Place(self.file, 1, 1),
                    expected=unfit.expected,
                    next_step="write `name: ` and a name on the first line",
                )
            )
            return "unnamed"

    def struct(self, cls: type[_Struct], value: YamlValue, path: Path) -> _Struct:
        if cls in SHORT_FORMS and isinstance(value, YamlScalar) and isinstance(value.value, str):
            name = SHORT_FORMS[cls]
            text = field_readers(cls)[name].read(self, value, (*path, name))
            return INVALID if text is INVALID else cls(**{name: text})
        if cls in TEXT_FORMS and isinstance(value, YamlScalar) and isinstance(value.value, str):
            try:
                return cast(_Struct, TEXT_FORMS[cls][1](value.value))
            except UnfitError as unfit:
                what = f"this {unfit.what}"
                refused = self.refuse(value, path, what, unfit.expected, unfit.next_step)
                return cast(_Struct, refused)
        if isinstance(value, YamlScalar) and value.value is None:
            value = YamlMapping(value.line, value.column, {}, {})
        if not isinstance(value, YamlMapping):
            expected = _keys(cls)
            step = "write a mapping of these keys"
            return cast(_Struct, self.refuse(value, path, "this is not a mapping", expected, step))
        values = self.fields(cls, value, path)
        complete = all(
            field.attribute in values for field in field_readers(cls).values() if field.required
        )
        return cls(**values) if complete else INVALID

    def fields(self, cls: type[msgspec.Struct], value: YamlMapping, path: Path) -> dict[str, Any]:
        """The fields that could be read, by attribute name; unknown and missing keys are faults."""
        readers = field_readers(cls)
        values: dict[str, Any] = {}
        tag = cls.__struct_config__.tag_field
        for key, inner in value.values.items():
            if key == tag:
                continue
            if field := readers.get(key):
                converted = field.read(self, inner, (*path, key))
                if converted is not INVALID:
                    values[field.attribute] = converted
            else:
                self.unknown_key(key, value, path, cls)
        for key, field in readers.items():
            if field.required and key not in value.keys:
                self.broken.add(path)
                place = locate(self.root, path, self.file, at_key=bool(path))
                self.faults.append(
                    Fault(
                        f"{label(path)}: {key} is missing",
                        place,
                        next_step=f"write `{key}: …`",
                    )
                )
        return values

    def kind(
        self, kinds: dict[str, type[msgspec.Struct]], value: YamlValue, path: Path
    ) -> msgspec.Struct:
        """One of several values that are told apart by their key `kind`."""
        if not isinstance(value, YamlMapping):
            cls = next((cls for cls in kinds.values() if cls in TEXT_FORMS), None)
            if cls is not None and isinstance(value, YamlScalar) and isinstance(value.value, str):
                return self.struct(cls, value, path)
            what = "this is not a mapping"
            return cast(msgspec.Struct, self.refuse(value, path, what, "a mapping with `kind`"))
        found = value.values.get("kind")
        name = found.text if isinstance(found, YamlScalar) else ""
        if name in kinds:
            return self.struct(kinds[name], value, path)
        near = resembling(name, kinds)
        what = "kind is missing" if found is None else "this kind is not known"
        step = f"write `kind: {near or next(iter(kinds))}`"
        refused = self.refuse(found or value, path, what, " or ".join(kinds), step)
        return cast(msgspec.Struct, refused)

    def unknown_key(
        self, key: str, value: YamlMapping, path: Path, cls: type[msgspec.Struct]
    ) -> None:
        self.broken.add(path)
        near = resembling(key, field_readers(cls))
        where = f"{label(path)}: " if path else ""
        self.faults.append(
            Fault(
                f"{where}unknown key {shorten(key)}",
                Place(self.file, *value.keys[key]),
                expected=_keys(cls),
                next_step=f"write {near}" if near else "remove the key",
            )
        )


class FieldReader(msgspec.Struct, frozen=True):
    """How one key of a file becomes one field of a value."""

    attribute: str
    required: bool
    read: Reader


@cache
def field_readers(cls: type[msgspec.Struct]) -> dict[str, FieldReader]:
    """The readers of a value's fields by their keys, made from its annotations.

    A lab's name is not required of a file, since the file has a name itself.
    """
    return {
        field.encode_name: FieldReader(
            field.name,
            field.required and (cls, field.name) != (Topology, "name"),
            _reader(field.type, ()),
        )
        for field in own_first(cls)
    }


def own_first(cls: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    """The fields of a value as a reader expects them: its own before those it shares."""
    own = cls.__annotations__
    return sorted(msgspec.structs.fields(cls), key=lambda field: field.name not in own)


def _keys(cls: type[msgspec.Struct]) -> str:
    """The keys in words; those of the options are too many for a message."""
    own = [field.encode_name for field in own_first(cls) if field.name in cls.__annotations__]
    options = [words for base, words in _OPTIONS_IN_WORDS.items() if issubclass(cls, base)]
    return ", ".join(["one of " + ", ".join(own), *options])


def _reader(annotation: Any, metas: Metas) -> Reader:
    """The reader for a type; `metas` are the limits that stand around it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _reader(arguments[0], (*metas, *arguments[1:]))
    if origin in _UNIONS:
        if int in arguments:
            return word_reader(_reader(next(one for one in arguments if one is not int), metas))
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return optional_reader(_reader(inner, metas))
    if origin is dict:
        return mapping_reader(_reader(arguments[0], ()), _reader(arguments[1], ()))
    if origin is tuple:
        if kinds := kinds_of(arguments[0]):
            return record_list_reader(_kind(kinds))
        if isinstance(arguments[0], type) and issubclass(arguments[0], msgspec.Struct):
            return record_list_reader(_struct(arguments[0]))
        inner = _reader(arguments[0], ())
        is_command = any(meta.extra and "words" in meta.extra for meta in metas)
        return words_reader(inner, split_words) if is_command else list_reader(inner)
    if issubclass(annotation, msgspec.Struct):
        return _struct(annotation)
    if issubclass(annotation, enum.Enum):
        return choice_reader(annotation)
    return {bool: truth_reader, str: text_reader, int: number_reader, float: number_reader}[
        annotation
    ](annotation, metas)


def _struct(cls: type[msgspec.Struct]) -> Reader:
    def read_struct(walk: Walk, value: YamlValue, path: Path) -> Any:
        return cast(Conversion, walk).struct(cls, value, path)

    return read_struct


def kinds_of(annotation: Any) -> dict[str, type[msgspec.Struct]]:
    """The values that a union consists of, by what their key `kind` says."""
    members = get_args(annotation) if get_origin(annotation) in _UNIONS else (annotation,)
    return {
        str(member.__struct_config__.tag): member
        for member in members
        if isinstance(member, type)
        and issubclass(member, msgspec.Struct)
        and member.__struct_config__.tag is not None
    }


def _kind(kinds: dict[str, type[msgspec.Struct]]) -> Reader:
    def read_kind(walk: Walk, value: YamlValue, path: Path) -> Any:
        return cast(Conversion, walk).kind(kinds, value, path)

    return read_kind
