"""The ways in which bytes can fail to be what they should be.

Both errors are ValueErrors: a frame is data that somebody sent, neither a user's mistake nor a
refusal by the system, and whoever reads frames counts them and goes on.
"""

from __future__ import annotations

from typing import TypeAlias

Octets: TypeAlias = bytes | bytearray | memoryview
"""What can be parsed: anything that holds contiguous bytes."""


class BadFormat(ValueError):
    """The bytes contradict their format; the message says what was expected and what was found."""


class CutShort(BadFormat):
    """The bytes end before the value does."""


def require(data: Octets, length: int, what: str) -> None:
    """Raise CutShort unless `data` holds at least `length` bytes of `what`."""
    if len(data) < length:
        raise CutShort(f"{what}: {length} bytes expected, {len(data)} found")
