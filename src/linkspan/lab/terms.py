"""On which terms a change is made that could cost the host its connection."""

from __future__ import annotations

from dataclasses import dataclass

from linkspan.lab.guarding import CONFIRM_WITHIN


@dataclass(frozen=True, slots=True)
class Terms:
    """How a change of an uplink is secured."""

    confirm_within: float = CONFIRM_WITHIN
    """Seconds within which it has to be confirmed."""
    check: str | None = None
    """An address whose answers are watched, in the place of the gateway's."""
