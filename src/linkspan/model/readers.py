"""Readers of single values: from a value with a place to a Python value, or a fault.

A reader is made once per annotation by one of the functions here and then called for each value
of a file. It returns `INVALID` for what it has reported; the walk goes on with the next value.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from linkspan.errors import Fault, Place
from linkspan.model.flaw import label, resembling
from linkspan.model.position import Path, YamlMapping, YamlScalar, YamlSequence, YamlValue
from linkspan.model.shapes import SHAPES
from linkspan.model.unfit import UnfitError
from linkspan.model.yaml_text import shorten, shown

INVALID: Final[Any] = object()
"""What a reader returns for a value that it has reported."""

Reader = Callable[["Walk", YamlValue, Path], Any]


class Walk:
    """What a walk over one file has found wrong: the faults, and the paths left out."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self.file = file
        self.faults = faults
        self.broken: set[Path] = set()
        self.spelt: dict[Path, str] = {}
        """Keys that the file spells otherwise than we do, by their path as we spell it."""

    def refuse(
        self, value: YamlValue, path: Path, what: str, expected: str, next_step: str = ""
    ) -> Any:
        """Report a value; the next step, where none is given, is to write what was expected."""
        self.broken.add(path)
        where = f"{label(path)}: {what}" if path else what
        next_step = next_step or f"write {expected}"
        place = Place(self.file, value.line, value.column)
        self.faults.append(Fault(where, place, expected, shown(value), next_step))
        return INVALID

    def as_written(self, path: Path) -> Path:
        """A path with its keys as the file spells them."""
        return tuple(self.spelt.get(path[: n + 1], step) for n, step in enumerate(path))

    def is_broken(self, need: Path) -> bool:
        """Whether a value, or one that it stands in, was left out."""
        return any(need[:length] in self.broken for length in range(len(need) + 1))

    def is_misplaced(self, path: Path) -> bool:
        """Whether a path leads through a list from which something was left out, so that its
        numbers are not those of the file.
        """
        return any(
            isinstance(step, int) and path[:length] in self.broken
            for length, step in enumerate(path)
        )


def _extras(metas: tuple[msgspec.Meta, ...], key: str) -> Iterator[Any]:
    return (meta.extra[key] for meta in metas if meta.extra and key in meta.extra)


def optional_reader(inner: Reader) -> Reader:
    def read_optional(walk: Walk, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and value.value is None:
            return None
        return inner(walk, value, path)

    return read_optional


def mapping_reader(key_reader: Reader, value_reader: Reader) -> Reader:
    def read_mapping(walk: Walk, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and value.value is None:
            return {}
        if not isinstance(value, YamlMapping):
            return walk.refuse(value, path, "this is not a mapping", "a mapping of names")
        read: dict[str, Any] = {}
        for key, inner in value.values.items():
            place = YamlScalar(*value.keys[key], key, key)
            name = key_reader(walk, place, (*path, key))
            # A name with a fault is reported and kept, so that what refers to it finds it.
            name = key if name is INVALID else name
            if name != key:
                walk.spelt[*path, name] = key
            converted = value_reader(walk, inner, (*path, key))
            if name in read:
                step = "remove one of the two"
                walk.refuse(place, (*path, key), f"{name} is there twice", "each key once", step)
            elif converted is not INVALID:
                read[name] = converted
        return read

    return read_mapping


def list_reader(inner: Reader) -> Reader:
    def read_list(walk: Walk, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and value.value is None:
            return ()
        if isinstance(value, YamlMapping):
            return walk.refuse(value, path, "this is not a list", "a text, or a list of texts")
        items = value.items if isinstance(value, YamlSequence) else [value]
        read = [inner(walk, item, path) for item in items]
        return tuple(item for item in read if item is not INVALID)

    return read_list


def record_list_reader(inner: Reader) -> Reader:
    """Reads a list of mappings; a fault in one of them makes the numbers of the others useless."""

    def read_records(walk: Walk, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and value.value is None:
            return ()
        items = value.items if isinstance(value, YamlSequence) else [value]
        read = [inner(walk, item, (*path, number)) for number, item in enumerate(items)]
        if INVALID in read:
            walk.broken.add(path)
        return tuple(item for item in read if item is not INVALID)

    return read_records


def word_reader(text: Reader) -> Reader:
    """Reads a whole number as it is, and a text by its shape."""

    def read_word(walk: Walk, value: YamlValue, path: Path) -> Any:
        number = value.value if isinstance(value, YamlScalar) else None
        if isinstance(number, bool):
            step = f"write {int(number)}"
            return walk.refuse(value, path, "this is no value", "a number or a text", step)
        if isinstance(number, int):
            return number
        return text(walk, value, path)

    return read_word


def words_reader(word: Reader, split: Callable[[str], tuple[str, ...]]) -> Reader:
    """Reads a list of words, or a text that is split into them."""
    read_list = list_reader(word)

    def read_words(walk: Walk, value: YamlValue, path: Path) -> Any:
        if not isinstance(value, YamlScalar) or not isinstance(value.value, str):
            return read_list(walk, value, path)
        try:
            return split(value.value)
        except UnfitError as unfit:
            return walk.refuse(value, path, f"this {unfit.what}", unfit.expected, unfit.next_step)

    return read_words


def choice_reader(choices: type[enum.Enum]) -> Reader:
    by_text = {str(choice.value): choice for choice in choices}

    def read_choice(walk: Walk, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and value.text in by_text:
            return by_text[value.text]
        near = resembling(value.text, by_text) if isinstance(value, YamlScalar) else ""
        return walk.refuse(
            value,
            path,
            "this is not one of the choices" if len(by_text) > 1 else "this is not possible",
            " or ".join(by_text),
            f"write {near}" if near else "",
        )

    return read_choice


def truth_reader(annotation: type, metas: tuple[msgspec.Meta, ...]) -> Reader:
    def read_truth(walk: Walk, value: YamlValue, path: Path) -> Any:
        if isinstance(value, YamlScalar) and isinstance(value.value, bool):
            return value.value
        said = value.text.lower() if isinstance(value, YamlScalar) else ""
        step = {"yes": "write true", "on": "write true", "no": "write false", "off": "write false"}
        what = "this is neither true nor false"
        return walk.refuse(value, path, what, "true or false", step.get(said, ""))

    return read_truth


def text_reader(annotation: type, metas: tuple[msgspec.Meta, ...]) -> Reader:
    shape = SHAPES[next(_extras(metas, "shape"))]

    def read_text_of_shape(walk: Walk, value: YamlValue, path: Path) -> Any:
        if not isinstance(value, YamlScalar) or not isinstance(value.value, str):
            text = value.text if isinstance(value, YamlScalar) else ""
            step = f'write "{shorten(text)}" in quotes' if text else ""
            return walk.refuse(value, path, "this is not a text", "a text", step)
        try:
            return shape(value.value)
        except UnfitError as unfit:
            what = f"{shorten(value.value)} {unfit.what}"
            walk.broken.add(path)
            place = Place(walk.file, value.line, value.column)
            where = label(path[:-1] if value.value == path[-1] else path)
            walk.faults.append(
                Fault(
                    f"{where}: {what}" if where else what,
                    place,
                    unfit.expected,
                    next_step=unfit.next_step,
                )
            )
            return INVALID

    return read_text_of_shape


def number_reader(annotation: type, metas: tuple[msgspec.Meta, ...]) -> Reader:
    least = next(meta.ge for meta in metas if meta.ge is not None)
    most = next(meta.le for meta in metas if meta.le is not None)
    refused = next(_extras(metas, "refused_bits"), 0)
    whole = annotation is int
    expected = f"{'a whole number' if whole else 'a number'} from {least} to {most}"

    def read_number(walk: Walk, value: YamlValue, path: Path) -> Any:
        number = value.value if isinstance(value, YamlScalar) else None
        if isinstance(number, bool) or not isinstance(number, int if whole else (int, float)):
            what = "this is not a whole number" if whole else "this is not a number"
            return walk.refuse(value, path, what, expected)
        assert number is not None
        if not least <= number <= most:
            return walk.refuse(value, path, "this is out of range", expected)
        if whole and int(number) & refused:
            bits = ", ".join(str(bit) for bit in range(16) if refused >> bit & 1)
            return walk.refuse(
                value,
                path,
                "this forwards what must stay on its link",
                f"a mask without bits {bits}" if "," in bits else f"a mask without bit {bits}",
                f"write {int(number) & ~refused:#x}",
            )
        return annotation(number)

    return read_number
