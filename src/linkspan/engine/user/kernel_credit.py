"""How many frames of each port wait in the upcall, and how many the program refused or held back.

The program counts a port's upcalls up and the process counts them off (`done`), in order. The
difference is what the port may not exceed (`CREDIT`), and what an entry waits for before it is used
(`kernel_cache.bpf.c`, Order). An upcall that was counted and will never be dealt with would hold
both up for good, so whoever knows that it is lost says so: `dealt_with`, `write_off`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping

from linkspan.engine.libbpf import map_memory
from linkspan.engine.user.kernel_maps import DONE_AT, GENERATION, LOST, LOST_AT, PORT, PORTS
from linkspan.types import PortNumber


class Credit:
    """The map of ports, as far as the process reads and writes it."""

    def __init__(
        self, descriptor: int, ports: Iterable[PortNumber], lost: Mapping[PortNumber, int]
    ) -> None:
        """`lost` is what the process before had collected by `collect_lost`."""
        self._memory: mmap.mmap = map_memory(descriptor, PORTS * PORT.size)
        self._waiting: dict[PortNumber, tuple[int, int]] = {}
        self.lost = {number: lost.get(number, 0) for number in ports}

    def done(self, port: PortNumber, frames: int) -> None:
        """Say that so many more upcalls of a port have been dealt with.

        Never more than there were: a frame that the kernel had to cut comes up as several.
        """
        upcalled, done = self.counted(port)
        ahead = (upcalled - done) & 0xFFFFFFFF
        self._set_done(port, done + min(frames, ahead if ahead < 1 << 31 else 0))

    def upcalled(self) -> dict[PortNumber, int]:
        """How many upcalls each port has had."""
        return {number: self.counted(number)[0] for number in self.lost}

    def has_waiting(self) -> bool:
        """Whether upcalls were counted that nobody has dealt with."""
        return any(upcalled != done for upcalled, done in map(self.counted, self.lost))

    def dealt_with(self, upcalled: Mapping[PortNumber, int]) -> None:
        """Say that all upcalls up to these were dealt with or lost."""
        for number, count in upcalled.items():
            self._set_done(number, count)

    def write_off(self) -> None:
        """The upcall's queue is empty: what was counted when this was said the last time, and has
        not come, was lost by the kernel."""
        for number in self.lost:
            upcalled, done = self.counted(number)
            if upcalled != done and self._waiting.get(number) == (upcalled, done):
                self._set_done(number, upcalled)
            self._waiting[number] = upcalled, done

    def counted(self, port: PortNumber) -> tuple[int, int]:
        """Upcalls of a port, and how many of them were dealt with; both wrap around."""
        upcalled, done, *_ = PORT.unpack_from(self._memory, port * PORT.size)
        return upcalled, done

    def _set_done(self, port: PortNumber, done: int) -> None:
        at = port * PORT.size + DONE_AT
        self._memory[at : at + GENERATION.size] = GENERATION.pack(done & 0xFFFFFFFF)

    def collect_lost(self) -> dict[PortNumber, int]:
        """Frames of each port that had no credit left or were lost to keep the order, since the
        last time."""
        found = {}
        for number, before in self.lost.items():
            lost = sum(LOST.unpack_from(self._memory, number * PORT.size + LOST_AT))
            if lost != before:
                found[number] = lost - before
                self.lost[number] = lost
        return found

    def add(self, port: PortNumber) -> None:
        """A port has come, whose counts in the map are all zero."""
        self.lost[port] = 0

    def remove(self, port: PortNumber) -> None:
        """A port has gone."""
        self.lost.pop(port, None)
        self._waiting.pop(port, None)

    def close(self) -> None:
        """Unmap the memory."""
        self._memory.close()
