"""The VXLAN header, and what a port remembers of far hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from linkspan.wire.formats import BadFormat, CutShort
from linkspan.wire.vxlan import MOST_VNI, OVERHEAD_BYTES, Vxlan, emit, parse

VNIS = st.integers(0, MOST_VNI)


@given(VNIS)
def test_what_is_written_is_read(vni: int) -> None:
    assert parse(emit(Vxlan(vni))) == Vxlan(vni)


@given(VNIS)
def test_scapy_writes_and_reads_the_same(vni: int) -> None:
    theirs = bytes(VXLAN(vni=vni, flags="Instance") / Ether())
    assert theirs[:8] == emit(Vxlan(vni))
    assert VXLAN(emit(Vxlan(vni)) + bytes(14)).vni == vni


@given(st.binary(max_size=16))
def test_other_bytes_are_refused_or_read(data: bytes) -> None:
    if len(data) < 8:
        with pytest.raises(CutShort):
            parse(data)
    elif not data[0] & 8:
        with pytest.raises(BadFormat, match="flag I"):
            parse(data)
    else:
        assert parse(data).vni == int.from_bytes(data[4:7], "big")


def test_a_packet_on_the_underlay_is_fifty_or_seventy_bytes_longer() -> None:
    assert OVERHEAD_BYTES == {4: 50, 6: 70}
