"""The page `docs/options.md`: every option of bridges and ports, from their table."""

from __future__ import annotations

import enum
from typing import Final

from linkspan.model.base import Engine
from linkspan.model.options import OPTIONS, Option, OptionScope

_HEADINGS: Final = {
    OptionScope.BRIDGE: ("A bridge", "`bridges: {NAME: …}`"),
    OptionScope.PORT: (
        "A port",
        "`nodes: {NODE: {ports: {NAME: …}}}` and `bridges: {BRIDGE: {ports: {NAME: …}}}`",
    ),
}


def options_page() -> str:
    """Both tables, as Markdown."""
    parts = [
        "# Options of bridges and ports\n",
        "<!-- Generated from src/linkspan/model/{bridge,port}_options.py. -->\n",
        "Defaults are the kernel's. An option that an engine does not have is a mistake when it is",
        "set on a bridge of that engine; an option that the running kernel was built without is",
        "named before anything is touched. Times are kept in steps of 0.02 s.",
    ]
    for scope, (heading, where) in _HEADINGS.items():
        parts += [f"\n## {heading}\n", f"Stands at {where}.\n"]
        parts += [
            "| key | value | default | engines | netlink | meaning |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        parts += [_line(option) for option in OPTIONS if option.scope is scope]
    return "\n".join(parts) + "\n"


def _line(option: Option) -> str:
    engines = ", ".join(engine.value for engine in Engine if engine in option.engines)
    attribute = f"`{option.row.attribute}`"
    if option.row.bit is not None:
        attribute += f", bit {option.row.bit}"
    cells = (
        f"`{option.key}`",
        _value(option),
        _default(option),
        engines,
        attribute,
        option.description,
    )
    return "| " + " | ".join(cells) + " |"


def _value(option: Option) -> str:
    if issubclass(option.type, enum.Enum):
        return ", ".join(f"`{choice.value}`" for choice in option.type)
    if option.type is bool:
        return "true or false"
    if option.type is str:
        return "group address"
    words = "seconds" if option.type is float else "whole number"
    return f"{words}, {option.least} to {option.most}"


def _default(option: Option) -> str:
    if option.default is None:
        return "the engine's"
    if isinstance(option.default, bool):
        return f"`{str(option.default).lower()}`"
    return f"`{option.default:g}`" if isinstance(option.default, float) else f"`{option.default}`"
