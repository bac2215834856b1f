"""Verdicts kept for the next frame of the same flow: the steady state is one look-up.

A verdict hangs on the bridge's state and on a few bytes: ingress port, both addresses, the type,
and the tag if there is one. For each ingress port there is one dictionary from those bytes to a
`CacheEntry`, held by whoever reads that port:

    entry = table.get(frame[:14]) or table.get(frame[:18])       # the second for tagged frames
    if entry is not None and entry.generation == bridge.generation and len(frame) <= entry.limit:
        entry.frames += 1; entry.bytes += len(frame); entry.last_used = now
        ... send to entry.egress ...

`VerdictCache.find` is these lines as a function. Everything else takes the slow path
(`switch.handle_miss`), which also fills the cache. What may be kept is part of the verdict.

Four things keep it true. First, an entry is void as soon as the bridge's generation has gone on.
Second, learning does not move the generation, so the cache tells the bridge which addresses its
entries rely on: the destination, found or not, and the source, which a hit does not learn again.
Third, a verdict that just taught something is not kept: the second frame of a flow is. Finally,
a hit does not touch the FDB; `collect` afterwards tells it when each source was last seen, and
adds up the counters. It must run before `expire`, and does no harm at any other time.

A table that is full is emptied, so that one port's flood never costs another port an entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from linkspan.bridge.decide import TAG_TYPES, outer_tag_bytes
from linkspan.bridge.port import MAX_FRAME_BYTES
from linkspan.bridge.reasons import Reason
from linkspan.bridge.state import Bridge
from linkspan.bridge.verdict import Learn, Verdict
from linkspan.types import HOST_PORT, Mac, PortNumber, is_group

MAX_ENTRIES: Final = 16384
"""Per ingress port."""

UNTAGGED_KEY_BYTES: Final = 14
TAGGED_KEY_BYTES: Final = 18


Flow: TypeAlias = tuple[PortNumber, tuple[PortNumber, ...], Reason]
"""Ingress port, egress ports and reason: what the counters of all entries are added up by."""


class CacheEntry:
    """A kept verdict and its counters, which whoever hits it adds to."""

    __slots__ = (
        "bytes",
        "egress",
        "frames",
        "generation",
        "last_used",
        "learn",
        "limit",
        "reason",
    )

    def __init__(
        self,
        generation: int,
        egress: tuple[PortNumber, ...],
        limit: int,
        learn: Learn | None,
        reason: Reason,
        last_used: float,
    ) -> None:
        self.generation = generation
        self.egress = egress
        self.limit = limit
        """Longest frame in bytes that the entry speaks for; one to be cut (GSO) may be longer."""
        self.learn = learn
        self.reason = reason
        self.frames = 0
        self.bytes = 0
        self.last_used = last_used


def key_of(frame: bytes) -> bytes:
    """The bytes of a frame that its verdict hangs on."""
    is_tagged = frame[12:14] in TAG_TYPES
    return frame[: TAGGED_KEY_BYTES if is_tagged else UNTAGGED_KEY_BYTES]


class VerdictCache:
    """The kept verdicts of one bridge, a dictionary per ingress port."""

    __slots__ = ("_collected", "_counts", "_tables", "max_entries")

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self.max_entries = max_entries
        self._tables: dict[PortNumber, dict[bytes, CacheEntry]] = {}
        self._counts: dict[Flow, tuple[int, int]] = {}
        self._collected = float("-inf")

    def of(self, port: PortNumber) -> dict[bytes, CacheEntry]:
        """The table of an ingress port; it is the same object as long as the cache lives."""
        return self._tables.setdefault(port, {})

    def find(
        self, bridge: Bridge, ingress: PortNumber, frame: bytes, gso: bool = False
    ) -> CacheEntry | None:
        """The entry that speaks for a frame, if there is one."""
        entry = self.of(ingress).get(key_of(frame))
        if entry is None or entry.generation != bridge.generation:
            return None
        limit = MAX_FRAME_BYTES if gso else entry.limit
        return entry if len(frame) <= limit else None

    def insert(self, bridge: Bridge, verdict: Verdict, frame: bytes, now: float) -> None:
        """Keep a verdict that is cacheable and taught nothing; `now` is in seconds."""
        table, key = self.of(verdict.ingress), key_of(frame)
        if (replaced := table.get(key)) is not None:
            self._settle(bridge, verdict.ingress, (replaced,))
        elif len(table) >= self.max_entries:
            self._settle(bridge, verdict.ingress, table.values())
            table.clear()
        destination = Mac(frame[:6])
        relied_on = [] if is_group(destination) else [(verdict.vlan, destination)]
        if verdict.learn is not None:
            relied_on.append(verdict.learn)
        bridge.rely_on(relied_on)
        limits = (bridge.ports[port].longest_frame for port in verdict.egress if port != HOST_PORT)
        limit = min(limits, default=MAX_FRAME_BYTES) + outer_tag_bytes(frame)
        table[key] = CacheEntry(
            bridge.generation,
            verdict.egress,
            min(limit, MAX_FRAME_BYTES),
            verdict.learn,
            verdict.reason,
            now,
        )

    def collect(self, bridge: Bridge, now: float) -> None:
        """Tell the FDB what was seen since the last time, and drop void entries."""
        for ingress, table in self._tables.items():
            self._settle(bridge, ingress, table.values())
            void = [key for key, kept in table.items() if kept.generation != bridge.generation]
            for key in void:
                del table[key]
        self._collected = now

    def take_counts(self) -> dict[Flow, tuple[int, int]]:
        """Frames and bytes that hits were counted for up to the last `collect`, and forget them."""
        counts, self._counts = self._counts, {}
        return counts

    def _settle(self, bridge: Bridge, ingress: PortNumber, entries: Iterable[CacheEntry]) -> None:
        """Bring what hits left in entries of one table to where it outlives them.

        A source that lives elsewhere by now is left alone: what was seen is older than the move.
        """
        fdb = bridge.fdb
        for kept in entries:
            if kept.frames:
                flow = (ingress, kept.egress, kept.reason)
                frames, size = self._counts.get(flow, (0, 0))
                self._counts[flow] = (frames + kept.frames, size + kept.bytes)
                kept.frames = kept.bytes = 0
            if kept.learn is not None and kept.last_used >= self._collected:
                entry = fdb.find(kept.learn)
                if entry is not None and entry.port == ingress:
                    fdb.refresh(entry, kept.last_used)
