"""Results in the kernel's maps: what is forwarded by them, what comes up, what a successor finds.

The process is one that the test moves (`kernel_cache_rig`), the kernel's side is real.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP
from scapy.layers.dhcp6 import DHCP6_Solicit
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLQuery,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    IPv6,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw
from tests.engine.engine_harness import BROADCAST, frame_of, needs_root, station
from tests.engine.kernel_cache_rig import number_of, numbered, port_number, rig

from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.reasons import Reason
from linkspan.bridge.watch import is_watched
from linkspan.engine.user import dataplane, kernel_cache
from linkspan.engine.user.devices import open_packet_socket
from linkspan.engine.user.kernel_maps import CREDIT
from linkspan.engine.user.ports import PacketPort, put_tag_back
from linkspan.engine.user.upcall import take_tag_off
from linkspan.sandbox.namespaces import inside
from linkspan.types import Mac
from linkspan.wire.ethernet import EtherType

A, B, C, X = (Mac(station(number)) for number in range(1, 5))
MAC_A, MAC_B = A.hex(":"), B.hex(":")
LLC = 0x0026


# the table of what must come up


IGMP = IP(dst="10.0.0.2", proto=2) / Raw(bytes(8))
SEEN_EVERY_TIME = {
    "IGMP": IGMP,
    "DHCP request": IP() / UDP(sport=68, dport=67) / BOOTP(),
    "DHCP answer": IP() / UDP(sport=67, dport=68) / BOOTP(),
    "DHCP with IP options": IP(options=b"\x94\x04\x00\x00") / UDP(sport=68, dport=67) / BOOTP(),
    "DHCP to an odd port": IP() / UDP(sport=67, dport=4000) / BOOTP(),
    "DHCPv6": IPv6() / UDP(sport=546, dport=547) / DHCP6_Solicit(),
    "solicitation": IPv6() / ICMPv6ND_NS(),
    "advertisement": IPv6() / ICMPv6ND_NA(),
    "router solicitation": IPv6() / ICMPv6ND_RS(),
    "router advertisement": IPv6() / ICMPv6ND_RA(),
    "redirect": IPv6() / ICMPv6ND_Redirect(),
    "MLD query": IPv6() / ICMPv6MLQuery(),
    "MLD behind hop-by-hop": IPv6() / IPv6ExtHdrHopByHop() / ICMPv6MLReport2(),
}
PLAIN = {
    "UDP": IP() / UDP(sport=1000, dport=9) / Raw(b"x" * 20),
    "UDP beside DHCP": IP() / UDP(sport=66, dport=69) / Raw(b"x" * 20),
    "TCP to 67": IP() / TCP(sport=67, dport=67) / Raw(b"x" * 20),
    "ping": IP() / ICMP() / Raw(b"x" * 20),
    "UDP over IPv6": IPv6() / UDP(sport=545, dport=548) / Raw(b"x" * 20),
    "DHCPv4 ports over IPv6": IPv6() / UDP(sport=67, dport=68) / Raw(b"x" * 20),
    "ping over IPv6": IPv6() / ICMPv6EchoRequest() / Raw(b"x" * 20),
}
TAGS: dict[str, tuple[Packet, ...]] = {
    "untagged": (),
    "802.1Q": (Dot1Q(vlan=5, prio=3),),
    "802.1ad": (Dot1AD(vlan=5),),
}


def packet(inner: Packet, tags: tuple[Packet, ...] = ()) -> bytes:
    whole = Ether(src=MAC_A, dst=MAC_B)
    for tag in tags:
        whole /= tag
    return bytes(whole / inner)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("name", [*SEEN_EVERY_TIME, *PLAIN])
def test_table_knows_what_to_watch(name: str, tag: str) -> None:
    inner = {**SEEN_EVERY_TIME, **PLAIN}[name]
    assert is_watched(packet(inner, TAGS[tag])) == (name in SEEN_EVERY_TIME)


@given(st.binary(max_size=120), st.sampled_from(["0800", "86dd", "81000005", "81000005 0800", ""]))
def test_table_takes_any_bytes(data: bytes, start: str) -> None:
    frame = bytes(12) + bytes.fromhex(start) + data
    assert is_watched(frame) in (True, False)
    assert not is_watched(data[:14])


@needs_root
def test_program_knows_what_to_watch() -> None:
    with rig() as made:
        made.introduce(2, B)
        for tag in TAGS.values():
            made.establish(1, packet(PLAIN["UDP"], tag), packet(PLAIN["UDP over IPv6"], tag))
        for name, inner in {**SEEN_EVERY_TIME, **PLAIN}.items():
            for what, tag in TAGS.items():
                for _ in range(2):
                    before = made.upcalls()
                    made.peers[1].send(packet(inner, tag))
                    came_up = made.upcalls() - before
                    made.serve()
                    assert came_up == (name in SEEN_EVERY_TIME), (name, what)
                    assert len(made.arrivals(2, 1)[0]) > 14


@needs_root
def test_program_agrees_with_the_table_about_any_packet() -> None:
    chance = random.Random(7)
    with rig() as made:
        made.introduce(2, B)
        made.establish(1, packet(PLAIN["UDP"]), packet(PLAIN["UDP over IPv6"]))
        seen = {True: 0, False: 0}
        for _ in range(1500):
            kind = chance.choice((EtherType.IPV4, EtherType.IPV6))
            data = bytearray(chance.randbytes(chance.randint(42, 90)))
            if kind is EtherType.IPV4:
                data[0] = 0x40 | chance.randint(0, 15)
                data[9] = chance.choice((1, 2, 6, 17, 17, 17, chance.randrange(256)))
            else:
                data[6] = chance.choice((0, 6, 17, 17, 58, 58, 58, chance.randrange(256)))
            ends = chance.choice((20, 24, 40, (data[0] & 15) * 4))
            port = chance.choice((66, 67, 68, 69, 545, 546, 547, 548, 34560, 34816))
            if ends + 2 <= len(data):
                struct.pack_into("!H", data, ends, port)
            if kind is EtherType.IPV6 and chance.random() < 0.5:
                data[40] = chance.randint(126, 146)
            frame = frame_of(B, A, bytes(data), kind)
            before = made.upcalls()
            made.peers[1].send(frame)
            came_up = made.upcalls() - before
            made.serve()
            assert came_up == is_watched(frame), frame.hex()
            assert made.arrivals(2, 1) == [frame]
            seen[bool(came_up)] += 1
        assert min(seen.values()) > 100


@needs_root
@pytest.mark.parametrize("size", [16, 20, 23, 24, 30, 36])
@pytest.mark.parametrize("kind", [EtherType.IPV4, EtherType.IPV6])
def test_packet_that_ends_early_is_delivered_all_the_same(size: int, kind: EtherType) -> None:
    with rig() as made:
        made.introduce(2, B)
        made.establish(1, packet(PLAIN["UDP"]), packet(PLAIN["UDP over IPv6"]))
        frame = frame_of(B, A, b"\x45" + bytes(100), kind)[:size]
        made.peers[1].send(frame)
        made.serve()
        assert made.arrivals(2, 1) == [frame]


@needs_root
@pytest.mark.parametrize("payload", [b"", b"x"])
def test_bare_header_is_a_drop_that_takes_no_credit(payload: bytes) -> None:
    with rig(2) as made:
        made.introduce(2, B)
        made.peers[1].send(*[frame_of(B, A, payload)] * 2 * CREDIT)
        made.peers[1].send(numbered(B, A, 1))
        made.serve()
        assert made.arrivals(2, 1) == [numbered(B, A, 1)]
        assert made.counters()[1][2] == {Reason.FULL_RING.name: 2 * CREDIT}


# the upcall's tag


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


# forwarding


@needs_root
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


@needs_root
@pytest.mark.parametrize("kind", [LLC, 0x0001, 0x0600, 0x0800, 0x86DD, 0x88B5, 0xFFFF])
def test_any_type_is_forwarded_from_the_map(kind: int) -> None:
    with rig() as made:
        made.introduce(2, B)
        frame = frame_of(B, A, b"\x45" + b"\x3b" * 60, kind)
        made.establish(1, frame)
        made.peers[1].send(frame)
        assert made.arrivals(2, 1) == [frame]


@needs_root
def test_novell_raw_frames_are_forwarded_from_the_map() -> None:
    with rig() as made:
        made.introduce(2, B)
        frame = frame_of(B, A, b"\xff\xff" + bytes(36), LLC)
        made.establish(1, frame)
        made.peers[1].send(frame)
        assert made.arrivals(2, 1) == [frame]


@needs_root
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


@needs_root
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


@needs_root
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


@needs_root
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


@needs_root
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


# order and fairness


@needs_root
def test_result_waits_for_frames_that_came_up_while_it_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dataplane, "BURST", 1)
    with rig(2) as made:
        made.introduce(2, B)
        made.introduce(1, A)
        put = made.kernel._map.put

        def put_late(key: bytes, value: bytes) -> None:
            made.peers[1].send(numbered(B, A, 2))
            put(key, value)

        monkeypatch.setattr(made.kernel._map, "put", put_late)
        made.peers[1].send(numbered(B, A, 1))
        made.dataplane._pump_upcall()
        made.peers[1].send(numbered(B, A, 3))
        assert [number_of(one) for one in made.arrivals(2, 1)] == [1]
        made.serve()
        made.peers[1].send(numbered(B, A, 4))
        assert [number_of(one) for one in made.arrivals(2, 3)] == [2, 3, 4]


@needs_root
@pytest.mark.parametrize("seed", range(12))
def test_no_frame_overtakes_another_whatever_the_process_does(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(dataplane, "BURST", chance.choice((1, 2, 7, 64)))
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
                made.dataplane._pump_upcall()
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


@needs_root
def test_flood_from_one_port_costs_no_other_port_an_upcall() -> None:
    with rig() as made:
        made.introduce(2, B)
        for number in range(10 * CREDIT):
            made.peers[1].send(numbered(station(5000 + number), station(1000 + number), number))
        made.peers[3].send(numbered(B, C, 1))
        assert made.kernel.upcalled()[port_number(1)] == CREDIT
        made.serve()
        assert numbered(B, C, 1) in made.drain()[2]
        assert made.counters()[1][2] == {Reason.FULL_RING.name: 9 * CREDIT}


@needs_root
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


@needs_root
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
        counted = made.kernel._upcalls(port_number(1))
        assert counted[0] == counted[1]
        for number in range(2 * CREDIT):
            made.peers[1].send(numbered(B, station(1000 + number), number))
        assert made.kernel.upcalled()[port_number(1)] - counted[0] == CREDIT


# what the next process finds


@needs_root
def test_new_process_gives_back_the_credit_that_the_old_one_took_along() -> None:
    with rig() as made:
        made.introduce(2, B)
        for number in range(CREDIT):
            made.peers[1].send(numbered(B, station(1000 + number), number))
            os.read(made.loaded.upcall, 1 << 16)  # read by a process that dies now
        made.peers[3].send(numbered(B, C, 1))
        made.restart()
        made.serve()
        assert made.arrivals(2, 1) == [numbered(B, C, 1)]
        made.peers[1].send(numbered(B, A, 1))
        made.serve()
        assert made.arrivals(2, 1) == [numbered(B, A, 1)]


@needs_root
def test_flow_goes_on_over_a_restart_and_still_obeys_what_is_learned_then() -> None:
    with rig(3, p3={"unicast_flood": False}) as made:
        # Unknown, and only one port takes such frames: a result that relies on nobody knowing X.
        made.establish(1, numbered(X, A, 0))
        made.restart()
        made.peers[1].send(numbered(X, A, 1))
        assert made.arrivals(2, 1) == [numbered(X, A, 1)]
        made.introduce(3, X)
        made.peers[1].send(numbered(X, A, 2))
        made.serve()
        assert made.arrivals(3, 1) == [numbered(X, A, 2)]


@needs_root
@pytest.mark.parametrize("seed", range(6))
def test_counters_are_exact_over_restarts_at_any_moment(seed: int) -> None:
    chance = random.Random(seed)
    with rig() as made:
        for port, mac in ((1, A), (2, B), (3, C)):
            made.introduce(port, mac)
        flows = {(1, 2): (B, A), (1, 3): (C, A), (2, 1): (A, B), (3, 2): (B, C)}
        for (port, _), (destination, source) in flows.items():
            made.establish(port, numbered(destination, source, 0))
        made.tick()
        frames_in = {number: counted[0] for number, counted in made.counters().items()}
        frames_out = {number: counted[1] for number, counted in made.counters().items()}
        for _ in range(60):
            match chance.choice(("send", "send", "send", "tick", "ask", "kill", "change")):
                case "send":
                    (port, egress), (destination, source) = chance.choice(list(flows.items()))
                    count = chance.randint(1, 50)
                    made.peers[port].send(*[numbered(destination, source, 1)] * count)
                    made.serve()
                    frames_in[port] += count
                    frames_out[egress] += count
                case "tick":
                    made.tick()
                case "ask":
                    made.counters()
                case "kill":
                    made.restart()
                case "change":
                    made.bridge.changed()
                    made.dataplane.publish()
                    # What the process itself handles it notes once a second.
                    for (port, egress), (destination, source) in flows.items():
                        made.establish(port, numbered(destination, source, 0))
                        frames_in[port] += 5
                        frames_out[egress] += 5
                    made.tick()
        assert {number: counted[0] for number, counted in made.counters().items()} == frames_in
        assert {number: counted[1] for number, counted in made.counters().items()} == frames_out


@needs_root
def test_slot_of_a_flow_that_is_gone_serves_another_over_a_restart() -> None:
    with rig() as made:
        made.introduce(2, B)
        made.establish(1, numbered(B, A, 0))
        made.peers[1].send(*[numbered(B, A, 1)] * 30)
        made.tick()
        made.bridge.changed()
        made.dataplane.publish()
        for _ in range(4):
            made.keeper.note_whole()
            made.tick()
        assert len(made.kernel) == 0
        made.establish(3, numbered(B, C, 0))
        made.tick()
        before = made.counters()
        made.peers[3].send(*[numbered(B, C, 1)] * 20)
        made.restart()
        after = made.counters()
        assert after[3][0] - before[3][0] == 20
        assert after[1][0] == before[1][0]


@needs_root
def test_frames_count_for_the_port_that_they_left_by_also_when_the_address_moves() -> None:
    with rig() as made:
        made.introduce(2, B)
        made.establish(1, numbered(B, A, 0))
        before = made.counters()
        made.peers[1].send(*[numbered(B, A, 1)] * 40)
        made.introduce(3, B)
        made.establish(1, numbered(B, A, 2))
        after = made.counters()
        assert after[2][1] - before[2][1] == 40 + 1  # and the broadcast by which it moved
        assert after[3][1] - before[3][1] == 5


@needs_root
def test_address_that_only_the_kernel_has_seen_does_not_age_over_a_restart() -> None:
    with rig(ageing=1.5) as made:
        made.introduce(2, B)
        made.establish(1, numbered(B, A, 0))
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            made.peers[1].send(numbered(B, A, 1))
            time.sleep(0.05)
        made.restart()
        made.tick()
        assert made.where(A) == 1
        assert made.where(B) is None


@needs_root
def test_address_in_use_stays_and_a_silent_one_leaves() -> None:
    with rig(ageing=1.0) as made:
        made.introduce(2, B)
        made.establish(1, numbered(B, A, 0))
        made.peers[2].send(frame_of(BROADCAST, B, bytes(46)))
        made.serve()
        deadline = time.monotonic() + 1.6
        while time.monotonic() < deadline:
            made.peers[1].send(numbered(B, A, 1))
            made.serve()
            made.tick()
            time.sleep(0.05)
        assert made.where(A) == 1
        assert made.where(B) is None


@needs_root
def test_restart_keeps_options_entries_and_drops() -> None:
    with rig(2, p2={"mtu": 1000}) as made:
        made.introduce(2, B)
        made.introduce(1, A)
        made.bridge.add_entry(C, port_number(2), EntryKind.STATIC, 0.0)
        made.bridge.add_entry(X, port_number(2), EntryKind.STICKY, 0.0)
        options = made.bridge.ports[port_number(1)].options
        made.bridge.set_options(port_number(1), type(options)(isolated=True, hairpin=True))
        made.bridge.set_group_fwd_mask(0x4000)
        made.bridge.set_ageing_time(77.0)
        made.keeper.note_whole()
        made.peers[1].send(frame_of(B, A, bytes(1300)))
        made.serve()
        made.keeper.note_whole()
        before: dict[str, Any] = {"counters": made.counters(), **_state(made.bridge)}
        assert before["counters"][2][2] == {Reason.PKT_TOO_BIG.name: 1}
        made.restart()
        assert {"counters": made.counters(), **_state(made.bridge)} == before


def _state(bridge: Any) -> dict[str, Any]:
    return {
        "fdb": {
            address: (entry.port, entry.kind, entry.updated if entry.ticket else None)
            for address, entry in bridge.fdb
        },
        "options": {number: port.options for number, port in bridge.ports.items()},
        "bridge": (bridge.group_fwd_mask, bridge.fdb.ageing_time, bridge.up),
    }
