"""What a test puts behind the ports of a switch: frames, and programs that send and get them.

Every wait ends in an error after `WAIT_SECONDS`.
"""

from __future__ import annotations

import socket
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from linkspan.sandbox.namespaces import inside

WAIT_SECONDS = 20.0
"""How long anything may take that has to happen; a hang, not a slow machine, is beyond it."""

EXPERIMENT = 0x88B5
"""EtherType for local experiments (IEEE 802-2014, 9.2.3)."""

BROADCAST = b"\xff" * 6
ETH_P_ALL = 3
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23

Found = TypeVar("Found")


def station(number: int) -> bytes:
    """A MAC address."""
    return b"\x52\x54\x00" + number.to_bytes(3, "big")


def frame_of(
    destination: bytes, source: bytes, payload: bytes = b"", kind: int = EXPERIMENT
) -> bytes:
    """An Ethernet frame."""
    return destination + source + struct.pack("!H", kind) + payload


def wait_until(look: Callable[[], Found | None], what: str) -> Found:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.01)


class Peer(ABC):
    """A program or a container at the other end of a port, by its socket."""

    sock: socket.socket

    @abstractmethod
    def receive(self) -> bytes:
        """The next frame."""

    def receive_until(self, last: bytes) -> list[bytes]:
        """All frames in front of `last`."""
        return list(iter(self.receive, last))

    def close(self) -> None:
        self.sock.close()


class StreamPeer(Peer):
    """A program on a stream port, as QEMU is one."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WAIT_SECONDS)
        self.sock.connect(str(path))
        self._received = b""

    def send(self, *frames: bytes) -> None:
        """Send frames in one piece."""
        self.sock.sendall(b"".join(struct.pack("!I", len(frame)) + frame for frame in frames))

    def receive(self) -> bytes:
        """The next frame; EOFError when the switch hung up."""
        while len(self._received) < 4 or len(self._received) < 4 + self._length():
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError
            self._received += data
        end = 4 + self._length()
        frame, self._received = self._received[4:end], self._received[end:]
        return frame

    def _length(self) -> int:
        return int.from_bytes(self._received[:4], "big")


class DatagramPeer(Peer):
    """A program on a dgram port."""

    def __init__(self, path: Path, port: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.settimeout(WAIT_SECONDS)
        self.sock.bind(str(path))
        self.sock.connect(str(port))

    def send(self, *frames: bytes) -> None:
        """Send frames, one a datagram."""
        for frame in frames:
            self.sock.send(frame)

    def receive(self) -> bytes:
        """The next frame."""
        return self.sock.recv(1 << 20)


class PacketPeer(Peer):
    """A raw socket on an interface of a namespace: whatever a container might send."""

    def __init__(self, network: int, interface: str, kind: int = ETH_P_ALL) -> None:
        """`kind` is the one EtherType to hear, or that of all."""
        with inside(network):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            self.sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
            self.sock.bind((interface, kind))
        self.sock.settimeout(WAIT_SECONDS)

    def send(self, *frames: bytes) -> None:
        """Send frames; waits while the interface's queue is full."""
        for frame in frames:
            while True:
                try:
                    self.sock.send(frame)
                    break
                except OSError as error:
                    if error.errno != 105:  # ENOBUFS
                        raise
                    time.sleep(0.001)

    def receive(self) -> bytes:
        """The next frame."""
        return self.sock.recv(1 << 17)

    def waiting(self) -> list[bytes]:
        """What has come up to now."""
        frames = []
        self.sock.setblocking(False)
        try:
            while True:
                frames.append(self.sock.recv(1 << 17))
        except BlockingIOError:
            return frames
        finally:
            self.sock.settimeout(WAIT_SECONDS)
