"""Scapy as an independent judge: it builds and we parse; we emit and it parses."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6NDOptUnknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    in6_getnsma,
    in6_getnsmac,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from linkspan.types import format_mac, parse_mac
from linkspan.wire import arp, ethernet, icmp, ipv4, ipv6, neighbour_discovery, probe, tcp, udp
from linkspan.wire.checksum import pseudo_header_v6
from linkspan.wire.formats import BadFormat

MAC_A, MAC_B = "52:54:00:00:00:0a", "52:54:00:00:00:0b"
A, B = parse_mac(MAC_A), parse_mac(MAC_B)
# Without both addresses scapy would ask the machine's own network for them.
ETHER = Ether(dst=MAC_B, src=MAC_A)
u8, u16, u32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
v4 = st.binary(min_size=4, max_size=4)
v6 = st.binary(min_size=16, max_size=16)


def text(address: bytes) -> str:
    return str(ipaddress.ip_address(address))


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


@given(u16, u16)
def test_double_tagged_ethernet(outer: int, inner: int) -> None:
    scapy = (
        Ether(dst=MAC_B, src=MAC_A)
        / Dot1AD(vlan=outer & 0xFFF, prio=outer >> 13, dei=outer >> 12 & 1)
        / Dot1Q(vlan=inner & 0xFFF, prio=inner >> 13, dei=inner >> 12 & 1, type=0x0806)
    )
    ours = ethernet.Ethernet(
        B, A, 0x0806, (ethernet.Tag(0x88A8, outer), ethernet.Tag(0x8100, inner))
    )
    assert ethernet.parse(bytes(scapy)) == ours
    assert ethernet.emit(ours) == bytes(scapy)
    assert (ours.tags[0].vlan, ours.tags[0].priority) == (outer & 0xFFF, outer >> 13)


@given(v4, v4, st.sampled_from([1, 2]))
def test_arp(sender: bytes, target: bytes, operation: int) -> None:
    scapy = ARP(op=operation, hwsrc=MAC_A, psrc=text(sender), hwdst=MAC_B, pdst=text(target))
    ours = arp.Arp(arp.Operation(operation), A, sender, B, target)
    assert arp.parse(bytes(scapy)) == ours
    assert arp.emit(ours) == bytes(scapy)


@settings(deadline=None)
@given(v4, v4, u8, u16, u8, st.booleans(), st.binary(max_size=30))
def test_ipv4(
    source: bytes, destination: bytes, ttl: int, ident: int, tos: int, opts: bool, payload: bytes
) -> None:
    scapy = IP(
        src=text(source),
        dst=text(destination),
        ttl=ttl,
        id=ident,
        tos=tos,
        flags="MF",
        frag=5,
        proto=253,
        options=[IPOption(b"\x94\x04\x00\x00")] if opts else [],
    ) / Raw(payload)
    ours = ipv4.Ipv4(
        source,
        destination,
        253,
        len(payload),
        ttl,
        ident,
        ipv4.MORE_FRAGMENTS | 5,
        tos,
        b"\x94\x04\x00\x00" if opts else b"",
    )
    assert ipv4.parse(bytes(scapy)) == ours
    assert ours.is_fragment
    assert ipv4.emit(ours) + payload == bytes(scapy)
    assert ipv4.has_intact_header(bytes(scapy))


@given(v6, v6, u8, u8, st.integers(0, 0xFFFFF), st.binary(max_size=30))
def test_ipv6(
    source: bytes, destination: bytes, hops: int, traffic_class: int, flow: int, payload: bytes
) -> None:
    scapy = IPv6(
        src=text(source), dst=text(destination), hlim=hops, tc=traffic_class, fl=flow, nh=253
    ) / Raw(payload)
    ours = ipv6.Ipv6(source, destination, 253, len(payload), hops, traffic_class, flow)
    assert ipv6.parse(bytes(scapy)) == ours
    assert ipv6.emit(ours) + payload == bytes(scapy)


def test_the_upper_layer_is_found_behind_every_kind_of_extension_header() -> None:
    chain = (
        IPv6(src="fd00::1", dst="fd00::2")
        / IPv6ExtHdrHopByHop()
        / IPv6ExtHdrDestOpt()
        / IPv6ExtHdrRouting(addresses=["fd00::3"])
        / AH(nh=44, spi=1, seq=1, icv=b"\0" * 12)
        / IPv6ExtHdrFragment(offset=0, m=1)
    )
    found = ipv6.find_upper_layer(bytes(chain / UDP(sport=1, dport=2) / b"x"))
    assert found == ipv6.UpperLayer(17, len(chain), is_fragment=True, has_header=True)


def test_a_later_fragment_has_no_upper_header() -> None:
    packet = (
        IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrFragment(offset=9, nh=60) / Raw(b"\0" * 8)
    )
    found = ipv6.find_upper_layer(bytes(packet))
    assert found == ipv6.UpperLayer(60, 48, is_fragment=True, has_header=False)


@given(v6)
def test_solicited_node_groups(address: bytes) -> None:
    group = ipv6.solicited_node(address)
    assert group == in6_getnsma(address)
    assert format_mac(ipv6.group_mac(group)) == in6_getnsmac(group)


@given(u16, u16, u16, st.binary(max_size=30))
def test_udp(source: int, destination: int, checksum: int, payload: bytes) -> None:
    scapy = UDP(sport=source, dport=destination, chksum=checksum, len=8 + len(payload)) / payload
    ours = udp.Udp(source, destination, len(payload), checksum)
    assert udp.parse(bytes(scapy)) == ours
    assert udp.emit(ours) + payload == bytes(scapy)


@given(u32, u32, st.integers(0, 0x1FF), u16, u16, st.booleans())
def test_tcp(seq: int, ack: int, flags: int, window: int, checksum: int, opts: bool) -> None:
    scapy = TCP(
        sport=7,
        dport=8,
        seq=seq,
        ack=ack,
        flags=flags,
        window=window,
        chksum=checksum,
        urgptr=9,
        options=[("MSS", 1460)] if opts else [],
    )
    options = b"\x02\x04\x05\xb4" if opts else b""
    ours = tcp.Tcp(7, 8, seq, ack, tcp.TcpFlag(flags), window, checksum, 9, options)
    assert tcp.parse(bytes(scapy)) == ours
    assert tcp.emit(ours) == bytes(scapy)


@given(u16, u16, st.binary(max_size=41), st.sampled_from([0, 8]))
def test_icmp_echo(identifier: int, sequence: int, data: bytes, kind: int) -> None:
    scapy = ICMP(type=kind, id=identifier, seq=sequence) / data
    ours = icmp.Echo(icmp.EchoType(kind), identifier, sequence, data)
    assert icmp.parse(bytes(scapy)) == ours
    assert icmp.emit(ours) == bytes(scapy)
    assert ours.type.is_reply == (kind == 0)


@settings(deadline=None)
@given(v6, v6, u16, st.binary(max_size=41))
def test_icmpv6_echo(source: bytes, destination: bytes, sequence: int, data: bytes) -> None:
    scapy = IPv6(src=text(source), dst=text(destination)) / ICMPv6EchoRequest(
        id=77, seq=sequence, data=data
    )
    ours = icmp.Echo(icmp.EchoType.REQUEST_V6, 77, sequence, data)
    length = icmp.HEADER_BYTES + len(data)
    pseudo = pseudo_header_v6(source, destination, ipv4.Protocol.ICMPV6, length)
    assert icmp.emit(ours, pseudo) == bytes(scapy)[ipv6.HEADER_BYTES :]
    assert icmp.parse(bytes(scapy)[ipv6.HEADER_BYTES :]) == ours


def test_damaged_or_foreign_answers_are_refused() -> None:
    answer = bytes(
        Ether(dst=MAC_A, src=MAC_B)
        / IPv6(src="fd00::2", dst="fd00::1", hlim=255)
        / ICMPv6ND_NA(tgt="fd00::2")
        / ICMPv6NDOptDstLLAddr(lladdr=MAC_B)
    )
    assert probe.parse_resolved(answer) == probe.Resolved(packed("fd00::2"), B)
    with pytest.raises(BadFormat, match="checksum"):
        probe.parse_resolved(answer[:-1] + b"\x55")
    with pytest.raises(BadFormat, match="whole ICMPv6"):
        probe.parse_resolved(bytes(ETHER / IPv6(src="fd00::1") / UDP()))
    with pytest.raises(BadFormat, match="another"):
        probe.parse_resolved(bytes(ETHER / ARP(op=1, hwsrc=MAC_A, psrc="1.1.1.1")))


def test_ipv4_resolution_frames() -> None:
    mine, other = packed("192.168.57.1"), packed("192.168.57.2")
    request = Ether(dst="ff:ff:ff:ff:ff:ff", src=MAC_A) / ARP(
        op=1, hwsrc=MAC_A, psrc=text(mine), hwdst="00:00:00:00:00:00", pdst=text(other)
    )
    assert probe.resolve_request(A, mine, other) == bytes(request)
    reply = Ether(dst=MAC_A, src=MAC_B) / ARP(
        op=2, hwsrc=MAC_B, psrc=text(other), hwdst=MAC_A, pdst=text(mine)
    )
    assert probe.parse_resolved(bytes(reply) + bytes(18)) == probe.Resolved(other, B)


@settings(deadline=None)
@given(v6, v6.filter(lambda address: address[0] != 0xFF))
def test_ipv6_resolution_frames(mine: bytes, other: bytes) -> None:
    group = in6_getnsma(other)
    request = (
        Ether(dst=in6_getnsmac(group), src=MAC_A)
        / IPv6(src=text(mine), dst=text(group), hlim=255)
        / ICMPv6ND_NS(tgt=text(other))
        / ICMPv6NDOptSrcLLAddr(lladdr=MAC_A)
    )
    assert probe.resolve_request(A, mine, other) == bytes(request)
    reply = (
        Ether(dst=MAC_A, src=MAC_B)
        / IPv6(src=text(other), dst=text(mine), hlim=255)
        / ICMPv6ND_NA(tgt=text(other), R=0, S=1, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=MAC_B)
    )
    assert probe.parse_resolved(bytes(reply)) == probe.Resolved(other, B)


def test_unknown_neighbour_options_are_skipped() -> None:
    message = (
        ICMPv6ND_NS(tgt="fd00::2")
        / ICMPv6NDOptUnknown(type=14, data=b"\0" * 14)
        / ICMPv6NDOptSrcLLAddr(lladdr=MAC_A)
    )
    assert neighbour_discovery.parse(bytes(message)) == neighbour_discovery.Solicitation(
        packed("fd00::2"), A
    )
