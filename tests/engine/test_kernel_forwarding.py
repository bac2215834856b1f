"""What the in-kernel cache forwards by itself, and what ends that.

The process is one that the test moves (`kernel_cache_rig`), the kernel's side is real.
"""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.kernel_cache_rig import (
    LLC,
    A,
    B,
    C,
    number_of,
    numbered,
    port_number,
    rig,
)
from tests.engine.networks import configure, needs_cache
from tests.engine.stations import frame_of, station

from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.port import PortState
from linkspan.bridge.reasons import Reason
from linkspan.engine.netlink import set_link
from linkspan.engine.user import kernel_cache
from linkspan.engine.user.devices import open_packet_socket
from linkspan.engine.user.ports import PacketPort, put_tag_back
from linkspan.engine.user.upcall import take_tag_off
from linkspan.sandbox.namespaces import inside
from linkspan.types import Mac


@given(
    number=st.integers(0, 1023),
    flags=st.sampled_from([0, 1, 2, 3]),
    gso=st.sampled_from([0, 1, 4, 5, 0x81]),
    rest=st.tuples(*[st.integers(0, 65000)] * 4),
    frame=st.binary(min_size=14, max_size=200),
)
def test_upcall_tag_goes_on_and_off(
    number: int, flags: int, gso: int, rest: tuple[int, int, int, int], frame: bytes
) -> None:
    header = struct.pack("=BBHHHH", flags, gso, *rest) if flags or gso else bytes(10)
    tagged = put_tag_back(header + frame, 0x8100, number + 1)
    assert tagged[22:26] == struct.pack("!HH", 0x8100, number + 1)
    assert take_tag_off(tagged) == (number, header + frame)


@needs_cache
def test_known_flow_needs_no_process_and_a_new_one_waits_for_it() -> None:
    with rig() as made:
        made.introduce(2, B)
        made.introduce(3, C)
        made.establish(1, numbered(B, A, 0))
        known = [numbered(B, A, number) for number in range(1, 101)]
        new = numbered(C, A, 0)
        made.peers[1].send(*known, new)
        assert made.arrivals(2, 100) == known
        made.serve()
        assert made.arrivals(3, 1) == [new]


@needs_cache
@pytest.mark.parametrize("kind", [LLC, 0x0001, 0x0600, 0x0800, 0x86DD, 0x88B5, 0xFFFF])
def test_any_type_is_forwarded_from_the_map(kind: int) -> None:
    with rig() as made:
        made.introduce(2, B)
        frame = frame_of(B, A, b"\x45" + b"\x3b" * 60, kind)
        made.establish(1, frame)
        made.peers[1].send(frame)
        assert made.arrivals(2, 1) == [frame]


@needs_cache
def test_novell_raw_frames_are_forwarded_from_the_map() -> None:
    with rig() as made:
        made.introduce(2, B)
        frame = frame_of(B, A, b"\xff\xff" + bytes(36), LLC)
        made.establish(1, frame)
        made.peers[1].send(frame)
        assert made.arrivals(2, 1) == [frame]


@needs_cache
@pytest.mark.parametrize(
    "tag", ["81000005", "81006123", "88a80005", "88a800058100000a", "81000000"]
)
def test_tags_are_kept_in_the_kernel(tag: str) -> None:
    with rig(2) as made:
        made.introduce(2, B)
        with inside(made.far):
            port = PacketPort(port_number(9), "p2", "veth", open_packet_socket("p2"))
        frame = B + A + bytes.fromhex(tag) + b"\x88\xb5" + bytes(46)
        other = B + A + b"\x88\xb5" + bytes(46)
        made.establish(1, frame, other)
        while True:
            try:
                port.read()
            except BlockingIOError:
                break
        made.peers[1].send(frame, other)
        assert [port.read()[10:], port.read()[10:]] == [frame, other]
        port.close()


@needs_cache
def test_frame_over_the_egress_mtu_ends_with_its_reason() -> None:
    with rig(2, p2={"mtu": 1000}) as made:
        made.introduce(2, B)
        made.establish(1, numbered(B, A, 0))
        long = frame_of(B, A, bytes(1005))
        longest = frame_of(B, A, bytes(1004))
        made.peers[1].send(long, longest, numbered(B, A, 1))
        made.serve()
        assert made.arrivals(2, 2) == [longest, numbered(B, A, 1)]
        assert made.counters()[2][2] == {Reason.PKT_TOO_BIG.name: 1}


@needs_cache
def test_verdict_that_ends_a_frame_is_kept_and_counted() -> None:
    with rig(2, p1={"isolated": True}, p2={"isolated": True}) as made:
        made.introduce(2, B)
        made.establish(1, numbered(B, A, 0))
        before = made.counters()[1]
        made.peers[1].send(*[numbered(B, A, 1)] * 10)
        after = made.counters()[1]
        assert after[0] - before[0] == 10
        assert after[2]["ISOLATED"] - before[2]["ISOLATED"] == 10
        assert not any(made.drain().values())


@needs_cache
def test_change_ends_every_result_at_once() -> None:
    with rig() as made:
        made.introduce(2, B)
        made.establish(1, numbered(B, A, 0))
        made.bridge.add_entry(B, port_number(3), EntryKind.STICKY, time.monotonic())
        made.dataplane.publish(wait=True)
        made.peers[1].send(numbered(B, A, 1))
        assert not any(made.drain().values())
        made.serve()
        assert made.arrivals(3, 1) == [numbered(B, A, 1)]


@needs_cache
def test_full_port_starts_anew_and_others_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "FLOWS_PER_PORT", 8)
    with rig() as made:
        made.introduce(2, B)
        made.introduce(3, C)
        made.establish(3, numbered(B, C, 0))
        sources = [Mac(station(100 + number)) for number in range(30)]
        for source in sources:
            made.introduce(1, source)
        for source in sources[:8]:
            made.establish(1, numbered(B, source, 0))
        before = made.counters()
        sent = 0
        for source in sources:
            for _ in range(3):
                made.peers[1].send(numbered(B, source, sent))
                made.serve()
                sent += 1
                assert [number_of(one) for one in made.arrivals(2, 1)] == [sent - 1]
        # The port began anew once; what came in again since then is in the kernel.
        made.peers[1].send(*[numbered(B, sources[0], 0)] * 2)
        made.serve()
        made.peers[1].send(numbered(B, sources[20], 0))
        made.serve()
        made.arrivals(2, 3)
        made.peers[1].send(numbered(B, sources[0], 1))
        assert made.arrivals(2, 1) == [numbered(B, sources[0], 1)]
        made.peers[3].send(numbered(B, C, 1))
        assert made.arrivals(2, 1) == [numbered(B, C, 1)]
        after = made.counters()
        assert after[1][0] - before[1][0] == sent + 4
        assert after[2][1] - before[2][1] == sent + 5
        made.tick()
        made.tick()
        made.establish(1, numbered(B, sources[29], 0))


@needs_cache
def test_port_that_loses_its_carrier_is_disabled_and_forgets() -> None:
    with rig() as made:
        made.introduce(2, B)
        made.establish(1, numbered(B, A, 0))
        configure(made.far, set_link("p2", up=False))
        made.hear_of_links()
        assert made.bridge.ports[port_number(2)].state is PortState.DISABLED
        assert made.where(B) is None
        made.peers[1].send(numbered(B, A, 1))
        made.serve()
        assert made.peers[3].receive() == numbered(B, A, 1)  # flooded, as to anybody unknown
        configure(made.far, set_link("p2", up=True))
        made.hear_of_links()
        with pytest.raises(OSError, match="down"):  # what the socket has to say of the time before
            made.peers[2].waiting()
        made.peers[1].send(numbered(B, A, 2))
        made.serve()
        assert {number for number, frames in made.drain().items() if frames} == {2, 3}


@needs_cache
def test_flow_behind_a_port_that_loses_its_carrier_comes_up_again() -> None:
    with rig(2) as made:
        made.introduce(2, B)
        made.establish(1, numbered(B, A, 0))
        configure(made.far, set_link("p2", up=False))
        made.hear_of_links()
        before = made.upcalls()
        made.peers[1].send(numbered(B, A, 1))
        assert made.upcalls() == before + 1
        made.serve()
        assert made.counters()[1][2] == {Reason.NO_TX_TARGET.name: 1}
