"""The cache: with it and without it, a switch does the same."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bridge.bridge_samples import (
    ARP,
    BRIDGE_MAC,
    BROADCAST,
    GROUP,
    IPV4,
    P1,
    P2,
    bridge_of,
    fdb_of,
    frame,
    port_mac,
    reserved,
    station,
)

from linkspan.bridge import state as state_module
from linkspan.bridge.cache import VerdictCache, key_of
from linkspan.bridge.commit import commit, expire
from linkspan.bridge.decide import decide
from linkspan.bridge.fdb import EntryKind, Fdb
from linkspan.bridge.port import Port, PortOptions, PortState
from linkspan.bridge.reasons import Reason
from linkspan.bridge.state import Bridge
from linkspan.bridge.switch import handle_miss
from linkspan.errors import Mistake
from linkspan.types import HOST_PORT, NO_VLAN, PortNumber

A, B, C = station(1), station(2), station(3)
TAG = b"\x81\x00\x00\x05"


def handle(
    bridge: Bridge,
    cache: VerdictCache,
    port: PortNumber,
    data: bytes,
    now: float,
    gso: bool = False,
) -> tuple[Reason, tuple[PortNumber, ...]]:
    """One frame through a switch as the engine does it."""
    kept = cache.find(bridge, port, data, gso)
    if kept is not None:
        kept.frames += 1
        kept.bytes += len(data)
        kept.last_used = now
        return kept.reason, kept.egress
    verdict, _ = handle_miss(bridge, cache, port, data, now, gso)
    return verdict.reason, verdict.egress


def test_the_first_frame_teaches_the_second_is_kept_the_third_hits() -> None:
    bridge, cache = bridge_of(1, 2), VerdictCache()
    bridge.add_entry(B, P2, EntryKind.LEARNED, 0.0)
    data = frame(B, A)
    hits = []
    for now in (1.0, 2.0, 3.0):
        hits.append(cache.find(bridge, P1, data) is not None)
        assert handle(bridge, cache, P1, data, now) == (Reason.FORWARDED, (2,))
    assert hits == [False, False, True]
    kept = cache.of(P1)[data[:14]]
    assert (kept.frames, kept.bytes, kept.last_used) == (1, 60, 3.0)


def test_tagged_frames_are_kept_by_their_tag() -> None:
    bridge, cache = bridge_of(1, 2), VerdictCache()
    data = frame(B, A, IPV4, TAG)
    for now in (1.0, 2.0):
        handle(bridge, cache, P1, data, now)
    assert list(cache.of(P1)) == [data[:18]] == [key_of(data)]
    assert cache.find(bridge, P1, frame(B, A, ARP, TAG)) is None
    assert cache.find(bridge, P1, frame(B, A)) is None


def test_a_frame_longer_than_the_egress_mtu_takes_the_slow_path() -> None:
    bridge, cache = bridge_of(1, 2, options={"p2": PortOptions(mtu=100)}), VerdictCache()
    bridge.add_entry(B, P2, EntryKind.STATIC, 0.0)
    for now in (1.0, 2.0):
        handle(bridge, cache, P1, frame(B, A), now)
    assert cache.of(P1)[frame(B, A)[:14]].limit == 118
    long = frame(B, A, payload=1000)
    assert handle(bridge, cache, P1, long, 3.0) == (Reason.PKT_TOO_BIG, ())
    assert cache.find(bridge, P1, long, gso=True) is not None


def test_learning_an_address_that_a_kept_flood_asked_for_ends_the_flood() -> None:
    bridge, cache = bridge_of(1, 2, 3), VerdictCache()
    for now in (1.0, 2.0):
        assert handle(bridge, cache, P1, frame(B, A), now)[1] == (2, 3)
    handle(bridge, cache, P2, frame(BROADCAST, B, ARP), 3.0)
    assert handle(bridge, cache, P1, frame(B, A), 4.0) == (Reason.FORWARDED, (2,))


def test_a_flood_of_addresses_nobody_asked_for_voids_nothing() -> None:
    bridge = bridge_of(1, 2, fdb=Fdb(max_learned=50))
    cache = VerdictCache(max_entries=20)
    bridge.add_entry(B, P2, EntryKind.STATIC, 0.0)
    for now in (1.0, 2.0):
        handle(bridge, cache, P1, frame(B, A), now)
    before = bridge.generation
    for number in range(1000, 2000):
        handle(bridge, cache, P2, frame(A, station(number)), 3.0)
    assert bridge.generation == before
    assert cache.find(bridge, P1, frame(B, A)) is not None


def test_a_full_table_is_emptied_without_losing_sight_of_a_source_or_touching_another() -> None:
    bridge, cache = bridge_of(1, 2), VerdictCache(max_entries=3)
    for mac, port in ((A, P1), (B, P2)):
        bridge.add_entry(mac, port, EntryKind.LEARNED, 0.0)
    handle(bridge, cache, P2, frame(A, B), 1.0)
    for number in range(3):
        handle(bridge, cache, P1, frame(station(100 + number), A), 1.0)
    handle(bridge, cache, P1, frame(station(100), A), 7.0)
    cache.of(P1)[frame(station(100), A)[:14]].last_used = 8.0
    handle(bridge, cache, P1, frame(station(200), A, payload=60), 7.5)
    assert len(cache.of(P1)) == 1
    assert fdb_of(bridge)[NO_VLAN, A][2] == 8.0
    assert len(cache.of(P2)) == 1


def test_ageing_sees_what_only_the_cache_saw() -> None:
    bridge, cache = bridge_of(1, 2), VerdictCache()
    for now in (0.0, 1.0, 250.0):
        handle(bridge, cache, P1, frame(B, A), now)
    cache.collect(bridge, 301.0)
    assert expire(bridge, 301.0) == ()
    cache.collect(bridge, 550.0)
    assert len(expire(bridge, 550.0)) == 1


def test_collecting_drops_void_entries_and_does_not_bring_a_moved_address_back() -> None:
    bridge, cache = bridge_of(1, 2), VerdictCache()
    for now in (0.0, 1.0, 2.0):
        handle(bridge, cache, P1, frame(B, A), now)
    handle(bridge, cache, P2, frame(B, A), 1.5)
    cache.collect(bridge, 3.0)
    assert fdb_of(bridge)[NO_VLAN, A] == (2, "learned", 1.5)
    assert cache.of(P1) == {}


def test_no_hit_is_lost_when_its_entry_is_replaced_emptied_or_dropped() -> None:
    bridge, cache = bridge_of(1, 2), VerdictCache(max_entries=2)
    bridge.add_entry(A, P1, EntryKind.STATIC, 0.0)
    for turn in range(3):
        for number in range(3):
            for _ in range(4):
                handle(bridge, cache, P1, frame(station(100 + number), A), float(turn))
        bridge.changed()
    cache.collect(bridge, 9.0)
    hits = 3 * 3 * 3
    flow = (P1, (P2,), Reason.FLOODED_UNKNOWN_UNICAST)
    assert cache.take_counts() == {flow: (hits, hits * 60)}
    assert cache.take_counts() == {}


def test_a_replaced_entry_still_tells_when_it_was_used() -> None:
    bridge, cache = bridge_of(1, 2), VerdictCache()
    for now in (0.0, 1.0, 2.0):
        handle(bridge, cache, P1, frame(B, A), now)
    bridge.set_options(P1, PortOptions(learning=False))
    handle(bridge, cache, P1, frame(B, A), 3.0)
    assert fdb_of(bridge)[NO_VLAN, A][2] == 2.0


def test_what_verdicts_rely_on_is_bounded() -> None:
    bridge, cache = bridge_of(1, 2), VerdictCache()
    bridge.relied_on.update((NO_VLAN, station(n)) for n in range(state_module.MAX_RELIED_ON))
    before = bridge.generation
    for now in (0.0, 1.0):
        handle(bridge, cache, P1, frame(B, A), now)
    assert bridge.generation == before + 1
    assert bridge.relied_on == {(NO_VLAN, A), (NO_VLAN, B)}
    assert cache.find(bridge, P1, frame(B, A)) is not None


PORTS = [PortNumber(number) for number in range(5)]
STATIONS = [station(number) for number in range(1, 7)]
MACS = [*STATIONS, BRIDGE_MAC, port_mac(1), port_mac(2)]


class Twins:
    """Two bridges that live through the same, one of them with a cache; drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.cached, self.plain = (bridge_of(1, 2, 3, fdb=Fdb(20, 5)) for _ in range(2))
        self.cache = VerdictCache(max_entries=8)
        self.now = 0.0
        self.hits = 0
        self.flows = [(self.port(), self.some_frame()) for _ in range(10)]

    def port(self) -> PortNumber:
        return self.random.choice(PORTS)

    def some_frame(self) -> bytes:
        draw = self.random.choice
        return frame(
            draw([*STATIONS, *STATIONS, *MACS, BROADCAST, GROUP, reserved(0), reserved(14)]),
            draw([*STATIONS, *STATIONS, *STATIONS, *MACS, GROUP]),
            draw([IPV4] * 9 + [ARP]),
            draw([b"", b"", b"", TAG]),
            draw([0, 46, 200]),
        )

    def some_options(self) -> PortOptions:
        rare = [self.random.random() < 0.2 for _ in range(8)]
        return PortOptions(
            learning=not rare[0],
            unicast_flood=not rare[1],
            multicast_flood=not rare[2],
            broadcast_flood=not rare[3],
            hairpin=rare[4],
            isolated=rare[5],
            group_fwd_mask=1 << 14 if rare[6] else 0,
            mtu=100 if rare[7] else 0,
        )

    def burst(self) -> None:
        """A few frames, back and forth and again, sometimes from elsewhere."""
        self.flows[self.random.randrange(10)] = (self.port(), self.some_frame())
        talk = self.random.choices(self.flows, k=self.random.randint(1, 3))
        for _ in range(self.random.randint(1, 4)):
            for port, data in talk:
                here = port if self.random.random() < 0.98 else self.port()
                payload = bytes(self.random.choice([0, 0, 0, 150]))
                self.exchange(here, data + payload, self.random.random() < 0.1)

    def exchange(self, port: PortNumber, data: bytes, gso: bool) -> None:
        self.now += 0.01
        if self.plain.fdb.learned() >= self.plain.fdb.max_learned:
            self.cache.collect(self.cached, self.now)  # who is evicted goes by age as well
        self.hits += self.cache.find(self.cached, port, data, gso) is not None
        verdict = decide(self.plain, port, data, self.now, gso)
        commit(self.plain, verdict, self.now)
        seen = handle(self.cached, self.cache, port, data, self.now, gso)
        assert seen == (verdict.reason, verdict.egress)

    def let_time_pass(self) -> None:
        self.now += self.random.choice([1.0, 7.0, 30.0])
        self.cache.collect(self.cached, self.now)
        assert set(expire(self.cached, self.now)) == set(expire(self.plain, self.now))
        assert fdb_of(self.cached) == fdb_of(self.plain)

    def reconfigure(self) -> None:
        """Change both in the same way; what one refuses, the other refuses as well."""
        draw = self.random.choice
        port, mac = self.port(), draw(MACS)
        options = PortOptions() if port == HOST_PORT else self.some_options()
        changes: list[tuple[Any, ...]] = [
            ("set_options", port, options),
            ("set_options", port, options),
            ("set_options", port, PortOptions()),
            ("set_state", port, draw([*PortState])),
            ("set_state", port, PortState.FORWARDING),
            ("set_state", port, PortState.FORWARDING),
            ("add_port", Port(port, f"p{port}", draw(MACS), options)),
            ("add_port", Port(port, f"p{port}", port_mac(port))),
            ("remove_port", port),
            ("add_entry", mac, port, draw([*EntryKind]), self.now),
            ("delete_entry", mac),
            ("flush", draw([None, port])),
            ("set_ageing_time", draw([0.0, 5.0, 20.0, 20.0])),
            ("set_group_fwd_mask", draw([0, 1 << 14])),
            ("set_mac", draw([BRIDGE_MAC, mac])),
            ("set_up", draw([True, True, False])),
            ("set_up", True),
        ]
        method, *arguments = draw(changes)
        outcomes = []
        for bridge in (self.cached, self.plain):
            try:
                outcomes.append(getattr(bridge, method)(*arguments))
            except Mistake as mistake:
                outcomes.append(str(mistake))
        assert outcomes[0] == outcomes[1]


def live(seed: int) -> Twins:
    twins = Twins(seed)
    for _ in range(400):
        step = twins.random.random()
        if step < 0.85:
            twins.burst()
        elif step < 0.92:
            twins.let_time_pass()
        else:
            twins.reconfigure()
    return twins


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_cached_is_uncached_on_random_traffic_with_random_changes(seed: int) -> None:
    live(seed)


def test_that_comparison_does_hit_the_cache() -> None:
    assert sum(live(seed).hits for seed in range(5)) > 1000
