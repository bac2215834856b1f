"""The options of a bridge and of a port: one table, a row for each, for the file and the kernel.

A row is a field of `BridgeOptions` (`model.bridge_options`) or `PortOptions`
(`model.port_options`): its name is the key in the file (with hyphens), its default the kernel's,
its annotation says which netlink attribute it is, in which limits, and which engines have it.
`OPTIONS` is the same table for those who go through it: the kernel's encoding and back
(`model.kernel_options`), the checks (`model.validate_options`), `docs/options.md`.

None stands for what the engine makes of it: the cost of a port by its speed, or its own limit.
The names are iproute2's (ip-link(8), bridge(8)) in full words. Left out are what the kernel takes
and ignores (multicast hash elasticity), what is a state and no setting (a port's STP state, MRP
roles, a multicast router that was heard for a while) and what names another interface or a next
hop (backup port).
"""

from __future__ import annotations

import enum
import types
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from linkspan.model.base import Engine, Row
from linkspan.model.bridge_options import BridgeOptions
from linkspan.model.port_options import PortOptions


class OptionScope(enum.Enum):
    """What an option is set on."""

    BRIDGE = "bridge"
    PORT = "port"


Plain: TypeAlias = bool | int | float | str | None
"""A value of an option; a choice is the text that stands for it in the file."""


class Option(msgspec.Struct, frozen=True):
    """One row of the table."""

    scope: OptionScope
    name: str
    """With underscores; `key` is that of the file."""
    key: str
    type: type
    """bool, int, float (seconds), str (a group address) or a choice."""
    default: Plain
    row: Row
    least: float | None
    most: float | None
    description: str

    @property
    def engines(self) -> frozenset[Engine]:
        """The engines that have the option."""
        return self.row.engines


def _flattened(annotation: Any) -> tuple[type, list[Meta]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        found, metas = _flattened(arguments[0])
        return found, [*arguments[1:], *metas]
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _flattened(inner)
    return annotation, []


def _option(scope: OptionScope, field: msgspec.structs.FieldInfo) -> Option:
    found, metas = _flattened(field.type)
    default = field.default
    return Option(
        scope=scope,
        name=field.name,
        key=field.encode_name,
        type=found,
        default=default.value if isinstance(default, enum.Enum) else default,
        row=next(meta.extra["row"] for meta in metas if meta.extra and "row" in meta.extra),
        least=next((meta.ge for meta in metas if meta.ge is not None), None),
        most=next((meta.le for meta in metas if meta.le is not None), None),
        description=next(meta.description for meta in metas if meta.description),
    )


OPTIONS: Final[tuple[Option, ...]] = tuple(
    _option(scope, field)
    for scope, cls in ((OptionScope.BRIDGE, BridgeOptions), (OptionScope.PORT, PortOptions))
    for field in msgspec.structs.fields(cls)
)
"""Every option, bridges' before ports', in the order of the structs."""

BY_NAME: Final[dict[OptionScope, dict[str, Option]]] = {
    scope: {option.name: option for option in OPTIONS if option.scope is scope}
    for scope in OptionScope
}
