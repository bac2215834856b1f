"""The Ethernet header with its VLAN tags (IEEE 802.3, 3.1; IEEE 802.1Q, 9).

A tag is a tag protocol identifier (TPID) and tag control information: priority (3 bits), drop
eligible (1 bit), VLAN identifier (12 bits). Tags are read outermost first. As in Linux, 0x8100
and 0x88a8 are tags and nothing else is, and after `MAX_TAGS` of them the rest is payload, so
that a frame stuffed with tags costs no more than any other.

The field after the tags is an ethertype from 0x0600 up and an IEEE 802.3 length below.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from linkspan.types import Mac
from linkspan.wire.formats import Octets, require

HEADER_BYTES: Final = 14
TAG_BYTES: Final = 4
MAX_TAGS: Final = 8
"""As deep as Linux looks (VLAN_MAX_DEPTH, include/linux/if_vlan.h)."""

FIRST_ETHERTYPE: Final = 0x0600
"""Smaller values are a length (IEEE 802.3, 3.2.6)."""


class EtherType(IntEnum):
    """The ethertypes that the switch knows by name."""

    IPV4 = 0x0800
    ARP = 0x0806
    VLAN = 0x8100
    """Customer tag, IEEE 802.1Q."""
    IPV6 = 0x86DD
    SERVICE_VLAN = 0x88A8
    """Service tag, IEEE 802.1ad."""
    LLDP = 0x88CC


TAG_PROTOCOLS: Final = frozenset((int(EtherType.VLAN), int(EtherType.SERVICE_VLAN)))


class Tag(NamedTuple):
    """One VLAN tag."""

    tpid: int
    tci: int

    @property
    def vlan(self) -> int:
        """VLAN identifier; 0 means that the tag carries only a priority."""
        return self.tci & 0x0FFF

    @property
    def priority(self) -> int:
        """Priority code point, 0 to 7."""
        return self.tci >> 13


@dataclass(frozen=True, slots=True)
class Ethernet:
    """What stands in front of a frame's payload."""

    destination: Mac
    source: Mac
    ethertype: int
    tags: tuple[Tag, ...] = ()

    @property
    def payload_offset(self) -> int:
        """Bytes from the start of the frame to its payload."""
        return HEADER_BYTES + TAG_BYTES * len(self.tags)


_PAIR = struct.Struct("!HH")


def parse(data: Octets) -> Ethernet:
    """Read the header of a frame. Raises CutShort for a runt and for a tag that is cut."""
    require(data, HEADER_BYTES, "Ethernet header")
    ethertype = data[12] << 8 | data[13]
    tags: tuple[Tag, ...] = ()
    while ethertype in TAG_PROTOCOLS and len(tags) < MAX_TAGS:
        offset = HEADER_BYTES + TAG_BYTES * len(tags)
        require(data, offset + TAG_BYTES, "VLAN tag")
        tci, inner = _PAIR.unpack_from(data, offset)
        tags += (Tag(ethertype, tci),)
        ethertype = inner
    return Ethernet(Mac(bytes(data[:6])), Mac(bytes(data[6:12])), ethertype, tags)


def emit(value: Ethernet) -> bytes:
    """Write the header; the payload follows it."""
    tags = b"".join(_PAIR.pack(tag.tpid, tag.tci) for tag in value.tags)
    return value.destination + value.source + tags + value.ethertype.to_bytes(2, "big")
