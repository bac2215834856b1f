"""On which terms a change is made: what secures it, and what it leaves alone."""

from __future__ import annotations

from dataclasses import dataclass

from linkspan.lab.guarding import CONFIRM_WITHIN


@dataclass(frozen=True, slots=True)
class Terms:
    """How a change of an uplink is secured, and whether machines that are off stay so."""

    confirm_within: float = CONFIRM_WITHIN
    """Seconds within which it has to be confirmed."""
    check: str | None = None
    """An address whose answers are watched, in the place of the gateway's."""
    leave_off: bool = False
    """Whether virtual machines that their guests switched off are as they should be."""
