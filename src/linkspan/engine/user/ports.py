"""The ports of a switch process: where frames come in and go out.

Every port speaks the same two words to the loop. `read()` returns one frame as bytes, with a
virtio_net_hdr of ten bytes in front, and raises BlockingIOError when there is none. `write(frame)`
takes such a frame and raises OSError when it can't be taken now; it never waits. A frame that was
not taken is the port's drop, with a `Reason`.

tap       passes frames as they are; both words are bare system calls
packet    puts a VLAN tag back that the kernel keeps beside the frame (PACKET_AUXDATA)
stream    QEMU's `-netdev stream`: four bytes of length, most significant first, then the frame
dgram     QEMU's `-netdev dgram`: a frame a datagram, sent to whoever sent last, or to the other
          socket of a pair

A socket peer has no offloads: frames to it are segmented and their checksums filled in here.
Tunnels are in `vxlan`, ports behind the in-kernel cache in `upcall`.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from linkspan.bridge.reasons import Reason
from linkspan.engine.user.devices import VNET_HEADER_BYTES, Direction, enlarge_buffer
from linkspan.types import PortNumber
from linkspan.wire.formats import BadFormat
from linkspan.wire.segment import complete
from linkspan.wire.vnet import PLAIN

LARGEST_READ: Final = VNET_HEADER_BYTES + 65536 + 64
"""A frame of the largest IP packet with its headers, tags and vnet header, in bytes."""

PEER_BUFFER_BYTES: Final = 1 << 20
"""Queue towards the peer of a stream port: enough for a burst of TCP, little for one that stalls.
"""

_LENGTH: Final = struct.Struct("!I")
_AUXDATA: Final = struct.Struct("=IIIHHHH")
_SOL_PACKET, _PACKET_AUXDATA = 263, 8
_TP_STATUS_VLAN_VALID, _TP_STATUS_VLAN_TPID_VALID = 0x10, 0x40
_ETH_P_8021Q = 0x8100

_REASONS: Final = {
    errno.ECOMM: Reason.QDISC_DROP,
    errno.EAGAIN: Reason.FULL_RING,
    errno.ENOBUFS: Reason.FULL_RING,
    errno.EMSGSIZE: Reason.PKT_TOO_BIG,
    errno.EINVAL: Reason.DEV_HDR,
}
"""What a refused write means; everything else is a port that is down."""


class Port:
    """One port: its descriptor, its two words and its counters."""

    def __init__(self, number: PortNumber, name: str, kind: str, descriptor: int) -> None:
        self.number = number
        self.name = name
        self.kind = kind
        self.descriptor = descriptor
        self.frames_in = 0
        self.bytes_in = 0
        self.frames_out = 0
        self.bytes_out = 0
        self.drops: dict[str, int] = {}
        self.read: Callable[[], bytes] = partial(os.read, descriptor, LARGEST_READ)
        self.write: Callable[[bytes], object] = partial(os.write, descriptor)

    def drop(self, reason: Reason, frames: int = 1) -> None:
        """Count frames that ended at this port."""
        self.drops[reason.name] = self.drops.get(reason.name, 0) + frames

    def refused(self, error: OSError) -> None:
        """Count a frame that the device or the peer did not take."""
        self.drop(_REASONS.get(error.errno or 0, Reason.DEV_READY))

    def close(self) -> None:
        os.close(self.descriptor)


class TapPort(Port):
    """A tap, in a container or towards the host's stack."""


class PacketPort(Port):
    """A packet socket on a veth or a NIC."""

    def __init__(self, number: PortNumber, name: str, kind: str, descriptor: int) -> None:
        super().__init__(number, name, kind, descriptor)
        self._sock = socket.socket(fileno=descriptor)
        self.read = self._read

    def _read(self) -> bytes:
        frame, ancillary, _, _ = self._sock.recvmsg(LARGEST_READ, 64)
        for level, kind, data in ancillary:
            if level == _SOL_PACKET and kind == _PACKET_AUXDATA:
                status, *_, tag, protocol = _AUXDATA.unpack_from(data)
                if status & _TP_STATUS_VLAN_VALID:
                    known = status & _TP_STATUS_VLAN_TPID_VALID
                    return put_tag_back(frame, protocol if known else _ETH_P_8021Q, tag)
        return frame

    def close(self) -> None:
        self._sock.close()


def put_tag_back(frame: bytes, protocol: int, tag: int) -> bytes:
    """Insert a VLAN tag behind the source address and move the checksum's place along with it.

    The kernel takes the tag off before packet sockets see a frame (`skb_vlan_untag`) and counts
    hdr_len and csum_start without it (`packet_rcv_vnet`).
    """
    flags, gso, header_length, gso_size, start, offset = struct.unpack_from("=BBHHHH", frame)
    if flags or gso:
        moved = struct.pack("=BBHHHH", flags, gso, header_length + 4, gso_size, start + 4, offset)
    else:
        moved = frame[:VNET_HEADER_BYTES]
    return moved + frame[10:22] + struct.pack("!HH", protocol, tag) + frame[22:]


class DatagramPort(Port):
    """A datagram socket; the peer is whoever sent the last frame."""

    def __init__(self, number: PortNumber, name: str, kind: str, descriptor: int) -> None:
        super().__init__(number, name, kind, descriptor)
        self._sock = socket.socket(fileno=descriptor)
        self._peer: str | bytes | None = None
        self.read = self._read
        self.write = self._write_to_pair if _is_paired(self._sock) else self._write

    def _read(self) -> bytes:
        frame, peer = self._sock.recvfrom(LARGEST_READ)
        if peer:
            self._peer = peer
        return PLAIN + frame

    def _write(self, frame: bytes) -> None:
        if self._peer is None:
            raise OSError(errno.ENOTCONN, "no peer has sent anything yet")
        for segment in complete_frames(frame):
            self._sock.sendto(segment, self._peer)

    def _write_to_pair(self, frame: bytes) -> None:
        for segment in complete_frames(frame):
            self._sock.send(segment)

    def close(self) -> None:
        self._sock.close()


def _is_paired(sock: socket.socket) -> bool:
    """Whether a socket has a peer for good: it is one of a pair."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


class StreamPort(Port):
    """A listening stream socket and the one peer that is connected to it.

    A new peer takes the place of the one before, which may hang without knowing. At most one
    frame that the peer took in part waits here; while it waits, further frames are dropped.
    """

    def __init__(
        self,
        number: PortNumber,
        name: str,
        kind: str,
        descriptor: int,
        watch: Callable[[StreamPort, int, bool], None],
        forget: Callable[[int], None],
    ) -> None:
        super().__init__(number, name, kind, descriptor)
        self._listening = socket.socket(fileno=descriptor)
        self._watch = watch
        self._forget = forget
        self._peer: socket.socket | None = None
        self._received = bytearray()
        self._frames: deque[bytes] = deque()
        self._unsent = b""
        self.read = self._read
        self.write = self._write

    @property
    def has_frames(self) -> bool:
        """Whether whole frames wait here that were received already."""
        return bool(self._frames)

    def accept(self) -> None:
        """Take a new peer in the place of the old one."""
        try:
            peer, _ = self._listening.accept()
        except OSError:
            return
        self.hang_up()
        peer.setblocking(False)
        enlarge_buffer(peer, Direction.SEND, PEER_BUFFER_BYTES)
        self._peer = peer
        self._watch(self, peer.fileno(), False)

    def hang_up(self) -> None:
        """Let go of the peer and of what is half received or half sent."""
        if self._peer is not None:
            self._forget(self._peer.fileno())
            self._peer.close()
        self._peer = None
        self._received.clear()
        self._unsent = b""

    def _read(self) -> bytes:
        if not self._frames:
            self._receive()
        if not self._frames:
            raise BlockingIOError
        return self._frames.popleft()

    def _receive(self) -> None:
        if self._peer is None:
            return
        try:
            data = self._peer.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.hang_up()
            return
        self._received += data
        self._split()

    def _split(self) -> None:
        received, offset = self._received, 0
        while offset + 4 <= len(received):
            (length,) = _LENGTH.unpack_from(received, offset)
            if length > LARGEST_READ - VNET_HEADER_BYTES:
                # Where the next frame begins can't be known any more.
                self.drop(Reason.DEV_HDR)
                self.hang_up()
                return
            if offset + 4 + length > len(received):
                break
            self._frames.append(PLAIN + received[offset + 4 : offset + 4 + length])
            offset += 4 + length
        del received[:offset]

    def _write(self, frame: bytes) -> None:
        if self._peer is None:
            raise OSError(errno.ENOTCONN, "no peer")
        if self._unsent:
            raise BlockingIOError(errno.EAGAIN, "the peer does not read")
        parts = complete_frames(frame)
        self._send(b"".join([_LENGTH.pack(len(part)) + part for part in parts]))

    def _send(self, data: bytes) -> None:
        assert self._peer is not None
        # A peer that has gone is let go of where its end is read, behind all that it sent.
        sent = self._peer.send(data)
        if sent < len(data):
            self._unsent = data[sent:]
            self._watch(self, self._peer.fileno(), True)

    def flush(self) -> None:
        """Go on sending what the peer has taken in part."""
        if self._peer is None or not self._unsent:
            return
        data, self._unsent = self._unsent, b""
        try:
            self._send(data)
        except BlockingIOError:
            self._unsent = data
        except OSError:
            self.drop(Reason.DEV_READY)
        if not self._unsent:
            self._watch(self, self._peer.fileno(), False)

    def close(self) -> None:
        self.hang_up()
        self._listening.close()


def complete_frames(frame: bytes) -> list[bytes]:
    """The frames of a frame with its vnet header, for a peer that has no offloads. Raises OSError
    when it is none.
    """
    try:
        return complete(frame)
    except BadFormat as error:
        raise OSError(errno.EINVAL, str(error)) from None
