"""Whole frames of a reachability probe: who has this address, and does it answer an echo.

Ping in two steps, for either version of IP: `resolve_request` asks for a neighbour's MAC,
`echo_request` sends it an echo. `parse_resolved` and `parse_echo` read what comes back. Unlike the
codecs, the readers do judge checksums: the answer to "is it reachable" must not rest on a damaged
frame. Addresses are 4 or 16 bytes and choose the version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from linkspan.types import BROADCAST, NO_MAC, Mac
from linkspan.wire import arp, checksum, ethernet, icmp, ipv4, ipv6, neighbour_discovery
from linkspan.wire.arp import Arp, Operation
from linkspan.wire.ethernet import Ethernet, EtherType, Tag
from linkspan.wire.formats import BadFormat, Octets
from linkspan.wire.icmp import Echo, EchoType
from linkspan.wire.ipv4 import Ipv4, Protocol
from linkspan.wire.ipv6 import Ipv6
from linkspan.wire.neighbour_discovery import Advertisement, NeighbourMessage, Solicitation

_V4_BYTES: Final = 4
_ECHO_TYPES: Final = {
    EtherType.IPV4: (EchoType.REQUEST, EchoType.REPLY),
    EtherType.IPV6: (EchoType.REQUEST_V6, EchoType.REPLY_V6),
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A neighbour said where it is."""

    address: bytes
    mac: Mac


@dataclass(frozen=True, slots=True)
class ReceivedEcho:
    """An echo request or reply and whom it came from."""

    source_mac: Mac
    source: bytes
    destination: bytes
    echo: Echo


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


def resolve_reply(
    source_mac: Mac, source: bytes, asker_mac: Mac, asker: bytes, tags: tuple[Tag, ...] = ()
) -> bytes:
    """The frame that tells the asker that `source` is at `source_mac`."""
    if len(source) == _V4_BYTES:
        header = Ethernet(asker_mac, source_mac, EtherType.ARP, tags)
        message = Arp(Operation.REPLY, source_mac, source, asker_mac, asker)
        return ethernet.emit(header) + arp.emit(message)
    advertisement = Advertisement(source, source_mac, is_solicited=True, overrides=True)
    header = Ethernet(asker_mac, source_mac, EtherType.IPV6, tags)
    return ethernet.emit(header) + _neighbour_packet(source, asker, advertisement)


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


def echo_request(
    source_mac: Mac,
    destination_mac: Mac,
    source: bytes,
    destination: bytes,
    identifier: int,
    sequence: int,
    data: bytes = b"",
    tags: tuple[Tag, ...] = (),
) -> bytes:
    """The frame with an ICMP or ICMPv6 echo request."""
    ethertype = EtherType.IPV4 if len(destination) == _V4_BYTES else EtherType.IPV6
    echo = Echo(_ECHO_TYPES[ethertype][0], identifier, sequence, data)
    length = icmp.HEADER_BYTES + len(data)
    if ethertype is EtherType.IPV4:
        header = ipv4.emit(
            Ipv4(source, destination, Protocol.ICMP, length, fragment=ipv4.DONT_FRAGMENT)
        )
        message = icmp.emit(echo)
    else:
        header = ipv6.emit(Ipv6(source, destination, Protocol.ICMPV6, length))
        message = icmp.emit(
            echo, checksum.pseudo_header_v6(source, destination, Protocol.ICMPV6, length)
        )
    ether = ethernet.emit(Ethernet(destination_mac, source_mac, ethertype, tags))
    return ether + header + message


def parse_echo(frame: Octets) -> ReceivedEcho:
    """Read an echo request or reply of either version. Raises BadFormat for any other frame."""
    view = memoryview(frame)
    ether = ethernet.parse(view)
    packet = view[ether.payload_offset :]
    if ether.ethertype == EtherType.IPV4:
        header = ipv4.parse(packet)
        body = packet[header.payload_offset : header.payload_offset + header.payload_length]
        if header.protocol != Protocol.ICMP or header.is_fragment:
            raise BadFormat(f"IPv4 packet: whole ICMP expected, {header.protocol} found")
        if not ipv4.has_intact_header(packet) or not checksum.is_intact(body):
            raise BadFormat("ICMP echo: the checksum is wrong")
        source, destination, allowed = header.source, header.destination, EtherType.IPV4
    elif ether.ethertype == EtherType.IPV6:
        source, destination, _hop_limit, body = _icmp_v6(packet)
        allowed = EtherType.IPV6
    else:
        raise BadFormat(f"frame: IPv4 or IPv6 expected, {ether.ethertype:#06x} found")
    echo = icmp.parse(body)
    if echo.type not in _ECHO_TYPES[allowed]:
        raise BadFormat(f"ICMP echo: type {echo.type} does not belong to {allowed.name}")
    return ReceivedEcho(ether.source, source, destination, echo)


def _neighbour_packet(source: bytes, destination: bytes, message: NeighbourMessage) -> bytes:
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
