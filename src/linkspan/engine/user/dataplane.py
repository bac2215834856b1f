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
from collections.abc import Callable, Iterable
from typing import Final

from linkspan.bridge.cache import TAGGED_KEY_BYTES, UNTAGGED_KEY_BYTES, VerdictCache
from linkspan.bridge.commit import Event, expire
from linkspan.bridge.decide import TAG_TYPES
from linkspan.bridge.port import PortState
from linkspan.bridge.reasons import Reason
from linkspan.bridge.state import Bridge
from linkspan.bridge.switch import handle_miss
from linkspan.bridge.watch import is_watched
from linkspan.engine.libbpf import wait_for_running_programs
from linkspan.engine.user.devices import VNET_HEADER_BYTES
from linkspan.engine.user.kernel_cache import KernelCache
from linkspan.engine.user.links import LinkWatch
from linkspan.engine.user.ports import Port, StreamPort
from linkspan.engine.user.timer import Timer
from linkspan.engine.user.upcall import reader, take_tag_off
from linkspan.types import PortNumber

BURST: Final = 64
"""Frames from one port before the next port's turn (NAPI_POLL_WEIGHT, linux/netdevice.h)."""

SINGLE_TURNS: Final = 4
"""Turns of one frame after a port ran dry. More would save little and delay bursts."""

TICK_SECONDS: Final = 1.0
"""Time between two rounds of ageing."""

_KEY = slice(VNET_HEADER_BYTES, VNET_HEADER_BYTES + UNTAGGED_KEY_BYTES)
_TAGGED_KEY = slice(VNET_HEADER_BYTES, VNET_HEADER_BYTES + TAGGED_KEY_BYTES)
_TYPE = slice(VNET_HEADER_BYTES + 12, VNET_HEADER_BYTES + 14)
_EBADFD: Final = 77
"""What a tap says whose interface was deleted (include/uapi/asm-generic/errno.h)."""

_ROUNDS: Final = 16
"""How often a new process counts the upcalls anew before it leaves the rest to `_write_off`."""

_GSO_TYPE: Final = 1
"""Place of gso_type in the vnet header."""


class Dataplane:
    """The ports of one bridge and the loop between them."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.cache = VerdictCache()
        self.ports: dict[PortNumber, Port] = {}
        self.running = True
        self.control = selectors.DefaultSelector()
        self.report: Callable[[Iterable[Event]], None] = lambda events: None
        """Told what was learned, moved or gone."""
        self._epoll = select.epoll()
        self._serve: dict[int, Callable[[int], None]] = {}
        self._writers: dict[PortNumber, Callable[[bytes], object]] = {}
        self._waiting: set[StreamPort] = set()
        self._turns = 0
        """Since a port ran dry."""
        self.kernel: KernelCache | None = None
        self._kernel_base = 0
        self._upcall = -1
        self.every_tick: Callable[[], None] = lambda: None
        assert isinstance(self.control, selectors.EpollSelector)
        self._watch(self.control.fileno(), select.EPOLLIN, self._serve_control)
        self._timer = Timer(TICK_SECONDS)
        self._watch(self._timer.fileno(), select.EPOLLIN, self._serve_timer)

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

    def add_kernel_port(self, port: Port) -> None:
        """Take a port whose frames come by the upcall."""
        self.ports[port.number] = port
        self._writers[port.number] = port.write

    def add_kernel_cache(self, kernel: KernelCache, upcall: int) -> None:
        """Serve the misses of the in-kernel cache, whose entries so far are as good as ours."""
        self.kernel = kernel
        self._kernel_base = kernel.generation - self.bridge.generation
        self.bridge.rely_on(kernel.addresses())
        self._upcall = upcall
        self._read_upcall = reader(upcall)
        self._watch(upcall, select.EPOLLIN, lambda _: self._pump_upcall())
        self._settle_kernel()
        self._resynchronise()
        self._links = LinkWatch()
        self._numbers = {device.ifindex: number for number, device in kernel.devices.items()}
        self._watch(self._links.fileno(), select.EPOLLIN, lambda _: self._hear_of_links())
        self._hear_of_links()

    def _hear_of_links(self) -> None:
        """A port that lost its carrier is disabled, as `br_port_carrier_check` does."""
        for index, has_carrier in self._links.read():
            number = self._numbers.get(index)
            state = PortState.FORWARDING if has_carrier else PortState.DISABLED
            if number is not None and self.bridge.ports[number].state is not state:
                self.settle(time.monotonic())
                self.bridge.set_state(number, state)
        self.publish()

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
        self._write_off()
        events = expire(self.bridge, now)
        self.publish()
        if events:
            self.report(events)
        self.every_tick()

    def publish(self, wait: bool = False) -> None:
        """Void the kernel's entries if a change of state has voided ours. With `wait`, return when
        no frame can follow one of them any more."""
        if self.kernel is None:
            return
        generation = (self._kernel_base + self.bridge.generation) & 0xFFFFFFFF
        if generation != self.kernel.generation:
            self.kernel.publish(generation, wait)

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
            self._turns = 0
        except OSError as error:
            self._failed(port, error)
        finally:
            port.frames_in += frames
            port.bytes_in += size

    def _pump_upcall(self) -> None:
        """As `_pump`, for all ports behind the in-kernel cache."""
        assert self.kernel is not None
        done: dict[PortNumber, int] = {}
        self._take_upcalls(done)
        for number, frames in done.items():
            self.kernel.done(number, frames)

    def _take_upcalls(self, done: dict[PortNumber, int]) -> bool:
        """Deal with one burst, counted by ingress port; returns whether there may be more."""
        now = time.monotonic()
        for _ in range(BURST):
            try:
                number, frame = take_tag_off(self._read_upcall())
            except BlockingIOError:
                return False
            except OSError:
                continue  # a frame that the tap cannot describe; what it counts for is written off
            port = self.ports.get(number)
            if port is not None:
                done[number] = done.get(number, 0) + 1
                self._pass_upcalled(port, frame, now)
        return True

    def _pass_upcalled(self, port: Port, frame: bytes, now: float) -> None:
        """A frame that the kernel did not know: a first one, or one to be seen every time."""
        assert self.kernel is not None
        bare = frame[VNET_HEADER_BYTES:]
        gso = bool(frame[_GSO_TYPE])
        port.frames_in += 1
        port.bytes_in += len(bare)
        if is_watched(bare):
            self._decide(port, frame, now)
            return
        entry = self.cache.find(self.bridge, port.number, bare, gso)
        if entry is None:
            self._decide(port, frame, now)
            entry = self.cache.find(self.bridge, port.number, bare, gso)
        else:
            entry.frames += 1
            entry.bytes += len(bare)
            entry.last_used = now
            self._write(frame, len(bare), entry.egress)
        if entry is not None:
            self.kernel.offer(port.number, bare, entry)

    def _resynchronise(self) -> None:
        """Give credit back for upcalls that the process before this one had read.

        What was counted before all programs ended is in the queue, unless it was read or lost.
        While no credit is given, ports can add little, so that counting comes to an end.
        """
        assert self.kernel is not None
        if not self.kernel.has_waiting():
            return
        for _ in range(_ROUNDS):
            counted = self.kernel.upcalled()
            wait_for_running_programs()
            while self._take_upcalls({}):
                pass
            if counted == self.kernel.upcalled():
                break
        self.kernel.dealt_with(counted)

    def _write_off(self) -> None:
        """Give credit back for upcalls that were counted and that the kernel then lost."""
        if self.kernel is None or not self.kernel.has_waiting():
            return
        poll = select.poll()
        poll.register(self._upcall, select.POLLIN)
        if not poll.poll(0):
            self.kernel.write_off()

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
        self._decide(port, frame, now)

    def _decide(self, port: Port, frame: bytes, now: float) -> None:
        length = len(frame) - VNET_HEADER_BYTES
        gso = bool(frame[_GSO_TYPE])
        verdict, events = handle_miss(
            self.bridge, self.cache, port.number, frame[VNET_HEADER_BYTES:], now, gso
        )
        self.publish()
        for number in verdict.egress:
            self.ports[number].frames_out += 1
            self.ports[number].bytes_out += length
        self._write(frame, length, verdict.egress)
        too_big_for = [number for number, why in verdict.withheld if why is Reason.PKT_TOO_BIG]
        for number in too_big_for:
            self.ports[number].drop(Reason.PKT_TOO_BIG)
        if not verdict.egress and not too_big_for:
            port.drop(verdict.reason)
        if events:
            self.report(events)

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
        self._settle_kernel()
        self.cache.collect(self.bridge, now)
        for (ingress, egress, reason), (frames, size) in self.cache.take_counts().items():
            for number in egress:
                port = self.ports[number]
                port.frames_out += frames
                port.bytes_out += size
            if not egress:
                self.ports[ingress].drop(reason, frames)

    def _settle_kernel(self) -> None:
        """The same for what the kernel forwarded by itself."""
        if self.kernel is None:
            return
        fdb = self.bridge.fdb
        for used in self.kernel.collect():
            ingress = self.ports[used.ingress]
            ingress.frames_in += used.frames
            ingress.bytes_in += used.size
            for number in used.egress:
                self.ports[number].frames_out += used.frames
                self.ports[number].bytes_out += used.size
            if not used.egress and used.frames:
                ingress.drop(used.reason, used.frames)
            entry = None if used.learn is None else fdb.find(used.learn)
            if entry is not None and entry.port == used.ingress:
                fdb.refresh(entry, used.last_used)
        for number, lost in self.kernel.collect_lost().items():
            self.ports[number].drop(Reason.FULL_RING, lost)
