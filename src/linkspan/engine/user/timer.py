"""A clock that ticks into a descriptor (timerfd_create(2)), for a loop that waits without a limit.

A wait with a time limit has the kernel set a timer up and take it down again each time. On a
virtual machine that costs a switch process a microsecond a frame; a timer that goes on by itself
costs it nothing.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

_CLOCK_MONOTONIC: Final = 1
_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
"""TFD_NONBLOCK and TFD_CLOEXEC are these by definition (linux/timerfd.h)."""

_TICKS_BYTES: Final = 8
_NANOSECONDS: Final = 1_000_000_000


class _Interval(ctypes.Structure):
    """struct itimerspec: the time between two ticks, then the time until the first one."""

    _fields_ = (
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
        ("first_seconds", ctypes.c_long),
        ("first_nanoseconds", ctypes.c_long),
    )


class _Descriptor:
    """A timer's descriptor; readable when it has ticked."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, _FLAGS)
        if self._descriptor < 0:
            raise _refusal()

    def _settle(self, interval: _Interval) -> None:
        if self._libc.timerfd_settime(self._descriptor, 0, ctypes.byref(interval), None) < 0:
            raise _refusal()

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._descriptor

    def take(self) -> int:
        """Number of ticks since the last time; 0 when there was none."""
        try:
            return int.from_bytes(os.read(self._descriptor, _TICKS_BYTES), sys.byteorder)
        except BlockingIOError:
            return 0

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            os.close(self._descriptor)


class Timer(_Descriptor):
    """Ticks at once and then every `period` seconds."""

    def __init__(self, period: float) -> None:
        """Raises OSError."""
        super().__init__()
        seconds, nanoseconds = divmod(round(period * _NANOSECONDS), _NANOSECONDS)
        self._settle(_Interval(seconds, nanoseconds, 0, 1))  # all zero would be: never


class Alarm(_Descriptor):
    """Ticks once, when it is set to."""

    def set(self, seconds: float | None) -> None:
        """Tick after so many seconds, or not at all; what it was set to before counts no more.
        Raises OSError.
        """
        nanoseconds = 0 if seconds is None else max(1, round(seconds * _NANOSECONDS))
        self._settle(_Interval(0, 0, *divmod(nanoseconds, _NANOSECONDS)))


def _refusal() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
