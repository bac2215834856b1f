"""The virtio-net header that a Linux tap or packet socket puts in front of a frame.

It says what the sender left to do: finish a checksum, cut the frame into segments. The fields
have the kernel's names (include/uapi/linux/virtio_net.h, `struct virtio_net_hdr`) and are in the
machine's byte order, the default of taps (TUNSETVNETLE unset) and of PACKET_VNET_HDR.
Offsets count from the start of the Ethernet frame.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from linkspan.wire.formats import BadFormat, Octets, require

HEADER_BYTES: Final = 10
PLAIN: Final = bytes(HEADER_BYTES)
"""The header of a frame that is complete as it stands."""

ECN: Final = 0x80
"""Beside the type in `gso_type`: TCP's CWR is set and belongs to the first segment only."""

_HEADER = struct.Struct("=BBHHHH")


class VnetFlag(IntFlag):
    """What is known about the checksum."""

    NOTHING = 0

    NEEDS_CSUM = 1
    """To be summed from `csum_start` and stored `csum_offset` behind it."""
    DATA_VALID = 2
    """Already found right."""


class GsoType(IntEnum):
    """Into what the frame is to be cut."""

    NONE = 0
    TCPV4 = 1
    UDP = 3
    """Fragments of one IPv4 datagram."""
    TCPV6 = 4
    UDP_L4 = 5
    """A datagram for each `gso_size` bytes of payload."""


_GSO_TYPES: Final = {int(gso_type): gso_type for gso_type in GsoType}


@dataclass(frozen=True, slots=True)
class VnetHeader:
    """One header."""

    flags: VnetFlag = VnetFlag.NOTHING
    gso_type: GsoType = GsoType.NONE
    hdr_len: int = 0
    """A hint for buffers: how much of the frame to keep in one piece."""
    gso_size: int = 0
    """Bytes of payload per segment."""
    csum_start: int = 0
    csum_offset: int = 0
    has_ecn: bool = False


def parse(data: Octets) -> VnetHeader:
    """Read the ten bytes in front of a frame.

    Raises CutShort, and BadFormat for a kind of segmentation that was never asked for.
    """
    require(data, HEADER_BYTES, "virtio-net header")
    flags, gso_type, hdr_len, gso_size, csum_start, csum_offset = _HEADER.unpack_from(data)
    known = _GSO_TYPES.get(gso_type & ~ECN)
    if known is None:
        raise BadFormat(f"virtio-net header: gso_type {gso_type:#04x} is not known")
    return VnetHeader(
        VnetFlag(flags), known, hdr_len, gso_size, csum_start, csum_offset, bool(gso_type & ECN)
    )


def emit(value: VnetHeader) -> bytes:
    """Write the ten bytes."""
    return _HEADER.pack(
        value.flags,
        value.gso_type | (ECN if value.has_ecn else 0),
        value.hdr_len,
        value.gso_size,
        value.csum_start,
        value.csum_offset,
    )
