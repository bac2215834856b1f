"""The TCP header (RFC 9293, 3.1); options are kept as they are."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from linkspan.wire.formats import BadFormat, Octets, require

HEADER_BYTES: Final = 20
CHECKSUM_OFFSET: Final = 16

_HEADER = struct.Struct("!HHIIHHHH")


class TcpFlag(IntFlag):
    """Control bits (RFC 9293, 3.1; the ninth is accurate ECN's)."""

    FIN = 0x001
    SYN = 0x002
    RST = 0x004
    PSH = 0x008
    ACK = 0x010
    URG = 0x020
    ECE = 0x040
    CWR = 0x080
    AE = 0x100


@dataclass(frozen=True, slots=True)
class Tcp:
    """One header."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgment: int
    flags: TcpFlag
    window: int
    checksum: int = 0
    urgent_pointer: int = 0
    options: bytes = b""
    """A multiple of four bytes, at most 40."""

    @property
    def payload_offset(self) -> int:
        """Bytes from the start of the header to the payload."""
        return HEADER_BYTES + len(self.options)


def parse(data: Octets) -> Tcp:
    """Read a header. Raises CutShort, and BadFormat when its length does not cover itself."""
    require(data, HEADER_BYTES, "TCP header")
    source, destination, sequence, acknowledgment, offset_and_flags, window, checksum, urgent = (
        _HEADER.unpack_from(data)
    )
    offset = offset_and_flags >> 12 << 2
    if offset < HEADER_BYTES:
        raise BadFormat(f"TCP header: a length of 20 or more expected, {offset} found")
    require(data, offset, "TCP header with options")
    return Tcp(
        source,
        destination,
        sequence,
        acknowledgment,
        TcpFlag(offset_and_flags & 0x1FF),
        window,
        checksum,
        urgent,
        bytes(data[HEADER_BYTES:offset]),
    )


def emit(value: Tcp) -> bytes:
    """Write the header, the checksum as it stands in the value.

    Raises BadFormat when the options cannot be written.
    """
    offset = value.payload_offset
    if offset & 3 or offset > 60:
        raise BadFormat(f"TCP options: a multiple of 4 up to 40 expected, {offset - 20} found")
    header = _HEADER.pack(
        value.source_port,
        value.destination_port,
        value.sequence,
        value.acknowledgment,
        offset << 10 | value.flags,
        value.window,
        value.checksum,
        value.urgent_pointer,
    )
    return header + value.options
