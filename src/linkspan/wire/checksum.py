"""The internet checksum (RFC 1071), fast without leaving Python.

The one's complement sum of 16-bit words is the number that the bytes spell, modulo 65535,
because 65536 leaves 1. Reading a whole buffer as one integer and taking one remainder does in
two C loops what a sum over words does in a Python loop. The remainder is the same for a sum of 0
and of 0xffff; only bytes that are all zero have the sum 0, which settles it.

Sums are therefore plain integers that may be added and subtracted freely and are reduced
once, at the end. That also covers what RFC 1624 calls an incremental update.
"""

from __future__ import annotations

from typing import Final

from linkspan.wire.formats import Octets

MODULUS: Final = 0xFFFF


def sum_words(data: Octets) -> int:
    """One's complement sum of the big-endian words of `data`, 0 to 0xffff, not inverted.

    An odd last byte counts as the upper half of a word (RFC 1071, 1). Sums of pieces may be
    added when every piece but the last has an even length.
    """
    number = int.from_bytes(data, "big")
    if not number:
        return 0
    if len(data) & 1:
        number <<= 8
    return number % MODULUS or MODULUS


def finish(total: int) -> int:
    """The checksum field for a sum of words, of which at least one is not zero."""
    return -total % MODULUS


def internet_checksum(data: Octets, pseudo_header: int = 0) -> int:
    """The checksum field for `data`, whose own field is zero, and a pseudo header's sum."""
    total = pseudo_header + sum_words(data)
    return finish(total) if total else MODULUS


def is_intact(data: Octets, pseudo_header: int = 0) -> bool:
    """Whether `data`, with its checksum in place, sums up to what a receiver expects."""
    total = pseudo_header + sum_words(data)
    return total != 0 and total % MODULUS == 0


def pseudo_header_v4(source: Octets, destination: Octets, protocol: int, length: int) -> int:
    """Sum of the IPv4 pseudo header (RFC 9293, 3.1); `length` is that of the upper layer."""
    return sum_words(source) + sum_words(destination) + protocol + length


def pseudo_header_v6(source: Octets, destination: Octets, protocol: int, length: int) -> int:
    """Sum of the IPv6 pseudo header (RFC 8200, 8.1).

    `destination` is the final one, where a routing header names another; `protocol` is the upper
    layer's, whatever extension headers stand in front of it.
    """
    return sum_words(source) + sum_words(destination) + protocol + length
