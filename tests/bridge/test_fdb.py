"""The FDB alone: ageing, fairness, and a comparison with a model too simple to be wrong."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.bridge.bridge_samples import P1, P2, P3, station

from linkspan.bridge.fdb import Address, Entry, EntryKind, Fdb
from linkspan.types import NO_VLAN, PortNumber


def at(number: int) -> Address:
    return NO_VLAN, station(number)


def on(fdb: Fdb, port: PortNumber) -> list[int]:
    return sorted(int.from_bytes(mac[4:], "big") for (_, mac), entry in fdb if entry.port == port)


def test_an_entry_leaves_when_it_was_not_seen_for_the_ageing_time() -> None:
    fdb = Fdb(ageing_time=300)
    fdb.learn(at(1), P1, 0.0)
    fdb.learn(at(2), P1, 0.0)
    entry = fdb.find(at(1))
    assert entry is not None
    fdb.refresh(entry, 100.0)
    assert fdb.expire(299.9) == []
    assert fdb.expire(300.0) == [(at(2), P1)]
    assert fdb.find(at(1)) is entry, "a look-up does not ask for the age"
    assert fdb.expire(399.9) == []
    assert fdb.expire(400.0) == [(at(1), P1)]
    assert fdb.expire(1000.0) == []


def test_ageing_is_shorter_during_a_topology_change() -> None:
    fdb = Fdb(ageing_time=300)
    fdb.learn(at(1), P1, 0.0)
    fdb.learn(at(2), P1, 10.0)
    fdb.ageing_time = 15
    assert fdb.expire(14.9) == []
    assert fdb.expire(20.0) == [(at(1), P1)]
    fdb.ageing_time = 300
    assert fdb.expire(309.9) == []
    assert fdb.expire(310.0) == [(at(2), P1)]


def test_what_was_configured_does_not_age_and_is_not_counted() -> None:
    fdb = Fdb(max_learned=1)
    for number, kind in enumerate(EntryKind):
        fdb.put(at(number), Entry(P1, kind, 0.0))
    assert fdb.learned() == 1
    assert [address for address, _ in fdb.expire(1e9)] == [at(0)]
    assert fdb.flush() == 0
    assert fdb.flush(P1, configured=True) == 3


def test_a_flood_on_one_port_evicts_nobody_who_holds_less() -> None:
    fdb = Fdb(max_learned=10)
    for number in range(3):
        fdb.learn(at(number), P1, float(number))
    for number in range(3, 6):
        fdb.learn(at(number), P2, float(number))
    for number in range(100, 1000):
        fdb.learn(at(number), P3, float(number))
    assert on(fdb, P1) == [0, 1, 2]
    assert on(fdb, P2) == [3, 4, 5]
    assert on(fdb, P3) == [996, 997, 998, 999]


def test_a_newcomer_takes_its_share_from_the_port_that_holds_the_most() -> None:
    fdb = Fdb(max_learned=4)
    for number in range(4):
        fdb.learn(at(number), P1, float(number))
    entry = fdb.find(at(0))
    assert entry is not None
    fdb.refresh(entry, 9.0)
    assert fdb.learn(at(10), P2, 10.0) == (at(1), P1), "the oldest is the one unseen for longest"
    assert fdb.learn(at(11), P2, 11.0) == (at(2), P1)
    assert fdb.learn(at(12), P2, 12.0) == (at(10), P2), "no port holds more now"
    assert fdb.learned() == 4


def test_queues_do_not_grow_with_addresses_that_come_go_and_move() -> None:
    fdb = Fdb()
    for number in range(5):
        fdb.learn(at(number), P1, 0.0)
        fdb.learn(at(number + 10), P2, 0.0)
    for turn in range(2000):
        fdb.move(at(turn % 5), P2 if turn // 5 % 2 == 0 else P1, float(turn))
        fdb.delete(at(12))
        fdb.learn(at(12), P2, float(turn))
    assert sum(len(queue) for queue in fdb._queues.values()) < 300


addresses = st.integers(0, 12).map(at)
ports = st.sampled_from([P1, P2, P3])
LIMIT = 6


class FdbAgainstModel(RuleBasedStateMachine):
    """The model is a plain dictionary that is searched from end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.fdb = Fdb(ageing_time=20, max_learned=LIMIT)
        self.model: dict[Address, tuple[PortNumber, EntryKind, float]] = {}
        self.now = 0.0

    def held(self, port: PortNumber) -> int:
        return sum(p == port and kind is EntryKind.LEARNED for p, kind, _ in self.model.values())

    @rule(seconds=st.floats(0.1, 15))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(address=addresses, port=ports)
    def see(self, address: Address, port: PortNumber) -> None:
        self.now += 0.001
        entry = self.fdb.find(address)
        if entry is not None:
            self.fdb.refresh(entry, self.now)
            old, kind, configured = self.model[address]
            seen = self.now if kind is EntryKind.LEARNED else configured
            self.model[address] = (old, kind, seen)
            return
        learned = sum(kind is EntryKind.LEARNED for _, kind, _ in self.model.values())
        evicted = self.fdb.learn(address, port, self.now)
        assert (evicted is not None) == (learned >= LIMIT)
        if evicted is not None:
            most = max(self.held(p) for p in (P1, P2, P3))
            assert self.held(evicted.port) == most
            assert evicted.port == port or self.held(port) < most
            assert (
                evicted.address
                == min(
                    (updated, address)
                    for address, (p, kind, updated) in self.model.items()
                    if p == evicted.port and kind is EntryKind.LEARNED
                )[1]
            )
            del self.model[evicted.address]
        self.model[address] = (port, EntryKind.LEARNED, self.now)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), port=ports)
    def move(self, data: st.DataObject, port: PortNumber) -> None:
        self.now += 0.001
        address = data.draw(st.sampled_from(sorted(self.model)))
        self.fdb.move(address, port, self.now)
        self.model[address] = (port, self.model[address][1], self.now)

    @rule(address=addresses, port=ports, kind=st.sampled_from(list(EntryKind)[1:]))
    def configure(self, address: Address, port: PortNumber, kind: EntryKind) -> None:
        self.fdb.put(address, Entry(port, kind, self.now))
        self.model[address] = (port, kind, self.now)

    @rule(address=addresses)
    def delete(self, address: Address) -> None:
        assert self.fdb.delete(address) == (self.model.pop(address, None) is not None)

    @rule(port=st.none() | ports, configured=st.booleans())
    def flush(self, port: PortNumber | None, configured: bool) -> None:
        kept = {
            address: row
            for address, row in self.model.items()
            if (port is not None and row[0] != port)
            or not (configured or row[1] is EntryKind.LEARNED)
        }
        assert self.fdb.flush(port, configured=configured) == len(self.model) - len(kept)
        self.model = kept

    @rule(seconds=st.sampled_from([5.0, 20.0]))
    def set_ageing(self, seconds: float) -> None:
        self.fdb.ageing_time = seconds

    @rule()
    def expire(self) -> None:
        old = {
            address
            for address, (_, kind, updated) in self.model.items()
            if kind is EntryKind.LEARNED and updated + self.fdb.ageing_time <= self.now
        }
        assert {address for address, _ in self.fdb.expire(self.now)} == old
        for address in old:
            del self.model[address]

    @invariant()
    def is_like_the_model(self) -> None:
        assert {a: (e.port, e.kind, e.updated) for a, e in self.fdb} == self.model
        for port in (P1, P2, P3):
            assert self.fdb.learned(port) == self.held(port)


FdbAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestFdbAgainstModel = FdbAgainstModel.TestCase
