"""The VXLAN header (RFC 7348, clause 5): eight bytes between UDP and an Ethernet frame."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from linkspan.wire.formats import BadFormat, Octets, require

HEADER_BYTES: Final = 8
PORT: Final = 4789
"""The UDP port that IANA gave it."""

MOST_VNI: Final = (1 << 24) - 1

OVERHEAD_BYTES: Final = {4: 20 + 8 + HEADER_BYTES + 14, 6: 40 + 8 + HEADER_BYTES + 14}
"""How much longer a packet of the underlay is than the packet within, by IP version: IP, UDP and
VXLAN headers, and the inner Ethernet header."""

_HEADER: Final = struct.Struct("!II")
_HAS_VNI: Final = 0x08000000


@dataclass(frozen=True, slots=True)
class Vxlan:
    """One header."""

    vni: int
    """The segment that the frame is of: 24 bits."""

    @property
    def payload_offset(self) -> int:
        """Bytes from the start of the header to the frame."""
        return HEADER_BYTES


def parse(data: Octets) -> Vxlan:
    """Read a header; reserved bits are ignored, as the RFC has it. Raises CutShort, and BadFormat
    when it names no segment.
    """
    require(data, HEADER_BYTES, "VXLAN header")
    flags, vni = _HEADER.unpack_from(data)
    if not flags & _HAS_VNI:
        raise BadFormat(f"VXLAN header: the flag I expected, {flags >> 24:#04x} found")
    return Vxlan(vni >> 8)


def emit(value: Vxlan) -> bytes:
    """Write the 8 bytes of the header."""
    return _HEADER.pack(_HAS_VNI, value.vni << 8)
