"""What all values of a file have in common, and the row that describes an option.

A row is the annotation of a struct field: everything that one option of a bridge or a port is,
in the one place where it is declared.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec
from msgspec import Meta


class Value(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Common to all values of a file: frozen, keys with hyphens, nothing unknown."""


class Engine(enum.Enum):
    """Who switches the frames of a bridge."""

    USER = "user"
    KERNEL = "kernel"
    AUTO = "auto"


LARGEST_U32: Final = 0xFFFFFFFF

BOTH: Final = frozenset({Engine.USER, Engine.KERNEL})
KERNEL_ONLY: Final = frozenset({Engine.KERNEL})


class MulticastRouter(enum.Enum):
    """Whether a multicast router is behind a port."""

    DISABLED = "disabled"
    LEARN = "learn"
    PERMANENT = "permanent"


class Row(msgspec.Struct, frozen=True):
    """What a field's type does not say of an option."""

    attribute: str
    engines: frozenset[Engine]
    unset: int | None
    bit: int | None


def row(
    attribute: str,
    description: str,
    *,
    engines: frozenset[Engine] = KERNEL_ONLY,
    ge: int | None = None,
    le: int | None = None,
    multiple_of: int | None = None,
    refused_bits: int = 0,
    unset: int | None = None,
    bit: int | None = None,
) -> Meta:
    """The annotation of an option.

    `attribute` is its netlink attribute (include/uapi/linux/if_link.h), `unset` what the kernel
    is told for None where it can be told so, `bit` its place in IFLA_BR_MULTI_BOOLOPT (enum
    br_boolopt_id, include/uapi/linux/if_bridge.h), `refused_bits` the bits that no mask may hold.
    """
    extra: dict[str, object] = {"row": Row(attribute, engines, unset, bit)}
    if refused_bits:
        extra["refused_bits"] = refused_bits
    return Meta(ge=ge, le=le, multiple_of=multiple_of, description=description, extra=extra)
