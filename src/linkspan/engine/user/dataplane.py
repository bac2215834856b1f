"""The loop of a switch process: frames in bursts from whatever port has some, out where they go.

Theory of operation. One epoll waits for all ports. A port that has frames is read up to `BURST`
times before the next one gets its turn, so that a flood from one port costs the others at most
that much. For each frame

    key ──▶ verdict cache ──hit──▶ count, write to the egress ports
                 └──miss──▶ decide, commit, remember ──▶ write to the egress ports (`slow_path`)

The hit is the steady state of every flow, whatever the pipeline behind `decide` does, and is
written out in `_pump` without a call: what stands there costs every frame, what stands elsewhere
costs only the first of a flow. Figures are brought up to date when somebody asks (`settle`) or
once a second, which is also when ageing learns which addresses were seen. Ports behind the
in-kernel cache are not read here: their misses come by one descriptor (`kernel_side`).

A port is known to be dry when a read fails, which costs as much as passing a frame on, and epoll
says it for nothing. So after a port ran dry, the next `SINGLE_TURNS` turns are of one frame each;
only frames that keep coming are read in bursts. Requests and answers that go to and fro are not
held up by looking for more of them.

Control requests are served between two rounds: their selector is one descriptor of the epoll, and
so is the clock.
"""

from __future__ import annotations

import select
import selectors
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from linkspan.bridge.cache import TAGGED_KEY_BYTES, UNTAGGED_KEY_BYTES
from linkspan.bridge.commit import Event, expire
from linkspan.bridge.decide import TAG_TYPES
from linkspan.bridge.reasons import Reason
from linkspan.bridge.state import Bridge
from linkspan.engine.user.devices import VNET_HEADER_BYTES
from linkspan.engine.user.kernel_cache import KernelCache
from linkspan.engine.user.kernel_side import KernelSide
from linkspan.engine.user.ports import Port, StreamPort
from linkspan.engine.user.shaping import Shaping
from linkspan.engine.user.slow_path import BURST, GSO_TYPE, SlowPath
from linkspan.engine.user.timer import Timer
from linkspan.engine.user.upcall import KernelPort
from linkspan.model.shaping import Shape
from linkspan.types import PortNumber

SINGLE_TURNS: Final = 4
"""Turns of one frame after a port ran dry. More would save little and delay bursts."""

TICK_SECONDS: Final = 1.0
"""Time between two rounds of ageing."""

_KEY = slice(VNET_HEADER_BYTES, VNET_HEADER_BYTES + UNTAGGED_KEY_BYTES)
_TAGGED_KEY = slice(VNET_HEADER_BYTES, VNET_HEADER_BYTES + TAGGED_KEY_BYTES)
_TYPE = slice(VNET_HEADER_BYTES + 12, VNET_HEADER_BYTES + 14)
_EBADFD: Final = 77
"""What a tap says whose interface was deleted (include/uapi/asm-generic/errno.h)."""


class Dataplane:
    """The ports of one bridge and the loop between them."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.running = True
        self.control = selectors.DefaultSelector()
        self.every_tick: Callable[[], None] = lambda: None
        self.kernel_side: KernelSide | None = None
        self._slow = SlowPath(bridge)
        self.ports = self._slow.ports
        self._epoll = select.epoll()
        self._serve: dict[int, Callable[[int], object]] = {}
        self._waiting: set[StreamPort] = set()
        self._turns = 0
        """Since a port ran dry."""
        assert isinstance(self.control, selectors.EpollSelector)
        self._watch(self.control.fileno(), select.EPOLLIN, self._serve_control)
        self.shaping = Shaping(self._slow)
        self._watch(self.shaping.alarm.fileno(), select.EPOLLIN, lambda _: self.shaping.serve())
        self._timer = Timer(TICK_SECONDS)
        self._watch(self._timer.fileno(), select.EPOLLIN, self._serve_timer)

    def tell(self, report: Callable[[Iterable[Event]], None]) -> None:
        """From now on, tell `report` what was learned, moved or gone."""
        self._slow.report = report

    # ports

    def add(self, port: Port) -> None:
        """Start to take frames from a port that the bridge knows."""
        self._slow.add(port)
        if isinstance(port, StreamPort):
            accept = port.accept
            self._watch(port.descriptor, select.EPOLLIN, lambda _: accept())
        else:
            self._watch(port.descriptor, select.EPOLLIN, lambda _: self._pump(port))

    def add_kernel_port(self, port: KernelPort) -> None:
        """Take a port whose frames come by the upcall."""
        self._slow.add(port)

    def remove(self, numbers: Collection[PortNumber]) -> None:
        """Take ports from the bridge, and let go of them when no frame can go there any more.

        What they sent until now still counts, and is forwarded as far as it has come up.
        """
        side, now = self.kernel_side, time.monotonic()
        if side is not None:
            side.drain(numbers)
        self.settle(now)
        for number in numbers:
            self.bridge.remove_port(number)
        self.publish(wait=True)
        self.settle(now)
        for number in numbers:
            self.shaping.forget(number)
            port = self._slow.remove(number)
            if isinstance(port, KernelPort):
                assert side is not None
                side.remove(number)
            else:
                self.forget(port.descriptor)
            if isinstance(port, StreamPort):
                self._waiting.discard(port)
            port.close()

    def shape(self, number: PortNumber, shape: Shape | None) -> None:
        """Make a port's line as slow, late and lossy as said. To be published: what is kept of its
        frames in the kernel goes past the line.
        """
        if self.shaping.apply(number, shape):
            self.settle(time.monotonic())
            self.bridge.changed()

    def add_kernel_cache(self, kernel: KernelCache, upcall: int) -> None:
        """Serve the misses of the in-kernel cache; its ports have been added."""
        self.kernel_side = side = KernelSide(self._slow, kernel, upcall)
        self._watch(upcall, select.EPOLLIN, lambda _: side.pump())
        self._watch(side.links.fileno(), select.EPOLLIN, lambda _: side.hear_of_links())

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

    def _watch(self, descriptor: int, events: int, serve: Callable[[int], object]) -> None:
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
            for descriptor, events in poll(0 if self._waiting else -1):
                handler = serve.get(descriptor)
                if handler is not None:  # an earlier one of this round may have closed it
                    handler(events)
            if self._waiting:
                waiting, self._waiting = self._waiting, set()
                for port in waiting:
                    self._pump_stream(port)

    def _serve_timer(self, _: int) -> None:
        self._timer.take()
        self._tick(time.monotonic())

    def _serve_control(self, _: int) -> None:
        for key, events in self.control.select(0):
            key.data(events)

    def _tick(self, now: float) -> None:
        self.settle(now)
        if self.kernel_side is not None:
            self.kernel_side.write_off()
        events = expire(self.bridge, now)
        self.publish()
        if events:
            self._slow.report(events)
        self.every_tick()

    def hear_of_links(self) -> None:
        """Take notice of carriers that have come or gone by now."""
        if self.kernel_side is not None:
            self.kernel_side.hear_of_links()

    def publish(self, wait: bool = False) -> None:
        """Void what the kernel keeps if the bridge's state has changed. With `wait`, return when
        no frame can follow the old state any more."""
        if self.kernel_side is not None:
            self.kernel_side.publish(wait)

    def _pump_stream(self, port: StreamPort) -> None:
        """One read may hold more frames than a turn takes, and epoll does not know of those."""
        self._pump(port)
        if port.has_frames:
            self._waiting.add(port)

    def _pump(self, port: Port) -> None:
        bridge, writers = self.bridge, self._slow.writers
        lookup = self._slow.cache.of(port.number).get
        read = port.read
        now = time.monotonic()
        generation = bridge.generation
        frames = size = 0
        self._turns += 1
        try:
            for _ in range(BURST if self._turns > SINGLE_TURNS else 1):
                frame = read()
                length = len(frame) - VNET_HEADER_BYTES
                frames += 1
                size += length
                entry = lookup(frame[_KEY])
                if (
                    entry is None
                    or entry.generation != generation
                    or (length > entry.limit and not frame[GSO_TYPE])
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
                        self._slow.refused(number, length, error)
        except BlockingIOError:
            self._turns = 0
        except OSError as error:
            self._failed(port, error)
        finally:
            port.frames_in += frames
            port.bytes_in += size

    def _pass_slowly(self, port: Port, frame: bytes, now: float) -> None:
        """A frame that the first look-up did not know: tagged, new, or to be seen every time."""
        length = len(frame) - VNET_HEADER_BYTES
        gso = bool(frame[GSO_TYPE])
        if frame[_TYPE] in TAG_TYPES:
            entry = self._slow.cache.of(port.number).get(frame[_TAGGED_KEY])
            if (
                entry is not None
                and entry.generation == self.bridge.generation
                and (gso or length <= entry.limit)
            ):
                entry.frames += 1
                entry.bytes += length
                entry.last_used = now
                self._slow.write(frame, length, entry.egress)
                return
        self._slow.decide(port, frame, now)

    def _failed(self, port: Port, error: OSError) -> None:
        """A port that can't be read; one whose device has gone is not asked again."""
        port.drop(Reason.DEV_READY)
        if error.errno == _EBADFD:
            self.forget(port.descriptor)

    def settle(self, now: float) -> None:
        """Bring counters and ageing up to date with what followed kept verdicts."""
        if self.kernel_side is not None:
            self.kernel_side.settle()
        self._slow.settle(now)
