"""What a switch does, whichever engine it is: one suite for all of them.

Each test sends a few frames and says who gets them. What follows from a clock is left to
`test_contract_ageing.py`. Everything else that a switch may be sent is in `tests/alike`.
"""

from __future__ import annotations

import pytest
from tests.alike.wire import (
    BRIDGE_MAC,
    DEFAULT_MTU,
    HOST,
    AddEntry,
    AddPort,
    DeleteEntry,
    Flush,
    Refused,
    RemovePort,
    Send,
    SetAgeing,
    SetBridgeMac,
    SetBridgeUp,
    SetCarrier,
    SetMask,
    SetOption,
    SetPortUp,
    SetState,
    Wire,
    port_mac,
)
from tests.contract.meetings import (
    EVERYBODY,
    GROUP,
    LLDP,
    PAUSE,
    TAG,
    A,
    B,
    C,
    do,
    frame,
    hears,
    meet,
    where,
)

from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.port import PortState
from linkspan.types import BROADCAST, NO_MAC, Mac

# learning and forwarding


def test_unknown_unicast_is_flooded_to_the_ports_and_not_to_the_host(wire: Wire) -> None:
    assert hears(wire, "p1", frame(C, A)) == {"p2", "p3", "p4"}


@pytest.mark.parametrize("destination", [BROADCAST, GROUP], ids=["broadcast", "group"])
def test_what_is_for_many_is_flooded_to_the_host_too(wire: Wire, destination: Mac) -> None:
    assert hears(wire, "p1", frame(destination, A)) == EVERYBODY - {"p1"}


def test_a_learned_address_gets_its_frames_alone(wire: Wire) -> None:
    meet(wire)
    assert where(wire, A) == ("p1", "learned")
    assert hears(wire, "p2", frame(A, B)) == {"p1"}
    assert hears(wire, "p3", frame(A, C)) == {"p1"}


def test_an_address_that_is_seen_elsewhere_has_moved(wire: Wire) -> None:
    meet(wire)
    assert hears(wire, "p2", frame(A, B)) == {"p1"}
    wire.take(Send("p3", frame(BROADCAST, A)))
    assert where(wire, A) == ("p3", "learned")
    assert hears(wire, "p2", frame(A, B)) == {"p3"}


def test_a_frame_to_where_it_came_from_goes_nowhere(wire: Wire) -> None:
    meet(wire)
    assert hears(wire, "p1", frame(A, C)) == set()


@pytest.mark.parametrize("source", [GROUP, BROADCAST, NO_MAC], ids=["group", "all", "zero"])
def test_a_source_that_is_no_station_ends_the_frame(wire: Wire, source: Mac) -> None:
    assert hears(wire, "p1", frame(BROADCAST, source)) == set()
    assert where(wire, source) is None


def test_the_bridges_own_address_is_not_learned_and_the_frame_goes_on(wire: Wire) -> None:
    assert hears(wire, "p1", frame(BROADCAST, BRIDGE_MAC)) == EVERYBODY - {"p1"}
    assert where(wire, BRIDGE_MAC) == (HOST, "local")


def test_a_tag_passes_and_does_not_matter(wire: Wire) -> None:
    meet(wire)
    assert hears(wire, "p2", frame(A, B, tag=TAG)) == {"p1"}
    assert hears(wire, "p3", frame(BROADCAST, C, tag=TAG)) == EVERYBODY - {"p3"}
    assert hears(wire, "p1", frame(C, A)) == {"p3"}


# the host


def test_frames_to_the_bridge_and_to_interfaces_of_its_ports_go_to_the_host(wire: Wire) -> None:
    for own in (BRIDGE_MAC, port_mac("p2")):
        assert hears(wire, "p1", frame(own, A)) == {HOST}


def test_the_host_reaches_everybody(wire: Wire) -> None:
    meet(wire)
    assert hears(wire, HOST, frame(A, BRIDGE_MAC)) == {"p1"}
    assert hears(wire, HOST, frame(C, BRIDGE_MAC)) == EVERYBODY - {HOST}
    assert hears(wire, HOST, frame(BROADCAST, BRIDGE_MAC)) == EVERYBODY - {HOST}


@pytest.mark.needs("SetBridgeMac")
def test_a_new_address_of_the_bridge_takes_the_place_of_the_old_one(wire: Wire) -> None:
    do(wire, SetBridgeMac(C))
    assert hears(wire, "p1", frame(C, A)) == {HOST}
    assert hears(wire, "p1", frame(BRIDGE_MAC, A)) == {"p2", "p3", "p4"}


# link-local addresses


def test_link_local_frames_stay_on_their_link_unless_a_mask_lets_them_pass(wire: Wire) -> None:
    assert hears(wire, "p1", frame(LLDP, A)) == {HOST}
    assert where(wire, A) == ("p1", "learned")
    do(wire, SetOption("p1", "group_fwd_mask", 1 << 14))
    assert hears(wire, "p1", frame(LLDP, A)) == EVERYBODY - {"p1"}
    assert hears(wire, "p2", frame(LLDP, B)) == {HOST}
    do(wire, SetMask(1 << 14))
    assert hears(wire, "p2", frame(LLDP, B)) == EVERYBODY - {"p2"}


def test_pause_frames_end_here_and_no_mask_lets_them_pass(wire: Wire) -> None:
    assert hears(wire, "p1", frame(PAUSE, A)) == set()
    for operation in (SetOption("p1", "group_fwd_mask", 2), SetMask(2)):
        with pytest.raises(Refused):
            wire.take(operation)
    assert hears(wire, "p1", frame(PAUSE, A)) == set()


# options of a port


def test_isolated_ports_reach_others_and_the_host_and_not_each_other(wire: Wire) -> None:
    meet(wire)
    do(wire, SetOption("p1", "isolated", 1), SetOption("p2", "isolated", 1))
    assert hears(wire, "p1", frame(B, A)) == set()
    assert hears(wire, "p1", frame(BROADCAST, A)) == {"p3", "p4", HOST}
    assert hears(wire, "p3", frame(A, C)) == {"p1"}
    assert hears(wire, HOST, frame(B, BRIDGE_MAC)) == {"p2"}
    do(wire, SetOption("p2", "isolated", 0))
    assert hears(wire, "p1", frame(B, A)) == {"p2"}


def test_hairpin_sends_frames_back(wire: Wire) -> None:
    meet(wire)
    do(wire, SetOption("p1", "hairpin", 1))
    assert hears(wire, "p1", frame(A, C)) == {"p1"}
    assert hears(wire, "p1", frame(BROADCAST, A)) == EVERYBODY


def test_a_port_that_does_not_learn(wire: Wire) -> None:
    do(wire, SetOption("p1", "learning", 0))
    meet(wire)
    assert where(wire, A) is None
    assert hears(wire, "p2", frame(A, B)) == {"p1", "p3", "p4"}


@pytest.mark.parametrize(
    ("option", "destination"),
    [("unicast_flood", C), ("multicast_flood", GROUP), ("broadcast_flood", BROADCAST)],
)
def test_a_port_that_takes_no_flood_of_a_class(wire: Wire, option: str, destination: Mac) -> None:
    data = frame(destination, A)
    all_hear = hears(wire, "p1", data)
    do(wire, SetOption("p3", option, 0))
    assert hears(wire, "p1", data) == all_hear - {"p3"}
    from_host = EVERYBODY - {HOST} - ({"p3"} if option == "unicast_flood" else set())
    assert hears(wire, HOST, frame(destination, BRIDGE_MAC)) == from_host


@pytest.mark.parametrize(("tag", "room"), [(b"", 4), (TAG, 4)], ids=["untagged", "tagged"])
def test_a_frame_too_long_for_one_port_goes_to_the_others(
    wire: Wire, tag: bytes, room: int
) -> None:
    do(wire, SetOption("p3", "mtu", 576))
    assert hears(wire, "p1", frame(C, A, 576 + room, tag)) == {"p2", "p3", "p4"}
    assert hears(wire, "p1", frame(C, A, 576 + room + 1, tag)) == {"p2", "p4"}
    assert hears(wire, "p1", frame(C, A, DEFAULT_MTU + room + 1, tag)) == set()


# configured entries


def test_a_static_entry_holds_before_any_frame_and_moves_with_traffic(wire: Wire) -> None:
    do(wire, AddEntry(A, "p1", EntryKind.STATIC))
    assert hears(wire, "p2", frame(A, B)) == {"p1"}
    do(wire, Flush(None))
    assert where(wire, A) == ("p1", "static")
    wire.take(Send("p3", frame(BROADCAST, A)))
    assert where(wire, A) == ("p3", "static")
    assert hears(wire, "p2", frame(A, B)) == {"p3"}


def test_a_sticky_entry_stays_where_it_is(wire: Wire) -> None:
    do(wire, AddEntry(A, "p1", EntryKind.STICKY))
    assert hears(wire, "p3", frame(BROADCAST, A)) == EVERYBODY - {"p3"}
    assert where(wire, A) == ("p1", "sticky")
    assert hears(wire, "p2", frame(A, B)) == {"p1"}


def test_an_entry_takes_the_place_of_what_was_learned_and_can_be_deleted(wire: Wire) -> None:
    meet(wire)
    do(wire, AddEntry(A, "p4", EntryKind.STATIC))
    assert hears(wire, "p2", frame(A, B)) == {"p4"}
    do(wire, DeleteEntry(A, "p4"))
    assert where(wire, A) is None
    assert hears(wire, "p2", frame(A, B)) == {"p1", "p3", "p4"}


def test_no_entry_is_deleted_that_is_not_there_nor_made_for_nobody(wire: Wire) -> None:
    for operation in (DeleteEntry(A, "p1"), AddEntry(NO_MAC, "p1", EntryKind.STATIC)):
        with pytest.raises(Refused):
            wire.take(operation)


# forgetting


def test_a_flush_forgets_what_was_learned_behind_a_port_or_everywhere(wire: Wire) -> None:
    meet(wire)
    do(wire, AddEntry(C, "p1", EntryKind.STATIC), Flush("p1"))
    assert where(wire, A) is None
    assert where(wire, B) == ("p2", "learned")
    assert where(wire, C) == ("p1", "static")
    assert hears(wire, "p2", frame(A, B)) == {"p1", "p3", "p4"}
    do(wire, Flush(None))
    assert where(wire, B) is None
    assert where(wire, BRIDGE_MAC) == (HOST, "local")


def test_without_ageing_time_nothing_is_learned(wire: Wire) -> None:
    do(wire, SetAgeing(0))
    meet(wire)
    assert where(wire, A) is None
    assert hears(wire, "p2", frame(A, B)) == {"p1", "p3", "p4"}


@pytest.mark.parametrize("change", [SetPortUp, SetCarrier], ids=["down", "no-carrier"])
@pytest.mark.needs("SetPortUp", "SetCarrier")
def test_a_port_that_goes_down_forgets_and_hears_nothing(
    wire: Wire, change: type[SetPortUp] | type[SetCarrier]
) -> None:
    meet(wire)
    do(wire, AddEntry(C, "p1", EntryKind.STATIC), change("p1", False))
    assert where(wire, A) is None
    assert where(wire, C) == ("p1", "static")
    assert hears(wire, "p2", frame(A, B)) == {"p3", "p4"}
    assert hears(wire, "p2", frame(C, B)) == set()
    do(wire, change("p1", True))
    assert hears(wire, "p2", frame(A, B)) == {"p1", "p3", "p4"}
    assert hears(wire, "p2", frame(C, B)) == {"p1"}


def test_a_bridge_that_is_down_passes_nothing_and_has_forgotten_when_it_is_up(wire: Wire) -> None:
    meet(wire)
    do(wire, AddEntry(C, "p1", EntryKind.STATIC), SetBridgeUp(False))
    assert hears(wire, "p1", frame(BROADCAST, A)) == set()
    assert hears(wire, "p2", frame(C, B)) == set()
    do(wire, SetBridgeUp(True))
    assert hears(wire, "p2", frame(A, B)) == {"p1", "p3", "p4"}
    assert hears(wire, "p2", frame(C, B)) == {"p1"}


@pytest.mark.needs("RemovePort", "AddPort")
def test_a_port_that_is_taken_out_loses_its_entries_and_its_options(wire: Wire) -> None:
    meet(wire)
    do(wire, AddEntry(C, "p1", EntryKind.STATIC), SetOption("p1", "hairpin", 1), RemovePort("p1"))
    assert [where(wire, mac) for mac in (A, C, port_mac("p1"))] == [None, None, None]
    assert hears(wire, "p2", frame(BROADCAST, B)) == {"p3", "p4", HOST}
    assert hears(wire, "p1", frame(BROADCAST, A)) == set()
    do(wire, AddPort("p1"))
    assert hears(wire, "p1", frame(BROADCAST, A)) == EVERYBODY - {"p1"}
    assert where(wire, port_mac("p1")) == ("p1", "local")


# states of a port


@pytest.mark.needs("SetState")
def test_only_a_forwarding_port_forwards_and_a_learning_one_learns(wire: Wire) -> None:
    for state, learns in ((PortState.LISTENING, None), (PortState.LEARNING, ("p1", "learned"))):
        do(wire, Flush(None), SetState("p1", state))
        assert hears(wire, "p1", frame(BROADCAST, A)) == set()
        assert where(wire, A) == learns
        assert hears(wire, "p2", frame(BROADCAST, B)) == {"p3", "p4", HOST}
        assert hears(wire, "p1", frame(LLDP, A)) == {HOST}
    do(wire, SetState("p1", PortState.FORWARDING))
    assert hears(wire, "p1", frame(BROADCAST, A)) == EVERYBODY - {"p1"}
