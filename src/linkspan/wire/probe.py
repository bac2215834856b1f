"""Whole frames of the question where a neighbour is, and of its answer.

`resolve_request` asks for a neighbour's MAC, by ARP or neighbour discovery; `parse_resolved` reads
what comes back. Unlike the codecs, it does judge checksums: the answer to "is it reachable" must
not rest on a damaged frame. Addresses are 4 or 16 bytes and choose the version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from linkspan.types import BROADCAST, NO_MAC, Mac
from linkspan.wire import arp, checksum, ethernet, ipv6, neighbour_discovery
from linkspan.wire.arp import Arp, Operation
from linkspan.wire.ethernet import Ethernet, EtherType, Tag
from linkspan.wire.formats import BadFormat, Octets
from linkspan.wire.ipv4 import Protocol
from linkspan.wire.ipv6 import Ipv6
from linkspan.wire.neighbour_discovery import Advertisement, Solicitation

_V4_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Resolved:
    """A neighbour said where it is."""

    address: bytes
    mac: Mac


def resolve_request(
    source_mac: Mac, source: bytes, target: bytes, tags: tuple[Tag, ...] = ()
) -> bytes:
    """The frame that asks for the MAC of `target`: an ARP request or a neighbour solicitation."""
    if len(target) == _V4_BYTES:
        header = Ethernet(BROADCAST, source_mac, EtherType.ARP, tags)
        message = Arp(Operation.REQUEST, source_mac, source, NO_MAC, target)
        return ethernet.emit(header) + arp.emit(message)
    group = ipv6.solicited_node(target)
    solicitation = Solicitation(target, source_mac)
    header = Ethernet(ipv6.group_mac(group), source_mac, EtherType.IPV6, tags)
    return ethernet.emit(header) + _neighbour_packet(source, group, solicitation)


def parse_resolved(frame: Octets) -> Resolved:
    """Read an ARP reply or a neighbour advertisement. Raises BadFormat for any other frame."""
    view = memoryview(frame)
    ether = ethernet.parse(view)
    payload = view[ether.payload_offset :]
    if ether.ethertype == EtherType.ARP:
        message = arp.parse(payload)
        if message.operation is Operation.REPLY:
            return Resolved(message.sender_address, message.sender_mac)
    elif ether.ethertype == EtherType.IPV6:
        _source, _destination, hop_limit, body = _icmp_v6(payload)
        neighbour = neighbour_discovery.parse(body)
        if (
            hop_limit == neighbour_discovery.HOP_LIMIT
            and isinstance(neighbour, Advertisement)
            and neighbour.target_mac is not None
        ):
            return Resolved(neighbour.target, neighbour.target_mac)
    raise BadFormat("frame: an ARP reply or neighbour advertisement expected, another found")


def _neighbour_packet(source: bytes, destination: bytes, message: Solicitation) -> bytes:
    length = neighbour_discovery.length(message)
    header = Ipv6(
        source, destination, Protocol.ICMPV6, length, hop_limit=neighbour_discovery.HOP_LIMIT
    )
    pseudo = checksum.pseudo_header_v6(source, destination, Protocol.ICMPV6, length)
    return ipv6.emit(header) + neighbour_discovery.emit(message, pseudo)


def _icmp_v6(packet: memoryview) -> tuple[bytes, bytes, int, memoryview]:
    """Source, destination, hop limit and message of a whole ICMPv6 packet with its sum intact."""
    header = ipv6.parse(packet)
    upper = ipv6.find_upper_layer(packet)
    if upper.protocol != Protocol.ICMPV6 or upper.is_fragment:
        raise BadFormat(f"IPv6 packet: whole ICMPv6 expected, {upper.protocol} found")
    body = packet[upper.offset : ipv6.HEADER_BYTES + header.payload_length]
    pseudo = checksum.pseudo_header_v6(
        header.source, header.destination, Protocol.ICMPV6, len(body)
    )
    if not checksum.is_intact(body, pseudo):
        raise BadFormat("ICMPv6 message: the checksum is wrong")
    return header.source, header.destination, header.hop_limit, body
