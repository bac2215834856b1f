"""What the loop does with a frame that no look-up knew, and the figures of all that were known.

Theory of operation. Whoever reads a frame and finds no kept verdict gives it to `decide`, which
asks the switch (`bridge.switch`), sends the frame to its egress ports and counts. A change of
state that came of it is published before the frame is sent (`publish`), so that no frame which
another level of the cache forwards can be decided on an older state than one that left before it.
A write that a port does not take is that port's drop; nothing waits for anybody.

Counters of a flow live in its cache entry and are added up by `settle`, which also tells ageing
which addresses were seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from linkspan.bridge.cache import VerdictCache
from linkspan.bridge.commit import Event
from linkspan.bridge.reasons import Reason
from linkspan.bridge.state import Bridge
from linkspan.bridge.switch import handle_miss
from linkspan.bridge.watch import is_watched
from linkspan.engine.user.devices import VNET_HEADER_BYTES
from linkspan.engine.user.ports import Port
from linkspan.types import PortNumber

BURST: Final = 64
"""Frames from one descriptor before the next one's turn (NAPI_POLL_WEIGHT, linux/netdevice.h)."""

GSO_TYPE: Final = 1
"""Place of gso_type in the vnet header."""


class SlowPath:
    """The ports of one bridge and the way between them that decides."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.cache = VerdictCache()
        self.ports: dict[PortNumber, Port] = {}
        self.writers: dict[PortNumber, Callable[[bytes], object]] = {}
        self.shaped: dict[PortNumber, Callable[[bytes], None]] = {}
        """By port whose line is shaped: what takes a frame that came in there, and was counted."""
        self.report: Callable[[Iterable[Event]], None] = lambda events: None
        """Told what was learned, moved or gone."""
        self.publish: Callable[[], None] = lambda: None
        """Called when the bridge's state may have changed, before a frame follows it."""

    def add(self, port: Port) -> None:
        """Send frames to a port that the bridge knows."""
        self.ports[port.number] = port
        self.writers[port.number] = port.write

    def remove(self, number: PortNumber) -> Port:
        """Send no more frames to a port, which the bridge does not know any more; returns it."""
        del self.writers[number]
        return self.ports.pop(number)

    def decide(self, port: Port, frame: bytes, now: float) -> None:
        """Do with a frame what the switch decides; the port has counted that it came in."""
        length = len(frame) - VNET_HEADER_BYTES
        gso = bool(frame[GSO_TYPE])
        verdict, events = handle_miss(
            self.bridge, self.cache, port.number, frame[VNET_HEADER_BYTES:], now, gso
        )
        self.publish()
        for number in verdict.egress:
            self.ports[number].frames_out += 1
            self.ports[number].bytes_out += length
        self.write(frame, length, verdict.egress)
        too_big_for = [number for number, why in verdict.withheld if why is Reason.PKT_TOO_BIG]
        for number in too_big_for:
            self.ports[number].drop(Reason.PKT_TOO_BIG)
        if not verdict.egress and not too_big_for:
            port.drop(verdict.reason)
        if events:
            self.report(events)

    def pass_on(self, port: Port, frame: bytes, now: float) -> None:
        """Do with a frame that was counted what is kept of it, or what the switch decides."""
        bare, gso = frame[VNET_HEADER_BYTES:], bool(frame[GSO_TYPE])
        entry = None if is_watched(bare) else self.cache.find(self.bridge, port.number, bare, gso)
        if entry is None:
            self.decide(port, frame, now)
            return
        entry.frames += 1
        entry.bytes += len(bare)
        entry.last_used = now
        self.write(frame, len(bare), entry.egress)

    def write(self, frame: bytes, length: int, egress: tuple[PortNumber, ...]) -> None:
        """Send a frame that was counted as sent; `length` is without the vnet header."""
        for number in egress:
            try:
                self.writers[number](frame)
            except OSError as error:
                self.refused(number, length, error)

    def refused(self, number: PortNumber, length: int, error: OSError) -> None:
        """Correct the figures of a port that did not take a frame."""
        port = self.ports[number]
        port.refused(error)
        port.frames_out -= 1
        port.bytes_out -= length

    def settle(self, now: float) -> None:
        """Bring counters and ageing up to date with what followed kept verdicts."""
        self.cache.collect(self.bridge, now)
        for (ingress, egress, reason), (frames, size) in self.cache.take_counts().items():
            for number in egress:
                port = self.ports[number]
                port.frames_out += frames
                port.bytes_out += size
            if not egress:
                self.ports[ingress].drop(reason, frames)
