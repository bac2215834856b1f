"""What a verdict teaches, and what changing a bridge does to its entries."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.bridge.bridge_samples import (
    BRIDGE_MAC,
    BROADCAST,
    GROUP,
    P1,
    P2,
    P3,
    bridge_of,
    fdb_of,
    frame,
    port_mac,
    rendered,
    station,
)

from linkspan.bridge.commit import Event, Evicted, Expired, Learned, Moved, commit, expire
from linkspan.bridge.decide import decide
from linkspan.bridge.fdb import EntryKind, Fdb
from linkspan.bridge.port import Port, PortOptions, PortState
from linkspan.bridge.state import Bridge
from linkspan.errors import Mistake
from linkspan.types import HOST_PORT, NO_VLAN, Mac, PortNumber

A, B = station(1), station(2)


def hear(bridge: Bridge, port: PortNumber, source: Mac, now: float) -> tuple[Event, ...]:
    return commit(bridge, decide(bridge, port, frame(BROADCAST, source), now), now)


def where(bridge: Bridge, mac: Mac) -> tuple[int, str] | None:
    found = fdb_of(bridge).get((NO_VLAN, mac))
    return None if found is None else found[:2]


def test_an_address_is_learned_refreshed_and_moved() -> None:
    bridge = bridge_of(1, 2)
    assert hear(bridge, P1, A, 1.0) == (Learned(A, NO_VLAN, P1),)
    assert hear(bridge, P1, A, 2.0) == ()
    assert fdb_of(bridge)[NO_VLAN, A] == (1, "learned", 2.0)
    assert hear(bridge, P2, A, 3.0) == (Moved(A, NO_VLAN, P1, P2),)
    assert fdb_of(bridge)[NO_VLAN, A] == (2, "learned", 3.0)


def test_learning_and_refreshing_void_no_verdicts_but_a_move_does() -> None:
    bridge = bridge_of(1, 2)
    before = bridge.generation
    hear(bridge, P1, A, 1.0)
    hear(bridge, P1, A, 2.0)
    assert bridge.generation == before
    hear(bridge, P2, A, 3.0)
    assert bridge.generation > before


@pytest.mark.parametrize(
    ("kind", "stays"),
    [(EntryKind.STATIC, False), (EntryKind.STICKY, True), (EntryKind.LEARNED, False)],
)
def test_traffic_moves_a_static_entry_but_not_a_sticky_one(kind: EntryKind, stays: bool) -> None:
    bridge = bridge_of(1, 2)
    bridge.add_entry(A, P1, kind, 0.0)
    events = hear(bridge, P2, A, 1.0)
    assert events == (() if stays else (Moved(A, NO_VLAN, P1, P2),))
    assert where(bridge, A) == (1 if stays else 2, kind.value)


def test_a_full_fdb_says_what_it_gave_up() -> None:
    bridge = bridge_of(1, 2, fdb=Fdb(max_learned=1))
    hear(bridge, P1, A, 1.0)
    assert hear(bridge, P2, B, 2.0) == (Evicted(A, NO_VLAN, P1), Learned(B, NO_VLAN, P2))


def test_expiry_is_an_event_and_voids_verdicts() -> None:
    bridge = bridge_of(1, 2)
    hear(bridge, P1, A, 0.0)
    before = bridge.generation
    assert expire(bridge, 299.0) == ()
    assert bridge.generation == before
    assert expire(bridge, 300.0) == (Expired(A, NO_VLAN, P1),)
    assert bridge.generation > before


def test_a_group_source_is_never_learned() -> None:
    bridge = bridge_of(1, 2)
    before = rendered(bridge)
    assert hear(bridge, P1, GROUP, 1.0) == ()
    assert rendered(bridge) == before


def test_a_verdict_on_a_port_that_is_gone_teaches_nothing() -> None:
    bridge = bridge_of(1, 2)
    verdict = decide(bridge, P1, frame(BROADCAST, A), 1.0)
    bridge.remove_port(P1)
    assert commit(bridge, verdict, 2.0) == ()
    assert where(bridge, A) is None


def test_own_addresses_are_local_entries_and_the_first_of_equals_counts() -> None:
    bridge = bridge_of(1)
    assert where(bridge, BRIDGE_MAC) == (0, "local")
    assert where(bridge, port_mac(1)) == (1, "local")
    bridge.add_port(Port(P2, "p2", port_mac(1)))
    assert where(bridge, port_mac(1)) == (1, "local")
    bridge.remove_port(P1)
    assert where(bridge, port_mac(1)) == (2, "local")
    bridge.set_mac(port_mac(1))
    assert where(bridge, port_mac(1)) == (2, "local")
    assert where(bridge, BRIDGE_MAC) is None
    bridge.remove_port(P2)
    assert where(bridge, port_mac(1)) == (0, "local")
    bridge.add_port(Port(P1, "p1", port_mac(1)))
    bridge.add_port(Port(P2, "p2", port_mac(1)))
    bridge.set_mac(BRIDGE_MAC)
    assert where(bridge, BRIDGE_MAC) == (0, "local")
    assert where(bridge, port_mac(1)) == (2, "local")


def test_a_deleted_or_replaced_own_address_comes_back_with_its_owner_only() -> None:
    bridge = bridge_of(1, 2)
    bridge.delete_entry(port_mac(1))
    bridge.add_entry(BRIDGE_MAC, P2, EntryKind.STATIC, 1.0)
    bridge.add_port(Port(P3, "p3"))
    bridge.set_mac(BRIDGE_MAC)
    assert where(bridge, port_mac(1)) is None
    assert where(bridge, BRIDGE_MAC) == (2, "static")
    bridge.remove_port(P1)
    bridge.add_port(Port(P1, "p1", port_mac(1)))
    assert where(bridge, port_mac(1)) == (1, "local")
    bridge.set_mac(A)
    bridge.set_mac(BRIDGE_MAC)
    assert where(bridge, BRIDGE_MAC) == (0, "local")
    assert where(bridge, A) is None


def test_an_address_that_was_configured_to_be_the_hosts_survives_a_change_of_the_bridges() -> None:
    bridge = bridge_of(1)
    bridge.add_entry(BRIDGE_MAC, HOST_PORT, EntryKind.LOCAL, 1.0)
    bridge.set_mac(A)
    assert where(bridge, BRIDGE_MAC) == where(bridge, A) == (0, "local")


def test_a_new_port_takes_its_address_from_whoever_it_was_learned_behind() -> None:
    bridge = bridge_of(1)
    hear(bridge, P1, port_mac(2), 1.0)
    bridge.add_port(Port(P2, "p2", port_mac(2)))
    assert where(bridge, port_mac(2)) == (2, "local")


def test_a_port_without_an_interface_adds_no_entry() -> None:
    bridge = bridge_of()
    bridge.add_port(Port(P1, "p1"))
    assert list(fdb_of(bridge)) == [(NO_VLAN, BRIDGE_MAC)]


def test_what_leaves_with_a_port() -> None:
    bridge = bridge_of(1, 2)
    bridge.add_entry(A, P1, EntryKind.STATIC, 0.0)
    hear(bridge, P1, B, 1.0)
    bridge.set_state(P1, PortState.DISABLED)
    assert where(bridge, B) is None, "a disabled port loses what was learned"
    assert where(bridge, A) == (1, "static"), "and keeps what was configured"
    bridge.remove_port(P1)
    assert set(fdb_of(bridge)) == {(NO_VLAN, BRIDGE_MAC), (NO_VLAN, port_mac(2))}


def test_flush_and_down_forget_what_was_learned() -> None:
    bridge = bridge_of(1, 2)
    bridge.add_entry(A, P1, EntryKind.STATIC, 0.0)
    hear(bridge, P1, B, 1.0)
    hear(bridge, P2, station(3), 1.0)
    assert bridge.flush(P1) == 1
    assert where(bridge, B) is None
    assert where(bridge, station(3)) is not None
    bridge.set_up(False)
    assert where(bridge, station(3)) is None
    assert where(bridge, A) == (1, "static")


def test_every_change_of_configuration_voids_kept_verdicts() -> None:
    bridge = bridge_of(1, 2)
    bridge.add_entry(A, P1, EntryKind.STATIC, 0.0)
    changes: list[Callable[[], object]] = [
        lambda: bridge.set_mac(B),
        lambda: bridge.set_up(True),
        lambda: bridge.set_group_fwd_mask(8),
        lambda: bridge.set_ageing_time(10),
        lambda: bridge.set_options(P1, PortOptions(hairpin=True)),
        lambda: bridge.set_state(P1, PortState.BLOCKING),
        lambda: bridge.add_entry(station(9), P1, EntryKind.STICKY, 0.0),
        lambda: bridge.delete_entry(station(9)),
        lambda: bridge.flush(),
        lambda: bridge.add_port(Port(P3, "p3")),
        lambda: bridge.remove_port(P3),
    ]
    for change in changes:
        before = bridge.generation
        change()
        assert bridge.generation > before


def test_what_cannot_be_asked_of_a_bridge_is_a_mistake_that_names_it() -> None:
    bridge = bridge_of(1)
    attempts: list[tuple[Callable[[], object], str]] = [
        (lambda: bridge.set_options(P3, PortOptions()), "no port has number 3"),
        (lambda: bridge.remove_port(P3), "no port has number 3"),
        (lambda: bridge.add_port(Port(P1, "again")), "port number 1 is taken"),
        (lambda: bridge.set_mac(GROUP), "cannot be its address"),
        (lambda: bridge.add_entry(BROADCAST, P1, EntryKind.STATIC, 0.0), "cannot have"),
        (lambda: bridge.add_entry(A, P3, EntryKind.STATIC, 0.0), "no port has number 3"),
        (lambda: bridge.add_entry(A, HOST_PORT, EntryKind.STATIC, 0.0), "always local"),
        (lambda: bridge.delete_entry(A), "no FDB entry"),
        (lambda: bridge.set_options(HOST_PORT, PortOptions(isolated=True)), "takes no options"),
    ]
    for attempt, message in attempts:
        before = rendered(bridge)
        with pytest.raises(Mistake, match=f"bridge br0: .*{message}"):
            attempt()
        assert rendered(bridge) == before
