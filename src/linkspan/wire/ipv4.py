"""The IPv4 header (RFC 791).

`emit` always writes the header's checksum; `parse` does not look at it (`has_intact_header`
does). The length that the header states must be there; what follows is Ethernet padding.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from linkspan.wire.checksum import internet_checksum, is_intact
from linkspan.wire.formats import BadFormat, CutShort, Octets, require

HEADER_BYTES: Final = 20
MORE_FRAGMENTS: Final = 0x2000
OFFSET_MASK: Final = 0x1FFF

_HEADER = struct.Struct("!BBHHHBBH4s4s")


class Protocol(IntEnum):
    """What the payload is: the IPv4 protocol and IPv6 next header numbers known by name."""

    HOP_BY_HOP = 0
    ICMP = 1
    TCP = 6
    UDP = 17
    ROUTING = 43
    FRAGMENT = 44
    AUTHENTICATION = 51
    ICMPV6 = 58
    NO_NEXT_HEADER = 59
    DESTINATION_OPTIONS = 60


@dataclass(frozen=True, slots=True)
class Ipv4:
    """One header; addresses are four bytes each, lengths are in bytes."""

    source: bytes
    destination: bytes
    protocol: int
    payload_length: int
    time_to_live: int = 64
    identification: int = 0
    fragment: int = 0
    """Flags and fragment offset as they stand in the header, 16 bits."""
    traffic_class: int = 0
    """Differentiated services and ECN, 8 bits."""
    options: bytes = b""
    """A multiple of four bytes, at most 40."""

    @property
    def payload_offset(self) -> int:
        """Bytes from the start of the header to the payload."""
        return HEADER_BYTES + len(self.options)

    @property
    def is_fragment(self) -> bool:
        """Whether the payload is only a part of what was sent."""
        return bool(self.fragment & (MORE_FRAGMENTS | OFFSET_MASK))


def parse(data: Octets) -> Ipv4:
    """Read a header from the start of a packet.

    Raises CutShort when header or stated payload are not all there, BadFormat when the version is
    not 4 or the lengths contradict each other.
    """
    require(data, HEADER_BYTES, "IPv4 header")
    (
        version_and_length,
        traffic_class,
        total_length,
        identification,
        fragment,
        time_to_live,
        protocol,
        _checksum,
        source,
        destination,
    ) = _HEADER.unpack_from(data)
    if version_and_length >> 4 != 4:
        raise BadFormat(f"IPv4 header: version 4 expected, {version_and_length >> 4} found")
    header_length = (version_and_length & 15) * 4
    if header_length < HEADER_BYTES or total_length < header_length:
        raise BadFormat(f"IPv4 header: {header_length} bytes of header in {total_length} in all")
    if total_length > len(data):
        raise CutShort(f"IPv4 packet: {total_length} bytes expected, {len(data)} found")
    return Ipv4(
        source,
        destination,
        protocol,
        total_length - header_length,
        time_to_live,
        identification,
        fragment,
        traffic_class,
        bytes(data[HEADER_BYTES:header_length]),
    )


def emit(value: Ipv4) -> bytes:
    """Write the header with its checksum. Raises BadFormat when the options cannot be written."""
    offset = value.payload_offset
    if offset & 3 or offset > 60:
        raise BadFormat(f"IPv4 options: a multiple of 4 up to 40 expected, {offset - 20} found")
    header = bytearray(
        _HEADER.pack(
            0x40 | offset >> 2,
            value.traffic_class,
            offset + value.payload_length,
            value.identification,
            value.fragment,
            value.time_to_live,
            value.protocol,
            0,
            value.source,
            value.destination,
        )
    )
    header += value.options
    header[10:12] = internet_checksum(header).to_bytes(2, "big")
    return bytes(header)


def has_intact_header(data: Octets) -> bool:
    """Whether the header's checksum holds, in bytes that `parse` accepts."""
    return is_intact(data[: (data[0] & 15) * 4])
