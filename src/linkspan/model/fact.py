"""The two halves of a fact of `model.state`: what names it, and what is said of it."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Options: TypeAlias = dict[str, bool | int | float | str | None]
"""Options that are not at their defaults, by field name (`model.kernel_options`)."""


class Key(msgspec.Struct, frozen=True, tag=True):
    """The name of one thing."""


class Value(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What is said of one thing."""
