"""The IPv6 header and the way through its extension headers (RFC 8200).

The upper layer stands behind a chain of extension headers, each naming the next. The walk is
bounded by `MAX_EXTENSION_HEADERS`, as RFC 8504, 5.3 allows, because a frame of 64 KiB could hold
thousands. In any fragment but the first the upper layer's header is not there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from linkspan.types import Mac
from linkspan.wire.formats import BadFormat, CutShort, Octets, require
from linkspan.wire.ipv4 import Protocol

HEADER_BYTES: Final = 40
MAX_EXTENSION_HEADERS: Final = 8
ALL_NODES: Final = bytes.fromhex("ff020000000000000000000000000001")

_EXTENSION_UNITS: Final = {
    # next header: bytes per unit of its length field, units not counted by it
    int(Protocol.HOP_BY_HOP): (8, 1),
    int(Protocol.ROUTING): (8, 1),
    int(Protocol.DESTINATION_OPTIONS): (8, 1),
    int(Protocol.AUTHENTICATION): (4, 2),  # RFC 4302, 2.2
    int(Protocol.FRAGMENT): (8, 1),  # its length field is reserved and not read
}
_HEADER = struct.Struct("!IHBB16s16s")


@dataclass(frozen=True, slots=True)
class Ipv6:
    """One fixed header; addresses are 16 bytes each, lengths are in bytes."""

    source: bytes
    destination: bytes
    next_header: int
    payload_length: int
    """Extension headers included."""
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0

    @property
    def payload_offset(self) -> int:
        """Bytes from the start of the header to what `next_header` names."""
        return HEADER_BYTES


@dataclass(frozen=True, slots=True)
class UpperLayer:
    """Where the chain of extension headers ends."""

    protocol: int
    offset: int
    """Bytes from the start of the packet."""
    is_fragment: bool
    has_header: bool
    """False in fragments other than the first."""


def parse(data: Octets) -> Ipv6:
    """Read a fixed header from the start of a packet.

    Raises CutShort when the header or the stated payload are not all there, BadFormat when the
    version is not 6.
    """
    require(data, HEADER_BYTES, "IPv6 header")
    first, payload_length, next_header, hop_limit, source, destination = _HEADER.unpack_from(data)
    if first >> 28 != 6:
        raise BadFormat(f"IPv6 header: version 6 expected, {first >> 28} found")
    if HEADER_BYTES + payload_length > len(data):
        raise CutShort(
            f"IPv6 packet: {HEADER_BYTES + payload_length} bytes expected, {len(data)} found"
        )
    return Ipv6(
        source,
        destination,
        next_header,
        payload_length,
        hop_limit,
        first >> 20 & 0xFF,
        first & 0xFFFFF,
    )


def emit(value: Ipv6) -> bytes:
    """Write the 40 bytes of the fixed header."""
    first = 6 << 28 | value.traffic_class << 20 | value.flow_label
    return _HEADER.pack(
        first,
        value.payload_length,
        value.next_header,
        value.hop_limit,
        value.source,
        value.destination,
    )


def find_upper_layer(data: Octets) -> UpperLayer:
    """Walk a packet's extension headers to the first protocol that is none.

    Raises CutShort when the chain leaves the packet, BadFormat when the fixed header is wrong
    or the chain is longer than MAX_EXTENSION_HEADERS.
    """
    header = parse(data)
    end = HEADER_BYTES + header.payload_length
    protocol, offset, is_fragment = header.next_header, HEADER_BYTES, False
    for _ in range(MAX_EXTENSION_HEADERS + 1):
        units = _EXTENSION_UNITS.get(protocol)
        if units is None:
            return UpperLayer(protocol, offset, is_fragment, has_header=True)
        if offset + 8 > end:
            raise CutShort(f"IPv6 extension header {protocol}: ends behind the packet")
        fragment_offset = 0
        length = 8
        if protocol == Protocol.FRAGMENT:
            is_fragment = True
            fragment_offset = (data[offset + 2] << 8 | data[offset + 3]) >> 3
        else:
            length = (data[offset + 1] + units[1]) * units[0]
        if offset + length > end:
            raise CutShort(f"IPv6 extension header {protocol}: ends behind the packet")
        protocol = data[offset]
        offset += length
        if fragment_offset:
            return UpperLayer(protocol, offset, is_fragment, has_header=False)
    raise BadFormat(f"IPv6 packet: more than {MAX_EXTENSION_HEADERS} extension headers")


def solicited_node(address: bytes) -> bytes:
    """The group that a node with this address listens to (RFC 4291, 2.7.1)."""
    return bytes.fromhex("ff0200000000000000000001ff") + address[13:]


def group_mac(group: bytes) -> Mac:
    """The MAC address of an IPv6 group (RFC 2464, 7)."""
    return Mac(b"\x33\x33" + group[12:])
