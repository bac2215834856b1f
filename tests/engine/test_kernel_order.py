"""Order and fairness of frames that come up to the switch process.

The process is one that the test moves (`kernel_cache_rig`), the kernel's side is real.
"""

from __future__ import annotations

import os
import random
import socket
import struct

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw
from tests.engine.kernel_cache_rig import (
    A,
    B,
    C,
    number_of,
    numbered,
    packet,
    port_number,
    rig,
)
from tests.engine.networks import needs_cache
from tests.engine.stations import BROADCAST, station

from linkspan.bridge.reasons import Reason
from linkspan.engine.user import kernel_side
from linkspan.engine.user.kernel_maps import CREDIT
from linkspan.sandbox.namespaces import inside
from linkspan.types import Mac


@needs_cache
def test_result_waits_for_frames_that_came_up_while_it_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel_side, "BURST", 1)
    with rig(2) as made:
        made.introduce(2, B)
        made.introduce(1, A)
        put = made.kernel._map.put

        def put_late(key: bytes, value: bytes) -> None:
            made.peers[1].send(numbered(B, A, 2))
            put(key, value)

        monkeypatch.setattr(made.kernel._map, "put", put_late)
        made.peers[1].send(numbered(B, A, 1))
        made.pump()
        made.peers[1].send(numbered(B, A, 3))
        assert [number_of(one) for one in made.arrivals(2, 1)] == [1]
        made.serve()
        made.peers[1].send(numbered(B, A, 4))
        assert [number_of(one) for one in made.arrivals(2, 3)] == [2, 3, 4]


@needs_cache
@pytest.mark.parametrize("seed", range(12))
def test_no_frame_overtakes_another_whatever_the_process_does(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(kernel_side, "BURST", chance.choice((1, 2, 7, 64)))
    with rig() as made:
        made.introduce(2, B)
        sent = {A: 0, C: 0}
        got: dict[Mac, list[int]] = {A: [], C: []}
        for _ in range(300):
            source = chance.choice((A, C))
            for _ in range(chance.choice((1, 1, 3, 40, 100))):
                made.peers[1].send(numbered(B, source, sent[source]))
                sent[source] += 1
            if chance.random() < 0.5 and made.waits():
                made.pump()
            if chance.random() < 0.05:
                made.bridge.changed()
                made.dataplane.publish()
            if chance.random() < 0.03:
                made.restart()
            for frame in made.peers[2].waiting():
                got[Mac(frame[6:12])].append(number_of(frame))
        made.serve()
        for frame in made.peers[2].waiting():
            got[Mac(frame[6:12])].append(number_of(frame))
        for source, numbers in got.items():
            assert numbers == sorted(set(numbers)), source.hex()
            assert len(numbers) > 1000
        lost = made.counters()[1][2].get(Reason.FULL_RING.name, 0)
        assert sum(map(len, got.values())) + lost == sum(sent.values())


@needs_cache
def test_flood_from_one_port_costs_no_other_port_an_upcall() -> None:
    with rig() as made:
        made.introduce(2, B)
        for number in range(10 * CREDIT):
            made.peers[1].send(numbered(station(5000 + number), station(1000 + number), number))
        made.peers[3].send(numbered(B, C, 1))
        assert made.kernel.credit.upcalled()[port_number(1)] == CREDIT
        made.serve()
        assert numbered(B, C, 1) in made.drain()[2]
        assert made.counters()[1][2] == {Reason.FULL_RING.name: 9 * CREDIT}


@needs_cache
def test_upcall_holds_the_credit_of_all_ports() -> None:
    """Six ports, since what a tap holds by itself is a thousand frames."""
    with rig(6) as made:
        made.introduce(2, B)
        for number, peer in made.peers.items():
            source = station(1000 + number)
            peer.send(*(numbered(BROADCAST, source, one) for one in range(CREDIT)))
        made.serve()
        for number, frames in made.drain().items():
            for other in made.peers:
                got = [number_of(one) for one in frames if one[6:12] == station(1000 + other)]
                assert got == ([] if other == number else list(range(CREDIT)))
        assert not any(drops for _, _, drops in made.counters().values())


@needs_cache
def test_upcalls_that_the_kernel_lost_are_written_off() -> None:
    with rig() as made:
        made.introduce(2, B)
        for number in range(CREDIT):
            made.peers[1].send(numbered(B, station(1000 + number), number))
            os.read(made.loaded.upcall, 1 << 16)
        made.peers[1].send(numbered(B, A, 1))
        assert not made.waits()
        made.tick()
        made.tick()
        made.peers[1].send(numbered(B, A, 2))
        made.serve()
        assert made.arrivals(2, 1) == [numbered(B, A, 2)]


@needs_cache
def test_datagram_that_the_kernel_has_to_cut_gives_no_credit_away() -> None:
    """A UFO frame, which taps do not take, comes up as its fragments."""
    with rig(2) as made:
        made.introduce(2, B)
        with inside(made.far):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind(("p1", 0))
        sock.setsockopt(263, 15, 1)
        udp = UDP(sport=1000, dport=9, len=8 + 8000, chksum=0)
        whole = packet(IP(src="10.0.0.1", dst="10.0.0.2", len=28 + 8000) / udp / Raw(bytes(8000)))
        header = struct.pack("=BBHHHH", 1, 3, 42, 1480, 34, 6)
        for _ in range(20):
            sock.send(header + whole)
            made.serve()
        sock.close()
        fragments = made.drain()[2]
        assert len(fragments) > 20
        assert max(map(len, fragments)) <= 1514
        counted = made.kernel.credit.counted(port_number(1))
        assert counted[0] == counted[1]
        for number in range(2 * CREDIT):
            made.peers[1].send(numbered(B, station(1000 + number), number))
        assert made.kernel.credit.upcalled()[port_number(1)] - counted[0] == CREDIT
