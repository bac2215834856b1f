"""Options as the kernel speaks of them, and what differs from its defaults.

Between the file and rtnetlink an option is a plain value in a sparse dictionary: only what is
not the default stands there, under the field's name. So two dictionaries are equal exactly when
the bridges are set alike, and the empty one is a bridge or port that was only made.

Times are 1/100 s in the kernel's messages and ticks of its clock inside it (clock_t_to_jiffies,
kernel/time/time.c); what was set comes back rounded down to a tick. Clocks of 100, 250, 300 and
1000 Hz all give an even number of hundredths back, or (300 Hz) one less, so times are kept in
steps of 0.02 s, upwards, and a reading that is beside the default is the default. (Ageing times
of more than a day lose further hundredths at 300 Hz.)
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from linkspan.model.base import MulticastRouter
from linkspan.model.bridge_options import BridgeOptions, SpanningTree, VlanProtocol
from linkspan.model.options import BY_NAME, OPTIONS, Option, OptionScope, Plain
from linkspan.model.port_options import PortOptions
from linkspan.types import format_mac, parse_mac

Sparse: TypeAlias = dict[str, Plain]
"""Options that are not at their defaults, by field name."""

Attributes: TypeAlias = list[tuple[str, Any]]
"""Names and values of netlink attributes, as pyroute2 encodes and decodes them."""

_HUNDREDTHS: Final = 100

_CODES: Final[dict[enum.Enum, tuple[int, ...]]] = {
    SpanningTree.OFF: (0,),
    SpanningTree.STP: (1, 2),
    VlanProtocol.CUSTOMER: (0x8100,),
    VlanProtocol.PROVIDER: (0x88A8,),
    MulticastRouter.DISABLED: (0,),
    MulticastRouter.LEARN: (1, 3),
    MulticastRouter.PERMANENT: (2,),
}
"""The kernel's number for a choice, and others that mean the same: a spanning tree that a program
of the host runs for the bridge (BR_USER_STP), a router that was heard (MDB_RTR_TYPE_TEMP)."""

PROVIDER_GROUP: Final = "01:80:c2:00:00:08"
"""What a provider bridge has for its group address unless told otherwise (recalculate_group_addr,
net/bridge/br_vlan.c)."""

_COST_OF_SPEED: Final = {10: 100, 100: 19, 1000: 5, 2500: 4, 5000: 3, 10_000: 2}
"""By Mb/s (port_cost, net/bridge/br_if.c; Linux 6.0 and later)."""


def options_of(value: BridgeOptions | PortOptions) -> Sparse:
    """What differs from the kernel's defaults in a bridge or port of a file."""
    scope = OptionScope.BRIDGE if isinstance(value, BridgeOptions) else OptionScope.PORT
    return sparse(scope, {name: getattr(value, name) for name in BY_NAME[scope]})


def sparse(scope: OptionScope, values: Mapping[str, Any]) -> Sparse:
    """Values without the defaults among them, each in the one form that is compared."""
    found: Sparse = {}
    for name, value in values.items():
        option = BY_NAME[scope][name]
        plain = _canonical(option, value.value if isinstance(value, enum.Enum) else value)
        if plain != option.default:
            found[name] = plain
    is_provider = found.get("vlan_protocol") == VlanProtocol.PROVIDER.value
    if is_provider and found.get("vlan_filtering") and found.get("group_address") == PROVIDER_GROUP:
        del found["group_address"]
    return found


def changed(scope: OptionScope, before: Mapping[str, Plain], after: Mapping[str, Plain]) -> Sparse:
    """What has to be set to come from one to the other, defaults included."""
    return {
        name: after.get(name, option.default)
        for name, option in BY_NAME[scope].items()
        if before.get(name, option.default) != after.get(name, option.default)
    }


def to_kernel(scope: OptionScope, values: Mapping[str, Plain]) -> Attributes:
    """The attributes that set these options, in the order of the table.

    An option whose value is None and which the kernel cannot be told to derive again (the cost
    of a port) has no attribute; see `derived_cost`.
    """
    attributes: dict[str, Any] = {}
    for option in OPTIONS:
        if option.scope is not scope or option.name not in values:
            continue
        raw = _raw(option, values[option.name])
        if raw is None:
            continue
        if option.row.bit is not None:
            several = attributes.setdefault(option.row.attribute, {"optval": 0, "optmask": 0})
            several["optval"] |= raw << option.row.bit
            several["optmask"] |= 1 << option.row.bit
        else:
            attributes[option.row.attribute] = raw
    return list(attributes.items())


def from_kernel(
    scope: OptionScope,
    attributes: Iterable[tuple[str, Any]],
    derived: Mapping[str, Plain] | None = None,
) -> Sparse:
    """What differs from the defaults in attributes that the kernel reports.

    `derived` says what the kernel derives for this device by itself, such as `{"cost": 2}`; a
    value equal to it was not set.
    """
    found = reported(scope, attributes)
    for name, value in (derived or {}).items():
        if found.get(name) == value:
            del found[name]
    return sparse(scope, found)


def reported(scope: OptionScope, attributes: Iterable[tuple[str, Any]]) -> dict[str, Plain]:
    """Every option that the attributes tell of, defaults included. What a kernel was built
    without it does not report.
    """
    by_attribute = dict(attributes)
    found: dict[str, Plain] = {}
    for option in OPTIONS:
        raw = by_attribute.get(option.row.attribute)
        if option.scope is not scope or raw is None:
            continue
        if option.row.bit is not None:
            if not raw["optmask"] >> option.row.bit & 1:
                continue
            raw = raw["optval"] >> option.row.bit & 1
        found[option.name] = _plain(option, raw)
    return found


def derived_cost(speed: int | None) -> int:
    """The cost of a port that the kernel derives from its speed in Mb/s; None is unknown."""
    if speed is not None and speed > max(_COST_OF_SPEED):
        return 1
    return _COST_OF_SPEED.get(speed or 0, 100)


def _raw(option: Option, value: Plain) -> Any:
    if value is None:
        return option.row.unset
    if issubclass(option.type, enum.Enum):
        return _CODES[option.type(value)][0]
    if option.type is float:
        seconds = _canonical(option, value)
        assert isinstance(seconds, float)
        return round(seconds * _HUNDREDTHS)
    return value if option.type is str else int(value)


def _plain(option: Option, raw: Any) -> Plain:
    if issubclass(option.type, enum.Enum):
        return next(str(choice.value) for choice in option.type if raw in _CODES[choice])
    if option.type is float:
        return _canonical(option, raw / _HUNDREDTHS)
    if option.type is bool:
        return bool(raw)
    return None if option.default is None and raw == option.row.unset else _canonical(option, raw)


def _canonical(option: Option, value: Plain) -> Plain:
    if isinstance(value, str) and option.type is str:
        return format_mac(parse_mac(value))
    if option.type is not float:
        return value
    assert isinstance(value, float | int)
    assert isinstance(option.default, float)
    hundredths = math.ceil(round(value * _HUNDREDTHS, 6))
    if abs(hundredths - option.default * _HUNDREDTHS) <= 1:
        return option.default
    return (hundredths + hundredths % 2) / _HUNDREDTHS
