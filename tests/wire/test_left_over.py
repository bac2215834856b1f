"""What a frame still needs that came without a virtio-net header: seen by the frame alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
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
from linkspan.wire.left_over import header_of
from linkspan.wire.segment import complete
from linkspan.wire.vnet import GsoType

MTU = 1450


def on_its_way(case: tuple[str, str, str], payload: bytes) -> bytes:
    """A frame as a kernel hands it over, without the header that says so."""
    link, network, kind = case
    packet = LINKS[link] / NETWORKS[network] / TRANSPORTS[kind] / Raw(payload)
    return as_from_kernel(packet, GsoType.NONE, 0)[vnet.HEADER_BYTES :]


@given(st.sampled_from(CASES), st.binary(max_size=200))
def test_a_begun_checksum_is_seen_and_a_finished_one_left_alone(
    case: tuple[str, str, str], payload: bytes
) -> None:
    frame = on_its_way(case, payload)
    (finished,) = complete(header_of(frame, MTU) + frame)
    assert_scapy_agrees(finished)
    assert complete(header_of(finished, MTU) + finished) == [finished]


@pytest.mark.parametrize("case", [case for case in CASES if case[2] == "tcp"])
def test_long_tcp_is_cut_to_the_mtu(case: tuple[str, str, str]) -> None:
    payload = payload_of(20_000)
    frame = on_its_way(case, payload)
    header = header_of(frame, MTU)
    assert vnet.parse(header).gso_type is gso_type_of(*case[1:])
    front = len(bytes(LINKS[case[0]]))
    segments = complete(header + frame)
    assert [len(segment) for segment in segments[:-1]] == [front + MTU] * (len(segments) - 1)
    pieces = [bytes(assert_scapy_agrees(segment)[TCP].payload) for segment in segments]
    assert b"".join(pieces) == payload
    assert vnet.parse(header_of(frame, 0)).gso_type is GsoType.NONE


def test_a_long_datagram_is_not_cut_since_nobody_knows_where() -> None:
    frame = on_its_way(("untagged", "v4", "udp"), payload_of(3000))
    (finished,) = complete(header_of(frame, MTU) + frame)
    assert bytes(assert_scapy_agrees(finished)[UDP].payload) == payload_of(3000)


@given(st.sampled_from(CASES), st.integers(0, 120))
def test_what_is_cut_short_has_nothing_left_to_do(case: tuple[str, str, str], size: int) -> None:
    frame = on_its_way(case, payload_of(100))
    assert header_of(frame[: min(size, len(frame) - 1)], MTU) == vnet.PLAIN


@given(st.binary(max_size=80))
def test_any_bytes_have_a_header_that_completes(data: bytes) -> None:
    frame = bytes(Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x0800)) + data
    assert complete(header_of(frame, MTU) + frame)
