"""ARP for IPv4 over Ethernet (RFC 826), the only kind there is on a bridge of today."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from linkspan.types import Mac
from linkspan.wire.ethernet import EtherType
from linkspan.wire.formats import BadFormat, Octets, require

MESSAGE_BYTES: Final = 28
ETHERNET_HARDWARE: Final = 1

_KIND: Final = (ETHERNET_HARDWARE, int(EtherType.IPV4), 6, 4)
_MESSAGE = struct.Struct("!HHBBH6s4s6s4s")


class Operation(IntEnum):
    """What the message asks or says (RFC 826; reverse ARP is not spoken here)."""

    REQUEST = 1
    REPLY = 2


@dataclass(frozen=True, slots=True)
class Arp:
    """One message; protocol addresses are four bytes each."""

    operation: Operation
    sender_mac: Mac
    sender_address: bytes
    target_mac: Mac
    target_address: bytes


def parse(data: Octets) -> Arp:
    """Read a message; padding after it is ignored.

    Raises CutShort, and BadFormat when it is not about IPv4 over Ethernet, request or reply.
    """
    require(data, MESSAGE_BYTES, "ARP message")
    *kind, operation, sender_mac, sender_address, target_mac, target_address = _MESSAGE.unpack_from(
        data
    )
    if tuple(kind) != _KIND:
        raise BadFormat(f"ARP message: kind {_KIND} (IPv4 over Ethernet) expected, {kind} found")
    if operation not in (Operation.REQUEST, Operation.REPLY):
        raise BadFormat(f"ARP message: operation 1 or 2 expected, {operation} found")
    return Arp(Operation(operation), sender_mac, sender_address, target_mac, target_address)


def emit(value: Arp) -> bytes:
    """Write the 28 bytes of a message."""
    return _MESSAGE.pack(
        *_KIND,
        value.operation,
        value.sender_mac,
        value.sender_address,
        value.target_mac,
        value.target_address,
    )
