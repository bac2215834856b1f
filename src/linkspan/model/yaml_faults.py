"""What can be wrong with a text that is to be YAML, in words."""

from __future__ import annotations

from typing import Any

from linkspan.errors import Fault, Place
from linkspan.model.position import YamlScalar, YamlValue
from linkspan.model.yaml_text import shorten, shown


def empty(place: Place) -> Fault:
    return Fault(
        "the file is empty",
        place,
        expected="a lab with `bridges` and `nodes`",
        next_step="start from one of the examples",
    )


def second_document(place: Place) -> Fault:
    return Fault(
        "a second document begins",
        place,
        expected="one lab per file",
        next_step="put each document into a file of its own",
    )


def other_version(version: str, place: Place) -> Fault:
    return Fault(
        f"%YAML {version} asks for another version of YAML",
        place,
        expected="YAML 1.2",
        next_step="remove the line",
    )


def alias_inside(anchor: str, place: Place) -> Fault:
    return Fault(
        f"the alias *{anchor} stands inside of what it refers to",
        place,
        next_step="write the value out",
    )


def alias_to_nothing(anchor: str, place: Place) -> Fault:
    return Fault(
        f"the alias *{anchor} refers to nothing",
        place,
        expected=f"a value marked &{anchor} above it",
        next_step="mark the value, or quote the text if it is none",
    )


def too_many_aliased(most: int, place: Place) -> Fault:
    return Fault(
        f"the aliases bring in more than {most} values",
        place,
        next_step="write the values out, or make several labs",
    )


def too_deep(most: int, place: Place) -> Fault:
    return Fault(
        f"lists and mappings are nested more than {most} deep",
        place,
        next_step="check the indentation and the brackets",
    )


def key_no_text(value: YamlValue, place: Place) -> Fault:
    text = value.text if isinstance(value, YamlScalar) else ""
    step = f'write "{shorten(text)}" in quotes if it is a name'
    return Fault(
        "a key is not a text",
        place,
        expected="a name",
        found=shown(value),
        next_step=step if text else "write a name before the colon",
    )


def merge_key(place: Place) -> Fault:
    return Fault(
        "merge keys (<<) are not part of YAML 1.2",
        place,
        next_step="write the fields out, or use an alias for the whole value",
    )


def given_twice(name: str, place: Place, first: Place) -> Fault:
    return Fault(
        f"{shorten(name)} is given twice",
        place,
        found=f"the first one at {first}",
        next_step="rename or remove one of the two",
    )


def tag(text: str, place: Place) -> Fault:
    return Fault(
        f"the tag {shorten(text)} is not taken",
        place,
        expected="a plain value",
        next_step="remove the tag; quote a value that is to be a text",
    )


def unreadable(error: Any, file: str, text: str) -> Fault:
    """What ruamel.yaml's parser says (MarkedYAMLError), at the place that it names."""
    mark = error.problem_mark or error.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if mark else None
    step = "check indentation, colons, quotes and brackets near this place"
    # A parser that misses something at the end may place that one line further.
    lines = text.split("\n")
    if mark and mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
        step = "indent with spaces"
    return Fault(
        f"this is not YAML: {error.problem}",
        place or Place(file, 1, 1),
        found=_context(error, file),
        next_step=step,
    )


def _context(error: Any, file: str) -> str:
    if not error.context or not error.context_mark:
        return error.context or ""
    mark = error.context_mark
    return f"{error.context} at {Place(file, mark.line + 1, mark.column + 1)}"
