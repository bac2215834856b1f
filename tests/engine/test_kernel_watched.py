"""What the in-kernel cache sends up every time, whatever it knows.

The process is one that the test moves (`kernel_cache_rig`), the kernel's side is real.
"""

from __future__ import annotations

import random
import struct

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
from scapy.layers.l2 import Dot1AD, Dot1Q
from scapy.packet import Packet, Raw
from tests.engine.kernel_cache_rig import (
    LLC,
    A,
    B,
    numbered,
    packet,
    rig,
)
from tests.engine.networks import needs_cache
from tests.engine.stations import frame_of

from linkspan.bridge.reasons import Reason
from linkspan.bridge.watch import is_watched
from linkspan.engine.user.kernel_maps import CREDIT
from linkspan.wire.ethernet import EtherType

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


@needs_cache
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


@needs_cache
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


@needs_cache
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


@needs_cache
@pytest.mark.parametrize("payload", [b"", b"x"])
def test_bare_header_is_a_drop_that_takes_no_credit(payload: bytes) -> None:
    with rig(2) as made:
        made.introduce(2, B)
        made.peers[1].send(*[frame_of(B, A, payload)] * 2 * CREDIT)
        made.peers[1].send(numbered(B, A, 1))
        made.serve()
        assert made.arrivals(2, 1) == [numbered(B, A, 1)]
        assert made.counters()[1][2] == {Reason.FULL_RING.name: 2 * CREDIT}


NEVER_KEPT = {
    "LLDP": (bytes.fromhex("0180c200000e"), 0x88CC),
    "BPDU": (bytes.fromhex("0180c2000000"), LLC),
    "IPv4 group": (bytes.fromhex("01005e010203"), 0x0800),
    "IPv6 group": (bytes.fromhex("333300000001"), 0x86DD),
    "ARP": (B, 0x0806),
    "RARP": (B, 0x8035),
}
"""Frames that come up every time because their verdicts are never kept."""


@needs_cache
@pytest.mark.parametrize("name", NEVER_KEPT)
def test_what_guards_snooping_and_spanning_tree_see_is_never_kept(name: str) -> None:
    destination, kind = NEVER_KEPT[name]
    with rig(2) as made:
        made.introduce(2, B)
        made.bridge.set_group_fwd_mask(1 << 14)
        frame = numbered(destination, A, 1, kind)
        for _ in range(6):
            before = made.upcalls()
            made.peers[1].send(frame)
            assert made.upcalls() == before + 1
            made.serve()
            assert made.arrivals(2, 1) == [frame]
        assert len(made.kernel) == 0
