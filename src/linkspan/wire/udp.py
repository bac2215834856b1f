"""The UDP header (RFC 768)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from linkspan.wire.formats import BadFormat, CutShort, Octets, require

HEADER_BYTES: Final = 8
CHECKSUM_OFFSET: Final = 6

_HEADER = struct.Struct("!HHHH")


@dataclass(frozen=True, slots=True)
class Udp:
    """One header; lengths are in bytes."""

    source_port: int
    destination_port: int
    payload_length: int
    checksum: int = 0
    """0 means none; a computed 0 is sent as 0xffff."""

    @property
    def payload_offset(self) -> int:
        """Bytes from the start of the header to the payload."""
        return HEADER_BYTES


def parse(data: Octets) -> Udp:
    """Read a header. Raises CutShort, and BadFormat when its length does not cover itself."""
    require(data, HEADER_BYTES, "UDP header")
    source_port, destination_port, length, checksum = _HEADER.unpack_from(data)
    if length < HEADER_BYTES:
        raise BadFormat(f"UDP header: a length of 8 or more expected, {length} found")
    if length > len(data):
        raise CutShort(f"UDP datagram: {length} bytes expected, {len(data)} found")
    return Udp(source_port, destination_port, length - HEADER_BYTES, checksum)


def emit(value: Udp) -> bytes:
    """Write the 8 bytes of the header, the checksum as it stands in the value."""
    return _HEADER.pack(
        value.source_port,
        value.destination_port,
        HEADER_BYTES + value.payload_length,
        value.checksum,
    )
