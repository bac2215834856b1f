"""Neighbour solicitation and advertisement (RFC 4861, 4.3, 4.4): IPv6's way to find a MAC.

Of the options only the link-layer address is kept; others are skipped, as the RFC asks.
The hop limit of 255, which proves that no router forwarded the message, stands in the IPv6
header and is its reader's to check.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

from linkspan.types import Mac
from linkspan.wire.checksum import internet_checksum
from linkspan.wire.formats import BadFormat, CutShort, Octets, require

SOLICITATION: Final = 135
ADVERTISEMENT: Final = 136
HOP_LIMIT: Final = 255
MESSAGE_BYTES: Final = 24
"""Without options."""

_SOURCE_OPTION: Final = 1
_TARGET_OPTION: Final = 2
_ROUTER: Final = 0x80000000
_SOLICITED: Final = 0x40000000
_OVERRIDE: Final = 0x20000000
_MESSAGE = struct.Struct("!BBHI16s")


@dataclass(frozen=True, slots=True)
class Solicitation:
    """Who has `target`? The asker's own MAC is absent in duplicate address detection."""

    target: bytes
    source_mac: Mac | None = None


@dataclass(frozen=True, slots=True)
class Advertisement:
    """`target` is at `target_mac`."""

    target: bytes
    target_mac: Mac | None = None
    is_router: bool = False
    is_solicited: bool = False
    overrides: bool = False
    """Whether it replaces what the receiver believed before."""


NeighbourMessage: TypeAlias = Solicitation | Advertisement


def parse(data: Octets) -> NeighbourMessage:
    """Read an ICMPv6 message that fills `data`.

    Raises CutShort, and BadFormat for other ICMPv6 types and for what RFC 4861, 7.1 tells
    receivers to discard: a code other than 0, a group as target, an option of length 0.
    """
    require(data, MESSAGE_BYTES, "neighbour message")
    kind, code, _checksum, flags, target = _MESSAGE.unpack_from(data)
    if kind not in (SOLICITATION, ADVERTISEMENT) or code != 0:
        raise BadFormat(f"neighbour message: type 135 or 136 expected, {kind}/{code} found")
    if target[0] == 0xFF:
        raise BadFormat(f"neighbour message: a single node's target expected, {target.hex()} found")
    if kind == SOLICITATION:
        return Solicitation(target, _find_mac(data, _SOURCE_OPTION))
    return Advertisement(
        target,
        _find_mac(data, _TARGET_OPTION),
        bool(flags & _ROUTER),
        bool(flags & _SOLICITED),
        bool(flags & _OVERRIDE),
    )


def emit(value: NeighbourMessage, pseudo_header: int = 0) -> bytes:
    """Write the ICMPv6 message with its checksum, given the sum of its pseudo header."""
    if isinstance(value, Solicitation):
        kind, flags, option, mac = SOLICITATION, 0, _SOURCE_OPTION, value.source_mac
    else:
        kind, option, mac = ADVERTISEMENT, _TARGET_OPTION, value.target_mac
        flags = (
            _ROUTER * value.is_router
            | _SOLICITED * value.is_solicited
            | _OVERRIDE * value.overrides
        )
    options = bytes((option, 1)) + mac if mac is not None else b""
    message = _MESSAGE.pack(kind, 0, 0, flags, value.target) + options
    checksum = internet_checksum(message, pseudo_header)
    return message[:2] + checksum.to_bytes(2, "big") + message[4:]


def length(value: NeighbourMessage) -> int:
    """Bytes that `emit` will write, which the pseudo header must know before."""
    mac = value.source_mac if isinstance(value, Solicitation) else value.target_mac
    return MESSAGE_BYTES + (8 if mac is not None else 0)


def _find_mac(data: Octets, wanted: int) -> Mac | None:
    found: Mac | None = None
    offset = MESSAGE_BYTES
    while offset < len(data):
        require(data, offset + 2, "neighbour option")
        kind, size = data[offset], data[offset + 1] * 8
        if size == 0:
            raise BadFormat(f"neighbour option {kind}: length 0")
        if offset + size > len(data):
            raise CutShort(f"neighbour option {kind}: ends behind the message")
        if kind == wanted and found is None:
            if size != 8:
                raise BadFormat(f"neighbour option {kind}: 8 bytes expected, {size} found")
            found = Mac(bytes(data[offset + 2 : offset + 8]))
        offset += size
    return found
