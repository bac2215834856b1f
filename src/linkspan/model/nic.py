"""A network card that somebody wants as an uplink: what there is to know before it is taken, and
what came of it.
"""

from __future__ import annotations

import msgspec

from linkspan.model.host_snapshot import NamespaceSnapshot


class Manager(msgspec.Struct, frozen=True):
    """A program that looks after a card, and would be at it again after us."""

    program: str
    evidence: str
    """The file or process by which that is known."""
    release: str
    """What makes the program let go of the card."""


class Nic(msgspec.Struct, frozen=True, kw_only=True):
    """A name that somebody gave for a card, and what was found under it."""

    name: str
    namespace: NamespaceSnapshot
    """Where it was looked for."""
    bridge: str
    """The bridge that is to have it."""
    mtu: int
    """Largest packet in bytes that the bridge is to carry."""
    is_wireless: bool = False
    managers: tuple[Manager, ...] = ()


class Moved(msgspec.Struct, frozen=True):
    """A network card that became an uplink, or is none any more."""

    interface: str
    bridge: str | None
    """The bridge that has its addresses now; None when it has them itself."""
    addresses: list[str]


class Secured(msgspec.Struct, frozen=True):
    """What a change did to uplinks."""

    moved: list[Moved] = []
    warnings: list[str] = []
    watched: list[str] = []
    """Addresses that answered before the change and are asked until it is confirmed."""
    silent: list[str] = []
    """Addresses that did not answer before, and so say nothing afterwards."""
    confirm_within: float = 0
    """Seconds that there were for that."""
    confirm_by: float | None = None
    """Seconds since 1970-01-01 UTC until which the change has to be confirmed."""
    is_guarded: bool = True
    """False when the guard has gone: nobody takes the change back in time."""
