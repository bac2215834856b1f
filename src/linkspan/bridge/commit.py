"""What a verdict teaches the bridge, and what time takes away from it.

`decide` only says what could be learned. Committing it is one of five: a new address is learned
(and may have to replace another), a known one is refreshed, one from another port moves, a sticky
one stays, one of our own is reported. Each change that people may care for is returned as an
event; a refresh, which is what nearly every frame does, is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from linkspan.bridge.fdb import Removed
from linkspan.bridge.state import Bridge
from linkspan.bridge.verdict import Verdict
from linkspan.types import Mac, PortNumber, Vlan


@dataclass(frozen=True, slots=True)
class Learned:
    """A new address was seen behind a port."""

    mac: Mac
    vlan: Vlan
    port: PortNumber


@dataclass(frozen=True, slots=True)
class Moved:
    """A known address was seen behind another port: a migration, or a loop if it goes on."""

    mac: Mac
    vlan: Vlan
    old: PortNumber
    new: PortNumber


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """A frame came in with an address of the bridge itself as its source."""

    mac: Mac
    port: PortNumber


@dataclass(frozen=True, slots=True)
class Evicted:
    """A learned address had to make room for a new one, because the FDB was full."""

    mac: Mac
    vlan: Vlan
    port: PortNumber


@dataclass(frozen=True, slots=True)
class Expired:
    """A learned address was not seen for the ageing time."""

    mac: Mac
    vlan: Vlan
    port: PortNumber


Event: TypeAlias = Learned | Moved | OwnAddress | Evicted | Expired


def commit(bridge: Bridge, verdict: Verdict, now: float) -> tuple[Event, ...]:
    """Learn what the verdict says (`br_fdb_update`); `now` is in seconds.

    A static entry moves like a learned one and stays static, as in Linux.
    """
    if verdict.report is not None:
        return (OwnAddress(verdict.source, verdict.ingress),)
    learn, ingress, fdb = verdict.learn, verdict.ingress, bridge.fdb
    if learn is None or ingress not in bridge.ports:
        return ()
    entry = fdb.find(learn)
    if entry is None:
        evicted = fdb.learn(learn, ingress, now)
        bridge.address_changed(learn)
        learned = Learned(learn.mac, learn.vlan, ingress)
        if evicted is None:
            return (learned,)
        bridge.address_changed(evicted.address)
        return (_left(Evicted, evicted), learned)
    if entry.port == ingress:
        fdb.refresh(entry, now)
        return ()
    if not entry.may_move:
        return ()
    old = entry.port
    fdb.move(learn, ingress, now)
    bridge.changed()
    return (Moved(learn.mac, learn.vlan, old, ingress),)


def expire(bridge: Bridge, now: float) -> tuple[Event, ...]:
    """Remove the learned addresses that are too old at `now`, in seconds.

    Let `VerdictCache.collect` go first, or those that only the cache has seen will be missed.
    """
    removed = bridge.fdb.expire(now)
    if removed:
        bridge.changed()
    return tuple(_left(Expired, one) for one in removed)


def _left(event: type[Evicted] | type[Expired], removed: Removed) -> Event:
    vlan, mac = removed.address
    return event(mac, vlan, removed.port)
