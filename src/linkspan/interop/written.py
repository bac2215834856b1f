"""A file being written: values and remarks, as YAML in which every line knows what it says.

One line holds one key, one item of a list or one remark; the item of a list of one stands beside
its key. So a fault that the loader finds in the text, which it gives by line, leads back to the
value that is at fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from linkspan.model.position import Path
from linkspan.view.table import printable

Tree: TypeAlias = dict[str, Any]
"""Mappings, lists and scalars, as in the file."""

Remarks: TypeAlias = Mapping[Path, list[str]]
"""What is to be said in comments, by the path of the mapping in which it stands."""

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*|[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?")
"""Texts that YAML 1.2 reads as they are, without quotes."""

_NOT_PLAIN: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def lines(tree: Tree, remarks: Remarks) -> Iterator[tuple[Path, str]]:
    """The lines of the file, each with the path of what it says; a remark has its mapping's."""
    return _mapping(tree, (), remarks)


def _mapping(tree: Tree, path: Path, remarks: Remarks) -> Iterator[tuple[Path, str]]:
    margin = "  " * len(path)
    for remark in remarks.get(path, ()):
        yield path, f"{margin}# {printable(remark)}"
    for key, value in tree.items():
        below = (*path, key)
        head = f"{margin}{scalar(key)}:"
        if isinstance(value, dict):
            if value or remarks.get(below):
                yield below, head if value else f"{head} {{}}"
                yield from _mapping(value, below, remarks)
            else:
                yield below, f"{head} {{}}"
        elif isinstance(value, list) and len(value) == 1:
            yield below, f"{head} {scalar(value[0])}"
        elif isinstance(value, list):
            yield below, head
            for place, item in enumerate(value):
                yield (*below, place), f"{margin}  - {scalar(item)}"
        else:
            yield below, f"{head} {scalar(value)}"


def scalar(value: str | float | bool) -> str:
    """A scalar as YAML 1.2 reads it back."""
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN
        return value if is_plain else json.dumps(value, ensure_ascii=not value.isprintable())
    return json.dumps(value)


def drop(tree: Tree, path: Path) -> None:
    """Take the value at a path away, and the mapping or list around it if that becomes empty.

    Raises LookupError when there is nothing at the path.
    """
    around: list[Any] = [tree]
    for step in path[:-1]:
        around.append(around[-1][step])
    del around[-1][path[-1]]
    if (
        len(path) > 1
        and not around[-1]
        and path[-2] in ("address", "gateway", "uplink", "ports", "fdb")
    ):
        drop(tree, path[:-1])
