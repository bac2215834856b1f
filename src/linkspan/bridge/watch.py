"""Which frames the switch is to see every time, whatever it decided about the flow before.

One table. It tells the verdict cache what not to keep (`decide`), and the kernel's second level of
it is filled from the same rows (`engine.user.load`), so that a feature that has to look
into a protocol adds a row here and nothing else. ARP, groups and link-local destinations are not
in it: their verdicts are never kept (`decide.is_cacheable`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from linkspan.wire.ethernet import TAG_PROTOCOLS, EtherType
from linkspan.wire.ipv4 import Protocol

_IPV6_HEADER_BYTES = 40
_FIRST_TYPE, _TYPES = 128, 64


@dataclass(frozen=True, slots=True)
class Watch:
    """One row: frames of an IP protocol, all of them, or those of some ports or ICMPv6 types."""

    what: str
    ethertype: EtherType
    protocol: int
    ports: range | None = None
    """UDP ports, of either end."""
    types: frozenset[int] | None = None
    """ICMPv6 types, from 128 to 191."""


WATCHED: Final = (
    Watch("IGMP (RFC 3376)", EtherType.IPV4, 2),
    Watch("DHCP (RFC 2131)", EtherType.IPV4, Protocol.UDP, ports=range(67, 69)),
    Watch("DHCPv6 (RFC 8415)", EtherType.IPV6, Protocol.UDP, ports=range(546, 548)),
    Watch(
        "MLD and neighbour discovery (RFC 3810, RFC 4861)",
        EtherType.IPV6,
        Protocol.ICMPV6,
        types=frozenset({130, 131, 132, 133, 134, 135, 136, 137, 143}),
    ),
    Watch("MLD behind its Router Alert option (RFC 2711)", EtherType.IPV6, 0),
)

_TAG_TYPES: Final = frozenset(kind.to_bytes(2, "big") for kind in TAG_PROTOCOLS)
_ROWS: Final = {(row.ethertype.to_bytes(2, "big"), row.protocol): row for row in WATCHED}


def is_watched(frame: bytes) -> bool:
    """Whether a row of the table speaks of a frame with at most one tag. Never raises."""
    packet = 18 if frame[12:14] in _TAG_TYPES else 14
    ethertype = frame[packet - 2 : packet]
    if ethertype == b"\x08\x00" and len(frame) > packet + 9:
        protocol, payload = frame[packet + 9], packet + (frame[packet] & 15) * 4
    elif ethertype == b"\x86\xdd" and len(frame) > packet + 6:
        protocol, payload = frame[packet + 6], packet + _IPV6_HEADER_BYTES
    else:
        return False
    row = _ROWS.get((ethertype, protocol))
    if row is None:
        return False
    ends = frame[payload : payload + 4]
    if len(ends) < 4 or (row.ports is None and row.types is None):
        return True
    if row.ports is not None:
        return (
            int.from_bytes(ends[:2], "big") in row.ports
            or int.from_bytes(ends[2:], "big") in row.ports
        )
    return row.types is not None and ends[0] in row.types


def type_bits(types: frozenset[int]) -> int:
    """ICMPv6 types as bits, bit n for type 128 + n."""
    return sum(1 << (kind - _FIRST_TYPE) for kind in types if 0 <= kind - _FIRST_TYPE < _TYPES)
