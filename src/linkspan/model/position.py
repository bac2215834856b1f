"""Values of a YAML file that know where they stand.

The reader makes them, the loader walks them. A path such as `("nodes", "web", "ports", "eth0")`
names a value; `locate` finds its place afterwards, so that checks of whole files work on plain
values and still end in a line and a column.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from linkspan.errors import Place

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the root of the file to a value."""


class YamlScalar(msgspec.Struct, frozen=True):
    """A single value; `text` is what the file says, `value` what YAML 1.2 makes of it."""

    line: int
    column: int
    value: str | int | float | bool | None
    text: str


class YamlSequence(msgspec.Struct, frozen=True):
    """A list."""

    line: int
    column: int
    items: list[YamlValue]


class YamlMapping(msgspec.Struct, frozen=True):
    """A mapping, with the line and column of each key."""

    line: int
    column: int
    values: dict[str, YamlValue]
    keys: dict[str, tuple[int, int]]


YamlValue: TypeAlias = YamlScalar | YamlSequence | YamlMapping


def locate(root: YamlValue, path: Path, file: str, *, at_key: bool = False) -> Place:
    """Where the value at `path` stands, or its key.

    Where a short form leaves steps of the path out, the place is that of the short form; where
    the value is absent, that of the key of the mapping it would be in.
    """
    value, line, column = root, root.line, root.column
    for depth, step in enumerate(path):
        if isinstance(value, YamlMapping) and step in value.values:
            line, column = value.keys[str(step)]
            value = value.values[str(step)]
            if not (at_key and depth == len(path) - 1):
                last = depth == len(path) - 1 or not isinstance(value, YamlMapping)
                line, column = (value.line, value.column) if last else (line, column)
        elif isinstance(value, YamlSequence) and isinstance(step, int):
            value = value.items[step]
            line, column = value.line, value.column
        else:
            break
    return Place(file, line, column)


def is_there(root: YamlValue, path: Path) -> bool:
    """Whether there is a value at `path`, as it stands in the file."""
    value = root
    for step in path:
        if not isinstance(value, YamlMapping) or str(step) not in value.values:
            return False
        value = value.values[str(step)]
    return True
