"""Every codec: what is emitted is parsed back, and no bytes raise anything but BadFormat."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.types import Mac
from linkspan.wire import (
    arp,
    ethernet,
    icmp,
    ipv4,
    ipv6,
    neighbour_discovery,
    probe,
    segment,
    tcp,
    udp,
    vnet,
)
from linkspan.wire.formats import BadFormat, CutShort

u8, u16, u32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
macs = st.binary(min_size=6, max_size=6).map(Mac)
v4, v6 = st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)
single_v6 = v6.filter(lambda address: address[0] != 0xFF)
payloads = st.binary(max_size=64)
options = st.integers(0, 10).flatmap(
    lambda words: st.binary(min_size=4 * words, max_size=4 * words)
)
tags = st.lists(
    st.builds(ethernet.Tag, st.sampled_from([0x8100, 0x88A8]), u16), max_size=ethernet.MAX_TAGS
).map(tuple)

HEADERS: list[tuple[ModuleType, st.SearchStrategy[Any]]] = [
    (
        ethernet,
        st.builds(
            ethernet.Ethernet,
            macs,
            macs,
            u16.filter(lambda number: number not in ethernet.TAG_PROTOCOLS),
            tags,
        ),
    ),
    (ipv4, st.builds(ipv4.Ipv4, v4, v4, u8, st.just(64), u8, u16, u16, u8, options)),
    (ipv6, st.builds(ipv6.Ipv6, v6, v6, u8, st.just(64), u8, u8, st.integers(0, 0xFFFFF))),
    (udp, st.builds(udp.Udp, u16, u16, st.just(64), u16)),
    (
        tcp,
        st.builds(
            tcp.Tcp,
            *(u16, u16, u32, u32),
            st.integers(0, 0x1FF).map(tcp.TcpFlag),
            *(u16, u16, u16, options),
        ),
    ),
    (
        vnet,
        st.builds(
            vnet.VnetHeader,
            u8.map(vnet.VnetFlag),
            st.sampled_from(vnet.GsoType),
            *(u16, u16, u16, u16),
            st.booleans(),
        ),
    ),
]
MESSAGES: list[tuple[ModuleType, st.SearchStrategy[Any]]] = [
    (arp, st.builds(arp.Arp, st.sampled_from(arp.Operation), macs, v4, macs, v4)),
    (icmp, st.builds(icmp.Echo, st.sampled_from(icmp.EchoType), u16, u16, payloads)),
    (
        neighbour_discovery,
        st.builds(neighbour_discovery.Solicitation, single_v6, st.none() | macs)
        | st.builds(
            neighbour_discovery.Advertisement,
            *(single_v6, st.none() | macs, st.booleans(), st.booleans(), st.booleans()),
        ),
    ),
]


def name(row: Any) -> str:
    return str(getattr(row, "__name__", "values")).rpartition(".")[2]


@pytest.mark.parametrize(("codec", "values"), HEADERS, ids=name)
def test_a_header_is_parsed_back_and_says_where_its_payload_begins(
    codec: ModuleType, values: st.SearchStrategy[Any]
) -> None:
    @given(values)
    def check(value: Any) -> None:
        header = codec.emit(value)
        data = header + bytes(64)
        assert codec.parse(data) == value
        assert codec.parse(memoryview(data)) == value
        assert getattr(value, "payload_offset", vnet.HEADER_BYTES) == len(header)
        with pytest.raises(CutShort):
            codec.parse(header[:-1])

    check()


@pytest.mark.parametrize(("codec", "values"), MESSAGES, ids=name)
def test_a_message_is_parsed_back(codec: ModuleType, values: st.SearchStrategy[Any]) -> None:
    @given(values)
    def check(value: Any) -> None:
        assert codec.parse(codec.emit(value)) == value
        assert codec.parse(memoryview(codec.emit(value))) == value

    check()


READERS: list[Callable[[bytes], object]] = [
    *(codec.parse for codec, _ in HEADERS + MESSAGES),
    ipv6.find_upper_layer,
    segment.complete,
    probe.parse_resolved,
]
STARTS = [
    b"",
    b"\x45\x00\x00\x20",
    b"\x60\x00\x00\x00\x00\x20\x00",
    *(bytes((kind, 0)) for kind in (0, 8, 128, 129, 135, 136)),
    bytes(12) + b"\x81\x00" * 12,
    bytes(12) + b"\x08\x00\x45\x00\x00\x20",
    bytes(12) + b"\x86\xdd\x60\x00\x00\x00\x00\x20\x00",
    b"\x00\x01\x08\x00\x06\x04\x00",
]


@pytest.mark.parametrize("read", READERS, ids=lambda read: f"{name_of_module(read)}")
def test_random_bytes_are_read_or_refused(read: Callable[[bytes], object]) -> None:
    @given(st.sampled_from(STARTS), st.binary(max_size=120))
    def check(start: bytes, rest: bytes) -> None:
        # Any exception but BadFormat ends the test.
        with suppress(BadFormat):
            assert read(start + rest) is not None

    check()


def name_of_module(read: Callable[[bytes], object]) -> str:
    return f"{read.__module__.rpartition('.')[2]}.{read.__name__}"


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (ipv4.parse, b"\x65" + bytes(39)),
        (ipv4.parse, b"\x44\x00\x00\x14" + bytes(36)),
        (ipv4.parse, b"\x46\x00\x00\x14" + bytes(36)),
        (ipv4.parse, b"\x45\x00\x00\x29" + bytes(36)),
        (ipv6.parse, b"\x45" + bytes(39)),
        (ipv6.parse, b"\x60\x00\x00\x00\x00\x01" + bytes(34)),
        (udp.parse, bytes(4) + b"\x00\x07" + bytes(20)),
        (udp.parse, bytes(4) + b"\x00\x1d" + bytes(22)),
        (tcp.parse, bytes(12) + b"\x40" + bytes(20)),
        (tcp.parse, bytes(12) + b"\xf0" + bytes(20)),
        (vnet.parse, b"\x00\x02" + bytes(8)),
        (arp.parse, b"\x00\x06\x08\x00\x06\x04\x00\x01" + bytes(20)),
        (arp.parse, b"\x00\x01\x08\x00\x06\x04\x00\x03" + bytes(20)),
        (icmp.parse, b"\x08\x01" + bytes(6)),
        (neighbour_discovery.parse, b"\x87\x00" + bytes(22) + b"\x01\x00" + bytes(6)),
        (neighbour_discovery.parse, b"\x87\x00" + bytes(22) + b"\x01\x02" + bytes(6)),
        (neighbour_discovery.parse, b"\x87\x00" + bytes(6) + b"\xff" * 16),
        (ethernet.parse, bytes(12) + b"\x81\x00\x00\x01\x81\x00\x00"),
    ],
)
def test_lengths_and_kinds_that_lie_are_refused(
    read: Callable[[bytes], object], data: bytes
) -> None:
    with pytest.raises(BadFormat):
        read(data)


def test_tags_deeper_than_the_kernel_looks_are_payload() -> None:
    frame = bytes(12) + b"\x81\x00\x00\x05" * 1000
    header = ethernet.parse(frame)
    assert len(header.tags) == ethernet.MAX_TAGS
    assert header.ethertype == ethernet.EtherType.VLAN
    assert header.payload_offset == 14 + 4 * ethernet.MAX_TAGS
    assert header.tags[0].vlan == 5


def test_an_extension_header_chain_without_end_is_refused() -> None:
    packet = ipv6.emit(ipv6.Ipv6(bytes(16), bytes(16), 60, 8000)) + (b"\x3c" + bytes(7)) * 1000
    with pytest.raises(BadFormat, match="more than 8"):
        ipv6.find_upper_layer(packet)
