"""Segmentation, judged by scapy: every checksum is computed anew and every payload is whole."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, defragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw
from tests.wire.kernel_frames import (
    CASES,
    LINKS,
    NETWORKS,
    TRANSPORTS,
    as_from_kernel,
    assert_scapy_agrees,
    gso_type_of,
    payload_of,
)

from linkspan.wire import vnet
from linkspan.wire.formats import BadFormat, CutShort
from linkspan.wire.segment import complete
from linkspan.wire.vnet import GsoType, VnetFlag, VnetHeader


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001, 65000])
@pytest.mark.parametrize(("link", "network", "kind"), CASES)
def test_segments_are_what_a_sender_without_offloads_would_send(
    link: str, network: str, kind: str, length: int
) -> None:
    payload = payload_of(length)
    large = LINKS[link] / NETWORKS[network] / TRANSPORTS[kind] / Raw(payload)
    frame = as_from_kernel(large, gso_type_of(network, kind), 1000)
    segments = [assert_scapy_agrees(segment) for segment in complete(frame)]

    layer = TCP if kind == "tcp" else UDP
    pieces = [bytes(segment[layer].payload) for segment in segments]
    assert b"".join(pieces) == payload
    assert len(pieces) == max(1, -(-length // 1000))
    assert all(len(piece) == 1000 for piece in pieces[:-1])
    front = len(bytes(LINKS[link]))
    assert {bytes(segment)[:front] for segment in segments} == {bytes(large)[:front]}
    if network.startswith("v4"):
        first = NETWORKS[network].id
        assert [segment[IP].id for segment in segments] == [
            (first + index) & 0xFFFF for index in range(len(segments))
        ]
        assert all(segment[IP].options == Ether(bytes(large))[IP].options for segment in segments)
    else:
        assert all(segment[IPv6].fl == NETWORKS[network].fl for segment in segments)
    if kind == "tcp":
        for left, right in pairwise(segments):
            assert right[TCP].seq == (left[TCP].seq + 1000) & 0xFFFFFFFF
            assert not set("FP") & set(str(left[TCP].flags))
            assert "C" not in str(right[TCP].flags)
        assert "C" in str(segments[0][TCP].flags)
        assert {"F", "P"} <= set(str(segments[-1][TCP].flags))
        assert all({"A", "E"} <= set(str(segment[TCP].flags)) for segment in segments)
        assert {bytes(segment[TCP])[20:32] for segment in segments} == {bytes(large[TCP])[20:32]}


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(CASES), st.integers(1, 1600), st.binary(max_size=1500), st.integers(0, 5))
def test_any_size_and_content(
    case: tuple[str, str, str], gso_size: int, unit: bytes, repeats: int
) -> None:
    link, network, kind = case
    payload = unit * repeats
    gso_size = max(gso_size, len(payload) // 40)
    large = LINKS[link] / NETWORKS[network] / TRANSPORTS[kind] / Raw(payload)
    frame = as_from_kernel(large, gso_type_of(network, kind), gso_size)
    layer = TCP if kind == "tcp" else UDP
    pieces = [
        bytes(assert_scapy_agrees(segment)[layer].payload)
        for segment in complete(memoryview(frame))
    ]
    assert b"".join(pieces) == payload


@settings(deadline=None)
@given(st.sampled_from(CASES), st.binary(max_size=200))
def test_a_begun_checksum_is_finished(case: tuple[str, str, str], payload: bytes) -> None:
    link, network, kind = case
    whole = LINKS[link] / NETWORKS[network] / TRANSPORTS[kind] / Raw(payload)
    (frame,) = complete(as_from_kernel(whole, GsoType.NONE, 0))
    layer = TCP if kind == "tcp" else UDP
    # Zero and 0xffff are the same sum; we always write the second.
    wanted = Ether(bytes(whole))[layer].chksum or 0xFFFF
    assert Ether(frame)[layer].chksum == wanted
    whole[layer].chksum = wanted
    assert frame == bytes(whole)


@pytest.mark.parametrize("network", ["v4", "v6"])
@pytest.mark.parametrize("gso_type", [GsoType.NONE, GsoType.UDP_L4])
def test_a_udp_checksum_of_zero_is_sent_as_all_ones(network: str, gso_type: GsoType) -> None:
    plain = LINKS["untagged"] / NETWORKS[network] / UDP(sport=1, dport=2) / Raw(bytes(2))
    # The two bytes of payload that bring the sum to zero are the checksum of zeros in their place.
    plain[Raw].load = struct.pack("!H", Ether(bytes(plain))[UDP].chksum)
    (frame,) = complete(as_from_kernel(plain, gso_type, 100 if gso_type else 0))
    assert Ether(frame)[UDP].chksum == 0xFFFF


@pytest.mark.parametrize(
    "packet",
    [
        LINKS["untagged"] / ARP(hwsrc="52:54:00:00:00:0a", psrc="192.0.2.1"),
        LINKS["tagged"] / NETWORKS["v6"] / Raw(b"x"),
    ],
)
@pytest.mark.parametrize("flags", [VnetFlag.NOTHING, VnetFlag.DATA_VALID])
def test_a_complete_frame_passes_unchanged(packet: Packet, flags: VnetFlag) -> None:
    frame = bytes(packet)
    for buffer in (bytes, bytearray, memoryview):
        assert complete(buffer(vnet.emit(VnetHeader(flags)) + frame)) == [frame]


@pytest.mark.parametrize("link", LINKS)
def test_old_udp_offload_makes_fragments_that_reassemble(link: str) -> None:
    payload = payload_of(5003)
    network = IP(src="192.0.2.1", dst="192.0.2.2", id=77)
    large = LINKS[link] / network / UDP(sport=1, dport=2) / Raw(payload)
    fragments = complete(as_from_kernel(large, GsoType.UDP, 1480))
    packets = [assert_ip_header_agrees(fragment) for fragment in fragments]
    assert [(packet.frag * 8, str(packet.flags)) for packet in packets] == [
        (0, "MF"),
        (1480, "MF"),
        (2960, "MF"),
        (4440, ""),
    ]
    (whole,) = defragment(packets)
    assert bytes(IP(bytes(whole))[UDP].payload) == payload
    assert IP(bytes(whole))[UDP].chksum == Ether(bytes(large))[UDP].chksum


def assert_ip_header_agrees(frame: bytes) -> Packet:
    packet, fresh = Ether(frame)[IP], Ether(frame)[IP]
    del fresh.chksum, fresh.len
    assert bytes(fresh) == bytes(packet)
    return packet


def test_ecn_beside_the_type_changes_nothing() -> None:
    large = LINKS["untagged"] / NETWORKS["v4"] / TRANSPORTS["tcp"] / Raw(payload_of(3000))
    frame = as_from_kernel(large, GsoType.TCPV4, 1000)
    with_ecn = vnet.emit(replace(vnet.parse(frame), has_ecn=True)) + frame[10:]
    assert complete(with_ecn) == complete(frame)


def large_tcp() -> bytes:
    packet = LINKS["tagged"] / NETWORKS["v4"] / TRANSPORTS["tcp"] / Raw(payload_of(3000))
    return as_from_kernel(packet, GsoType.TCPV4, 1000)


def large_udp(network: str = "v4") -> bytes:
    packet = LINKS["untagged"] / NETWORKS[network] / UDP() / Raw(payload_of(3000))
    return as_from_kernel(packet, GsoType.UDP_L4, 1000)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"gso_size": 0}, "gso_size 0"),
        ({"flags": VnetFlag.NOTHING}, "without NEEDS_CSUM"),
        ({"gso_type": GsoType.TCPV6}, "TCPV6 on IPv4"),
        ({"gso_type": GsoType.UDP_L4}, "UDP_L4 on IPv4 protocol 6"),
        ({"hdr_len": 4000}, "hdr_len 4000"),
        ({"csum_start": 4000}, "checksum of byte 4000"),
        ({"csum_start": 0xFFFF, "csum_offset": 0xFFFF}, "checksum of byte"),
        ({"csum_start": 13}, "checksum of byte 13"),
        ({"csum_start": 34}, "38\\+16 expected, 34\\+16 found"),
        ({"csum_offset": 6}, "38\\+16 expected, 38\\+6 found"),
        ({"csum_offset": 4000}, "checksum of byte"),
    ],
)
def test_a_header_that_contradicts_the_frame_is_refused(
    change: dict[str, int], reason: str
) -> None:
    frame = large_tcp()
    header = replace(vnet.parse(frame), **change)  # type: ignore[arg-type]
    with pytest.raises(BadFormat, match=reason):
        complete(vnet.emit(header) + frame[10:])


def overwritten(frame: bytes, offset: int, new: bytes) -> bytes:
    return frame[: 10 + offset] + new + frame[10 + offset + len(new) :]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (large_tcp()[:-1], "expected"),
        (large_tcp() + b"\0", "IP says"),
        (overwritten(large_tcp(), 38 + 12, b"\x40"), "20 or more expected, 16"),
        (overwritten(large_tcp(), 18, b"\x4f"), "expected"),
        (overwritten(large_tcp(), 18, b"\x44"), "16 bytes of header"),
        (overwritten(large_tcp(), 18, b"\x65"), "version 4"),
        (overwritten(large_tcp(), 18 + 6, b"\x20\x00"), "a fragment found"),
        (overwritten(large_tcp(), 16, b"\x88\x47"), "0x8847 found"),
        (overwritten(large_udp(), 34 + 4, b"\x00\x08"), "UDP says 8 bytes"),
        (overwritten(large_udp(), 34 + 4, b"\xff\xff"), "65535 bytes expected"),
        (overwritten(large_udp("v6"), 14 + 4, b"\x00\x00"), "checksum at|IP says"),
        (overwritten(large_udp("v6"), 14 + 6, b"\x2c"), "fragment|ends behind|protocol"),
        (b"\x01\x83" + large_udp("v6")[2:], "UDP on IPv6"),
        (b"\x01\x03" + large_udp()[2:4] + b"\x01\x00" + large_udp()[6:8] + b"\x06\x01", "expected"),
        (b"\x01\x02" + large_udp()[2:], "not known"),
        (vnet.PLAIN + bytes(13), "14 bytes expected"),
        (bytes(9), "10 bytes expected"),
    ],
)
def test_a_frame_that_lies_about_itself_is_refused(frame: bytes, reason: str) -> None:
    with pytest.raises(BadFormat, match=reason):
        complete(frame)


def test_fragments_need_a_size_in_units_of_eight() -> None:
    packet = (
        LINKS["untagged"] / IP(src="192.0.2.1", dst="192.0.2.2") / UDP() / Raw(payload_of(3000))
    )
    with pytest.raises(BadFormat, match="multiple of 8"):
        complete(as_from_kernel(packet, GsoType.UDP, 1001))


def test_every_cut_of_a_frame_is_refused() -> None:
    for frame in (large_tcp(), large_udp(), large_udp("v6")):
        for length in [*range(120), len(frame) - 1]:
            with pytest.raises(BadFormat):
                complete(frame[:length])
    with pytest.raises(CutShort):
        complete(large_tcp()[:20])


@settings(max_examples=300)
@given(
    st.sampled_from([large_tcp(), large_udp(), large_udp("v6")]),
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_frame_is_cut_or_refused(frame: bytes, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(frame)
    for position, byte in damage:
        damaged[position] = byte
    with suppress(BadFormat):
        assert complete(damaged)


def test_other_protocols_with_a_begun_checksum_are_finished_too() -> None:
    packet = LINKS["untagged"] / IP(src="192.0.2.1", dst="192.0.2.2") / ICMP() / Raw(b"hello")
    wanted = bytes(packet)
    header = VnetHeader(VnetFlag.NEEDS_CSUM, csum_start=34, csum_offset=2)
    assert complete(vnet.emit(header) + overwritten(wanted, 26, b"\0\0")) == [wanted]
