"""Ports at the end of slow, late and lossy lines.

Theory of operation. A shaped port has a `Line` for each direction, and whoever reads or writes the
port does so through it:

    read  ─▶ inward line  ─ when due ─▶ the switch decides
    write ─▶ outward line ─ when due ─▶ the port

A frame that comes to a line is first lost or not, by chance; then it waits until the line has sent
what came before it, and takes its own length in bits over the bandwidth to be sent itself: a token
bucket that holds one frame. Then it is under way for the delay. What comes of it is one time, the
frame's due time, and times only grow, so no frame overtakes another, not even when the shape of a
line changes while frames are on it. A line takes so much that is not sent yet (`backlog_bytes`),
and so much in all (`MOST_BYTES`); what comes beyond that is dropped, and counted as FULL_RING.

The lines that have frames stand in a heap by the due time of their first one, and one alarm is set
for the first of them. A line that only loses frames has none waiting.

The in-kernel cache forwards past this, so no verdict of a shaped port is put there: the switch
process knows it (`SlowPath.shaped`), and the entries that there are are void when a port's shape
changes. A frame that is still to be cut (GSO) is lost, delayed and counted as the one that it is.

Chance comes from a generator of each line, seeded by the names of bridge and port: a lab that is
brought up again and sends the same loses the same.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from linkspan.bridge.reasons import Reason
from linkspan.engine.user.devices import VNET_HEADER_BYTES
from linkspan.engine.user.ports import Port
from linkspan.engine.user.slow_path import BURST, SlowPath
from linkspan.engine.user.timer import Alarm
from linkspan.model.shaping import Shape, backlog_bytes
from linkspan.types import PortNumber

MOST_BYTES: Final = 16 << 20
"""On one line: more than a second of 100 Mbit/s."""

LOST: Final = errno.ECOMM
"""What a line says of a frame that it loses (`ports`)."""

_ERRORS: Final = {Reason.QDISC_DROP: LOST, Reason.FULL_RING: errno.ENOBUFS}


class Line:
    """One direction of a shaped port."""

    def __init__(self, shape: Shape, seed: str) -> None:
        self.shape = shape
        self._random = random.Random(seed)
        self._frames: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._sent = 0.0
        """When all that came so far is sent."""
        self._last_due = 0.0

    @property
    def due(self) -> float | None:
        """When the first frame is to be taken; None when there is none."""
        return self._frames[0][0] if self._frames else None

    def put(self, frame: bytes, now: float) -> Reason | None:
        """A frame with its vnet header comes at a time in seconds; returns why it is not taken."""
        shape, size = self.shape, len(frame) - VNET_HEADER_BYTES
        if shape.loss and self._random.random() * 100 < shape.loss:
            return Reason.QDISC_DROP
        if self._bytes + size > MOST_BYTES:
            return Reason.FULL_RING
        sent = now
        if (bits := shape.bits) is not None:
            sent = max(self._sent, now)
            if (sent - now) * bits / 8 + size > backlog_bytes(shape):
                return Reason.FULL_RING
            sent += size * 8 / bits
            self._sent = sent
        self._last_due = max(self._last_due, sent + shape.delay)
        self._frames.append((self._last_due, frame))
        self._bytes += size
        return None

    def take(self, now: float) -> bytes | None:
        """The first frame, if it is due."""
        if not self._frames or self._frames[0][0] > now:
            return None
        _, frame = self._frames.popleft()
        self._bytes -= len(frame) - VNET_HEADER_BYTES
        return frame

    def reshape(self, shape: Shape) -> None:
        """Be another line for what comes from now on."""
        self.shape = shape
        self._sent = 0.0


class ShapedPort:
    """A port with its two lines, and the two words that it had before."""

    def __init__(self, port: Port, shape: Shape, name: str) -> None:
        self.port = port
        self.inward, self.outward = Line(shape, f"{name} in"), Line(shape, f"{name} out")
        self.read, self.write = port.read, port.write

    @property
    def lines(self) -> tuple[Line, Line]:
        return self.inward, self.outward


class Shaping:
    """The shaped ports of one bridge. `clock` tells seconds."""

    def __init__(self, slow_path: SlowPath, clock: Callable[[], float] = time.monotonic) -> None:
        self.alarm = Alarm()
        self._slow = slow_path
        self._clock = clock
        self._ports: dict[PortNumber, ShapedPort] = {}
        self._waiting: list[tuple[float, int, PortNumber, bool]] = []
        """Lines with frames: due time of the first, running number, port, whether it is inward."""
        self._numbers = itertools.count()

    def shape_of(self, number: PortNumber) -> Shape | None:
        """How a port's line is."""
        shaped = self._ports.get(number)
        return shaped.inward.shape if shaped is not None else None

    def apply(self, number: PortNumber, shape: Shape | None) -> bool:
        """Shape a port as said, or let it be as it is by itself; whether that was a change. What is
        on its lines arrives, behind nothing that comes later.
        """
        if shape == Shape():
            shape = None
        known, port = self._ports.get(number), self._slow.ports[number]
        if shape == self.shape_of(number):
            return False
        if known is not None and shape is not None:
            for line in known.lines:
                line.reshape(shape)
        elif known is not None:
            self._deliver(number, float("inf"))
            self.forget(number)
            port.read = known.read
            self._slow.writers[number] = known.write
        elif shape is not None:
            shaped = ShapedPort(port, shape, f"{self._slow.bridge.name} {port.name}")
            self._ports[number] = shaped
            port.read = lambda: self._read(shaped)
            self._slow.writers[number] = lambda frame: self._write(shaped, frame)
            self._slow.shaped[number] = lambda frame: self._arrive(shaped, frame)
        return True

    def forget(self, number: PortNumber) -> None:
        """A port goes, with what is on its lines."""
        self._ports.pop(number, None)
        self._slow.shaped.pop(number, None)
        self._waiting = [entry for entry in self._waiting if entry[2] != number]
        heapq.heapify(self._waiting)

    def serve(self) -> None:
        """The alarm went off: take from the lines what is due."""
        self.alarm.take()
        now = self._clock()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, number, is_inward = heapq.heappop(self._waiting)
            shaped = self._ports[number]
            line = shaped.inward if is_inward else shaped.outward
            self._drain(shaped, line, now)
            self._await(shaped, line)
        self._set_alarm()

    def _read(self, shaped: ShapedPort) -> bytes:
        """What the loop calls to get a frame of the port: nothing comes in but by the line."""
        for _ in range(BURST):
            frame = shaped.read()
            shaped.port.frames_in += 1
            shaped.port.bytes_in += len(frame) - VNET_HEADER_BYTES
            self._arrive(shaped, frame)
        raise BlockingIOError

    def _arrive(self, shaped: ShapedPort, frame: bytes) -> None:
        """A frame comes in at the far end of the inward line; it has been counted."""
        reason = self._put(shaped, shaped.inward, frame)
        if reason is not None:
            shaped.port.drop(reason)

    def _write(self, shaped: ShapedPort, frame: bytes) -> None:
        """The switch sends a frame. Raises OSError when the line does not take it."""
        reason = self._put(shaped, shaped.outward, frame)
        if reason is not None:
            raise OSError(_ERRORS[reason], "the line does not take the frame")

    def _put(self, shaped: ShapedPort, line: Line, frame: bytes) -> Reason | None:
        was_empty, now = line.due is None, self._clock()
        reason = line.put(frame, now)
        if reason is None and was_empty:
            self._drain(shaped, line, now)
            if self._await(shaped, line):
                self._set_alarm()
        return reason

    def _await(self, shaped: ShapedPort, line: Line) -> bool:
        """Have the alarm know of a line; whether it has to."""
        if (due := line.due) is None:
            return False
        place = (shaped.port.number, line is shaped.inward)
        heapq.heappush(self._waiting, (due, next(self._numbers), *place))
        return True

    def _deliver(self, number: PortNumber, until: float) -> None:
        shaped = self._ports[number]
        for line in shaped.lines:
            self._drain(shaped, line, until)

    def _drain(self, shaped: ShapedPort, line: Line, until: float) -> None:
        """Take from a line what is due by a time, and do with it what is to be done."""
        while (frame := line.take(until)) is not None:
            if line is shaped.inward:
                self._slow.pass_on(shaped.port, frame, self._clock())
                continue
            try:
                shaped.write(frame)
            except OSError as error:
                length = len(frame) - VNET_HEADER_BYTES
                self._slow.refused(shaped.port.number, length, error)

    def _set_alarm(self) -> None:
        due = self._waiting[0][0] if self._waiting else None
        self.alarm.set(None if due is None else max(0.0, due - self._clock()))
