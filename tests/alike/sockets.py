"""A packet socket that gives a frame as it was on the wire, with its VLAN tag in its place."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Final

ETH_P_ALL: Final = 3
_SOL_PACKET, _PACKET_AUXDATA, _PACKET_IGNORE_OUTGOING = 263, 8, 23
_AUXDATA: Final = struct.Struct("=IIIHHHH")
_TAG_IS_THERE = 0x10
LARGEST: Final = 1 << 17


class WireSocket:
    """On an interface of the current network namespace, or hearing one protocol on all of them.

    It is not promiscuous, which for a bridge's own interface would change what it gets, and does
    not hear what it sends.
    """

    def __init__(self, interface: str | None = None, kind: int = ETH_P_ALL) -> None:
        # Of protocol 0 a socket hears nothing until it is bound.
        heard = socket.htons(kind) if interface is None else 0
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, heard)
        self._sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self._sock.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        if interface is not None:
            self._sock.bind((interface, kind))

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, frame: bytes) -> None:
        """Send a frame as it is. Raises OSError."""
        self._sock.send(frame)

    def receive(self) -> tuple[bytes, str] | None:
        """A frame and the interface that it came to, or None when the interface just went down.

        Raises BlockingIOError when there is none.
        """
        try:
            frame, ancillary, _, (interface, *_) = self._sock.recvmsg(LARGEST, 64)
        except OSError as error:
            if error.errno == errno.ENETDOWN:
                return None
            raise
        for level, kind, data in ancillary:
            if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
                status, _, _, _, _, tag, protocol = _AUXDATA.unpack_from(data)
                if status & _TAG_IS_THERE:
                    frame = frame[:12] + struct.pack("!HH", protocol, tag) + frame[12:]
        return frame, interface

    def close(self) -> None:
        self._sock.close()
