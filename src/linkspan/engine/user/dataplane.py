"""The loop of a switch process: frames in bursts from whatever port has some, out where they go.

Theory of operation. One epoll waits for all ports. A port that has frames is read up to `BURST`
times before the next one gets its turn, so that a flood from one port costs the others at most
that much. For each frame

    key ──▶ verdict cache ──hit──▶ count, write to the egress ports
                 └──miss──▶ decide, commit, remember ──▶ write to the egress ports

The hit is the steady state of every flow, whatever the pipeline behind `decide` does, and is
written out in `_pump` without a call: what stands there costs every frame, what stands elsewhere
costs only the first of a flow. Counters of a flow live in its cache entry and are added up when
somebody asks (`settle`) or once a second, which is also when ageing learns which addresses were
seen. A write that a port does not take is that port's drop; nothing waits for anybody.

Control requests are served between two rounds: their selector is one descriptor of the epoll.
"""

from __future__ import annotations

import select
import selectors
import time
from collections.abc import Callable, Iterable
from typing import Final

from linkspan.bridge.cache import TAGGED_KEY_BYTES, UNTAGGED_KEY_BYTES, VerdictCache
from linkspan.bridge.commit import Event, expire
from linkspan.bridge.decide import TAG_TYPES
from linkspan.bridge.reasons import Reason
from linkspan.bridge.state import Bridge
from linkspan.bridge.switch import handle_miss
from linkspan.engine.user.devices import VNET_HEADER_BYTES
from linkspan.engine.user.ports import Port, StreamPort
from linkspan.types import PortNumber

BURST: Final = 64
"""Frames from one port before the next port's turn (NAPI_POLL_WEIGHT, linux/netdevice.h)."""

TICK_SECONDS: Final = 1.0
"""Time between two rounds of ageing."""

_KEY = slice(VNET_HEADER_BYTES, VNET_HEADER_BYTES + UNTAGGED_KEY_BYTES)
_TAGGED_KEY = slice(VNET_HEADER_BYTES, VNET_HEADER_BYTES + TAGGED_KEY_BYTES)
_TYPE = slice(VNET_HEADER_BYTES + 12, VNET_HEADER_BYTES + 14)
_EBADFD: Final = 77
"""What a tap says whose interface was deleted (include/uapi/asm-generic/errno.h)."""

_GSO_TYPE: Final = 1
"""Place of gso_type in the vnet header."""


class Dataplane:
    """The ports of one bridge and the loop between them."""

    def __init__(self, bridge: Bridge, report: Callable[[Iterable[Event]], None]) -> None:
        self.bridge = bridge
        self.cache = VerdictCache()
        self.ports: dict[PortNumber, Port] = {}
        self.running = True
        self.control = selectors.DefaultSelector()
        self._report = report
        self._epoll = select.epoll()
        self._serve: dict[int, Callable[[int], None]] = {}
        self._writers: dict[PortNumber, Callable[[bytes], object]] = {}
        self._waiting: set[StreamPort] = set()
        self._due = 0.0
        assert isinstance(self.control, selectors.EpollSelector)
        self._watch(self.control.fileno(), select.EPOLLIN, self._serve_control)

    # ports

    def add(self, port: Port) -> None:
        """Start to take frames from a port that the bridge knows."""
        self.ports[port.number] = port
        self._writers[port.number] = port.write
        if isinstance(port, StreamPort):
            accept = port.accept
            self._watch(port.descriptor, select.EPOLLIN, lambda _: accept())
        else:
            self._watch(port.descriptor, select.EPOLLIN, lambda _: self._pump(port))

    def watch_peer(self, port: StreamPort, descriptor: int, also_write: bool) -> None:
        """Wait for the peer of a stream port, also until it takes more if asked to."""
        events = select.EPOLLIN | (select.EPOLLOUT if also_write else 0)

        def serve(ready: int) -> None:
            if ready & select.EPOLLOUT:
                port.flush()
            if ready & ~select.EPOLLOUT:
                self._pump_stream(port)

        if descriptor in self._serve:
            self._epoll.modify(descriptor, events)
        else:
            self._watch(descriptor, events, serve)

    def _watch(self, descriptor: int, events: int, serve: Callable[[int], None]) -> None:
        self._serve[descriptor] = serve
        self._epoll.register(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Wait no longer for a descriptor."""
        if self._serve.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    # the loop

    def run(self) -> None:
        """Switch frames until `running` is false."""
        poll = self._epoll.poll
        serve = self._serve
        while self.running:
            for descriptor, events in poll(0 if self._waiting else TICK_SECONDS):
                handler = serve.get(descriptor)
                if handler is not None:  # an earlier one of this round may have closed it
                    handler(events)
            waiting, self._waiting = self._waiting, set()
            for port in waiting:
                self._pump_stream(port)
            now = time.monotonic()
            if now >= self._due:
                self._due = now + TICK_SECONDS
                self._tick(now)

    def _serve_control(self, _: int) -> None:
        for key, events in self.control.select(0):
            key.data(events)

    def _tick(self, now: float) -> None:
        self.settle(now)
        events = expire(self.bridge, now)
        if events:
            self._report(events)

    def _pump_stream(self, port: StreamPort) -> None:
        """One read may hold more frames than a turn takes, and epoll does not know of those."""
        self._pump(port)
        if port.has_frames:
            self._waiting.add(port)

    def _pump(self, port: Port) -> None:
        bridge, writers = self.bridge, self._writers
        lookup = self.cache.of(port.number).get
        read = port.read
        now = time.monotonic()
        generation = bridge.generation
        frames = size = 0
        try:
            for _ in range(BURST):
                frame = read()
                length = len(frame) - VNET_HEADER_BYTES
                frames += 1
                size += length
                entry = lookup(frame[_KEY])
                if (
                    entry is None
                    or entry.generation != generation
                    or (length > entry.limit and not frame[_GSO_TYPE])
                ):
                    self._pass_slowly(port, frame, now)
                    generation = bridge.generation
                    continue
                entry.frames += 1
                entry.bytes += length
                entry.last_used = now
                for number in entry.egress:
                    try:
                        writers[number](frame)
                    except OSError as error:
                        self._refused(number, length, error)
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(port, error)
        finally:
            port.frames_in += frames
            port.bytes_in += size

    def _pass_slowly(self, port: Port, frame: bytes, now: float) -> None:
        """A frame that the first look-up did not know: tagged, new, or to be seen every time."""
        length = len(frame) - VNET_HEADER_BYTES
        gso = bool(frame[_GSO_TYPE])
        if frame[_TYPE] in TAG_TYPES:
            entry = self.cache.of(port.number).get(frame[_TAGGED_KEY])
            if (
                entry is not None
                and entry.generation == self.bridge.generation
                and (gso or length <= entry.limit)
            ):
                entry.frames += 1
                entry.bytes += length
                entry.last_used = now
                self._write(frame, length, entry.egress)
                return
        verdict, events = handle_miss(
            self.bridge, self.cache, port.number, frame[VNET_HEADER_BYTES:], now, gso
        )
        for number in verdict.egress:
            self.ports[number].frames_out += 1
            self.ports[number].bytes_out += length
        self._write(frame, length, verdict.egress)
        if not verdict.egress:
            port.drop(verdict.reason)
        for number, reason in verdict.withheld:
            if reason is Reason.PKT_TOO_BIG:
                self.ports[number].drop(reason)
        if events:
            self._report(events)

    def _write(self, frame: bytes, length: int, egress: tuple[PortNumber, ...]) -> None:
        for number in egress:
            try:
                self._writers[number](frame)
            except OSError as error:
                self._refused(number, length, error)

    def _refused(self, number: PortNumber, length: int, error: OSError) -> None:
        """A frame that was counted as sent and was not taken."""
        port = self.ports[number]
        port.refused(error)
        port.frames_out -= 1
        port.bytes_out -= length

    def _failed(self, port: Port, error: OSError) -> None:
        """A port that can't be read; one whose device has gone is not asked again."""
        port.drop(Reason.DEV_READY)
        if error.errno == _EBADFD:
            self.forget(port.descriptor)

    # figures

    def settle(self, now: float) -> None:
        """Bring counters and ageing up to date with what went through the cache."""
        self.cache.collect(self.bridge, now)
        for (ingress, egress, reason), (frames, size) in self.cache.take_counts().items():
            for number in egress:
                port = self.ports[number]
                port.frames_out += frames
                port.bytes_out += size
            if not egress:
                self.ports[ingress].drop(reason, frames)
