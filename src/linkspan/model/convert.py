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
from typing import Annotated, Any, Final, TypeVar, Union, cast, get_args, get_origin

import msgspec

from linkspan.errors import Fault, Mistake, Place
from linkspan.model.flaw import in_order, label, resembling
from linkspan.model.position import Path, YamlMapping, YamlScalar, YamlSequence, YamlValue, locate
from linkspan.model.shapes import SHAPES, UnfitError
from linkspan.model.topology import NodePort, Topology
from linkspan.model.yaml_reader import Document
from linkspan.model.yaml_text import shorten, shown

SHORT_FORMS: Final[dict[type[msgspec.Struct], str]] = {NodePort: "bridge"}
"""Values that may be written as the text of one of their fields."""

INVALID: Final[Any] = object()
"""What a reader returns for a value that it has reported."""

Reader = Callable[["Conversion", YamlValue, Path], Any]
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class Conversion:
    """One walk over one document, with the faults that were found and the values left out."""

    def __init__(self, document: Document, file: str) -> None:
        self.root = document.root
        self.file = file
        self.faults = document.faults
        self.broken: set[Path] = set()

    def topology(self) -> Topology:
        if not isinstance(self.root, YamlMapping):
            self.refuse(self.root, (), "the file is not a lab", "a mapping with bridges and nodes")
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

    def refuse(
        self, value: YamlValue, path: Path, what: str, expected: str, next_step: str = ""
    ) -> Any:
        self.broken.add(path)
        where = f"{label(path)}: {what}" if path else what
        place = Place(self.file, value.line, value.column)
        self.faults.append(Fault(where, place, expected, shown(value), next_step))
        return INVALID

    def is_broken(self, need: Path) -> bool:
        """Whether a value, or one that it stands in, was left out."""
        return any(need[:length] in self.broken for length in range(len(need) + 1))

    def struct(self, cls: type[_Struct], value: YamlValue, path: Path) -> _Struct:
        if cls in SHORT_FORMS and isinstance(value, YamlScalar) and isinstance(value.value, str):
            name = SHORT_FORMS[cls]
            text = field_readers(cls)[name].read(self, value, (*path, name))
            return INVALID if text is INVALID else cls(**{name: text})
        if isinstance(value, YamlScalar) and value.value is None:
            value = YamlMapping(value.line, value.column, {}, {})
        if not isinstance(value, YamlMapping):
            return cast(_Struct, self.refuse(value, path, "this is not a mapping", _keys(cls)))
        values = self.fields(cls, value, path)
        complete = all(
            field.attribute in values for field in field_readers(cls).values() if field.required
        )
        return cls(**values) if complete else INVALID

    def fields(self, cls: type[msgspec.Struct], value: YamlMapping, path: Path) -> dict[str, Any]:
        """The fields that could be read, by attribute name; unknown and missing keys are faults."""
        readers = field_readers(cls)
        values: dict[str, Any] = {}
        for key, inner in value.values.items():
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
                step = f"write `{key}: …`"
                self.faults.append(Fault(f"{label(path)}: {key} is missing", place, next_step=step))
        return values

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
    return "one of " + ", ".join(field_readers(cls))


def _reader(annotation: Any, metas: tuple[msgspec.Meta, ...]) -> Reader:
    """The reader for a type; `metas` are the limits that stand around it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _reader(arguments[0], (*metas, *arguments[1:]))
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _optional(_reader(inner, metas))
    if origin is dict:
        return _mapping(_reader(arguments[0], ()), _reader(arguments[1], ()))
    if origin is tuple:
        return _list(_reader(arguments[0], ()))
    if issubclass(annotation, msgspec.Struct):
        return lambda conversion, value, path: conversion.struct(annotation, value, path)
    if issubclass(annotation, enum.Enum):
        return _choice(annotation)
    return {bool: _truth, str: _text, int: _number, float: _number}[annotation](annotation, metas)


def _optional(inner: Reader) -> Reader:
    def read_optional(conversion: Conversion, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and value.value is None:
            return None
        return inner(conversion, value, path)

    return read_optional


def _mapping(key_reader: Reader, value_reader: Reader) -> Reader:
    def read_mapping(conversion: Conversion, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and value.value is None:
            return {}
        if not isinstance(value, YamlMapping):
            return conversion.refuse(value, path, "this is not a mapping", "names, each with ':'")
        read: dict[str, Any] = {}
        for key, inner in value.values.items():
            # A name with a fault is reported and kept, so that what refers to it finds it.
            key_reader(conversion, YamlScalar(*value.keys[key], key, key), (*path, key))
            converted = value_reader(conversion, inner, (*path, key))
            if converted is not INVALID:
                read[key] = converted
        return read

    return read_mapping


def _list(inner: Reader) -> Reader:
    def read_list(conversion: Conversion, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and value.value is None:
            return ()
        if isinstance(value, YamlMapping):
            return conversion.refuse(value, path, "this is not a list", "a text or a list of texts")
        items = value.items if isinstance(value, YamlSequence) else [value]
        read = [inner(conversion, item, path) for item in items]
        return tuple(item for item in read if item is not INVALID)

    return read_list


def _choice(choices: type[enum.Enum]) -> Reader:
    by_text = {str(choice.value): choice for choice in choices}

    def read_choice(conversion: Conversion, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and value.text in by_text:
            return by_text[value.text]
        near = resembling(value.text, by_text) if isinstance(value, YamlScalar) else ""
        return conversion.refuse(
            value,
            path,
            "this is not one of the choices" if len(by_text) > 1 else "this is not possible",
            " or ".join(by_text),
            f"write {near}" if near else "",
        )

    return read_choice


def _truth(annotation: type, metas: tuple[msgspec.Meta, ...]) -> Reader:
    def read_truth(conversion: Conversion, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and isinstance(value.value, bool):
            return value.value
        said = value.text.lower() if isinstance(value, YamlScalar) else ""
        step = {"yes": "write true", "on": "write true", "no": "write false", "off": "write false"}
        what = "this is neither true nor false"
        return conversion.refuse(value, path, what, "true or false", step.get(said, ""))

    return read_truth


def _text(annotation: type, metas: tuple[msgspec.Meta, ...]) -> Reader:
    shape = SHAPES[next(meta.extra["shape"] for meta in metas if meta.extra)]

    def read_text_of_shape(conversion: Conversion, value: YamlValue, path: Path) -> Any:
        if not isinstance(value, YamlScalar) or not isinstance(value.value, str):
            text = value.text if isinstance(value, YamlScalar) else ""
            step = f'write "{shorten(text)}" in quotes' if text else ""
            return conversion.refuse(value, path, "this is not a text", "a text", step)
        try:
            return shape(value.value)
        except UnfitError as unfit:
            what = f"{shorten(value.value)} {unfit.what}"
            conversion.broken.add(path)
            place = Place(conversion.file, value.line, value.column)
            where = label(path[:-1] if value.value == path[-1] else path)
            conversion.faults.append(
                Fault(
                    f"{where}: {what}" if where else what,
                    place,
                    unfit.expected,
                    next_step=unfit.next_step,
                )
            )
            return INVALID

    return read_text_of_shape


def _number(annotation: type, metas: tuple[msgspec.Meta, ...]) -> Reader:
    least = next(meta.ge for meta in metas if meta.ge is not None)
    most = next(meta.le for meta in metas if meta.le is not None)
    refused = next((meta.extra["refused_bits"] for meta in metas if meta.extra), 0)
    whole = annotation is int
    expected = f"{'a whole number' if whole else 'a number'} from {least} to {most}"

    def read_number(conversion: Conversion, value: YamlValue, path: Path) -> Any:
        number = value.value if isinstance(value, YamlScalar) else None
        if isinstance(number, bool) or not isinstance(number, int if whole else (int, float)):
            what = "this is not a whole number" if whole else "this is not a number"
            return conversion.refuse(value, path, what, expected)
        assert number is not None
        if not least <= number <= most:
            return conversion.refuse(value, path, "this is out of range", expected)
        if whole and int(number) & refused:
            bits = ", ".join(str(bit) for bit in range(16) if refused >> bit & 1)
            return conversion.refuse(
                value,
                path,
                "this forwards what must stay on its link",
                f"a mask without bits {bits}" if "," in bits else f"a mask without bit {bits}",
                f"write {int(number) & ~refused}",
            )
        return annotation(number)

    return read_number
