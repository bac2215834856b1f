"""Echo request and reply of ICMP (RFC 792) and ICMPv6 (RFC 4443, 4).

Both have one layout and types that do not overlap, so one value serves both. ICMPv6 sums
a pseudo header too: its `emit` and `is_intact` take that sum, which is 0 for ICMP.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from linkspan.wire.checksum import internet_checksum
from linkspan.wire.formats import BadFormat, Octets, require

HEADER_BYTES: Final = 8

_HEADER = struct.Struct("!BBHHH")


class EchoType(IntEnum):
    """The four types of message."""

    REPLY = 0
    REQUEST = 8
    REQUEST_V6 = 128
    REPLY_V6 = 129

    @property
    def is_reply(self) -> bool:
        """Whether it answers another."""
        return self in (EchoType.REPLY, EchoType.REPLY_V6)


_TYPES: Final = frozenset(map(int, EchoType))


@dataclass(frozen=True, slots=True)
class Echo:
    """One whole message."""

    type: EchoType
    identifier: int
    sequence: int
    data: bytes = b""


def parse(data: Octets) -> Echo:
    """Read a message that fills `data`. Raises CutShort, and BadFormat when it is no echo."""
    require(data, HEADER_BYTES, "ICMP echo")
    kind, code, _checksum, identifier, sequence = _HEADER.unpack_from(data)
    if kind not in _TYPES or code != 0:
        raise BadFormat(f"ICMP echo: an echo type with code 0 expected, {kind}/{code} found")
    return Echo(EchoType(kind), identifier, sequence, bytes(data[HEADER_BYTES:]))


def emit(value: Echo, pseudo_header: int = 0) -> bytes:
    """Write the message with its checksum; ICMPv6 needs the sum of its pseudo header."""
    header = _HEADER.pack(value.type, 0, 0, value.identifier, value.sequence)
    checksum = internet_checksum(header + value.data, pseudo_header)
    return header[:2] + checksum.to_bytes(2, "big") + header[4:] + value.data
