"""Options of bridges and ports as the user engine has them: names, defaults, and what it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from linkspan.bridge.fdb import AGEING_SECONDS, MAX_LEARNED
from linkspan.bridge.port import PortOptions
from linkspan.errors import Refusal

BRIDGE_DEFAULTS: Final[dict[str, float | int]] = {
    "ageing_time": AGEING_SECONDS,
    "fdb_max_learned": MAX_LEARNED,
    "group_fwd_mask": 0,
}
"""Names and defaults of a bridge's options; times are in seconds."""


def bridge_options(sparse: Mapping[str, Any]) -> dict[str, float | int]:
    """All options of a bridge, of which `sparse` says those that are not left to the engine.

    Raises Refusal for one that the user engine does not have.
    """
    for name in sparse:
        if name not in BRIDGE_DEFAULTS:
            raise Refusal(f"a bridge of the user engine has no option {name.replace('_', '-')}")
    return {
        name: default if sparse.get(name) is None else sparse[name]
        for name, default in BRIDGE_DEFAULTS.items()
    }


def sparse_bridge_options(
    options: Mapping[str, Any], declared: Mapping[str, Any]
) -> dict[str, Any]:
    """What is to be said of a bridge's options: what differs from the default, and what somebody
    asked for by name."""
    return {
        name: declared[name] if name in declared and declared[name] in (None, value) else value
        for name, default in BRIDGE_DEFAULTS.items()
        if (value := options[name]) != default or name in declared
    }


def port_options(sparse: Mapping[str, Any], mtu: int) -> PortOptions:
    """All options of a port. Raises Refusal for one that the user engine does not have."""
    try:
        return msgspec.convert({**sparse, "mtu": mtu}, PortOptions)
    except (msgspec.ValidationError, ValueError) as error:
        raise Refusal(f"a port of the user engine can't have these options: {error}") from None


def sparse_port_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the defaults, without the MTU."""
    defaults = msgspec.structs.asdict(PortOptions())
    return {
        name: value for name, value in options.items() if name != "mtu" and value != defaults[name]
    }
