"""Which kernel devices have a carrier: a port without one is disabled, as in the Linux bridge.

The switch process hears rtnetlink's link messages of the lab's own namespace, where its devices
are. It needs two numbers of each message, which is why no library reads them here: this process
stays small and starts fast. Sources: rtnetlink(7), include/uapi/linux/{netlink,rtnetlink}.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final

_MESSAGE: Final = struct.Struct("=LHHLLBxHiII")
"""struct nlmsghdr and struct ifinfomsg."""

_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_RTMGRP_LINK = 1
_REQUEST, _REQUEST_DUMP = 0x1, 0x301
_IFF_LOWER_UP = 0x10000
_RECEIVE_BYTES = 1 << 18
_MOST_READS: Final = 64
"""So that a storm of messages does not keep the switch from its frames."""


class LinkWatch:
    """A subscription to link messages; what there is at the beginning comes first."""

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._sock.bind((0, _RTMGRP_LINK))
        self._sock.setblocking(False)
        self._ask_for_all()

    def _ask_for_all(self) -> None:
        self._sock.send(_MESSAGE.pack(_MESSAGE.size, _GETLINK, _REQUEST_DUMP, 1, 0, 0, 0, 0, 0, 0))

    def ask(self, index: int) -> None:
        """Have a message about one device among those that are read next."""
        self._sock.send(_MESSAGE.pack(_MESSAGE.size, _GETLINK, _REQUEST, 1, 0, 0, 0, index, 0, 0))

    def fileno(self) -> int:
        return self._sock.fileno()

    def read(self) -> list[tuple[int, bool]]:
        """Index and carrier of every device that messages came of; a deleted one has none."""
        found: list[tuple[int, bool]] = []
        for _ in range(_MOST_READS):
            try:
                found += _devices(self._sock.recv(_RECEIVE_BYTES))
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: messages were lost, so ask for the whole again
                self._ask_for_all()
        return found


def _devices(data: bytes) -> Iterator[tuple[int, bool]]:
    offset = 0
    while offset + _MESSAGE.size <= len(data):
        length, kind, _, _, _, _, _, index, flags, _ = _MESSAGE.unpack_from(data, offset)
        if kind in (_NEWLINK, _DELLINK):
            yield index, kind == _NEWLINK and bool(flags & _IFF_LOWER_UP)
        offset += max(16, (length + 3) & ~3)
