"""What a switch process leaves to the one that takes its place: FDB, options, counters.

A log in a memory file (memfd_create(2)) that the lab's init process holds. Each change is a line
of JSON, written by one system call, so a process that is killed leaves whole lines or an
incomplete last one, which is not read. From time to time everything is written as one line and
the log begins there: the file's first eight bytes say where, and what lies before is given back
to the system.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec

_START: Final = struct.Struct("=Q")
_FIRST: Final = 4096
"""The log begins behind the page that holds the start, which is never given back."""

_FALLOC_FL_KEEP_SIZE, _FALLOC_FL_PUNCH_HOLE = 1, 2


def make_memory() -> int:
    """A new, empty memory; returns its descriptor."""
    descriptor = os.memfd_create("switch-memory")
    os.pwrite(descriptor, _START.pack(_FIRST), 0)
    os.ftruncate(descriptor, _FIRST)
    return descriptor


class Memory:
    """The log behind a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._end = os.fstat(descriptor).st_size
        # Half a line at the end is left out, so that what is written now begins a new one.
        self._end -= len(self._read().rpartition(b"\n")[2])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The lines since the last time that everything was written, that one first."""
        for line in self._read().splitlines():
            yield msgspec.json.decode(line)

    def _read(self) -> bytes:
        (start,) = _START.unpack(os.pread(self._descriptor, _START.size, 0))
        return os.pread(self._descriptor, self._end - start, start)

    def note(self, **change: Any) -> None:
        """Add a line. Raises OSError when there is no room for the whole of it."""
        line = msgspec.json.encode(change) + b"\n"
        if os.pwrite(self._descriptor, line, self._end) != len(line):
            raise OSError(errno.ENOSPC, "no memory for what the switch is to remember")
        self._end += len(line)

    def rewrite(self, **whole: Any) -> None:
        """Write everything as one line, and begin the log there."""
        start = self._end
        self.note(**whole)
        os.pwrite(self._descriptor, _START.pack(start), 0)
        # What can't be given back (an old kernel) only costs memory.
        ctypes.CDLL(None).fallocate(
            self._descriptor,
            _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE,
            ctypes.c_long(_FIRST),
            ctypes.c_long(max(0, start - _FIRST)),
        )
