"""What a switch process finds in the maps when the one before was killed: nothing is lost, nothing
counted twice.

The process is one that the test moves (`kernel_cache_rig`), the kernel's side is real.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

import pytest
from tests.engine.kernel_cache_rig import (
    A,
    B,
    C,
    X,
    numbered,
    port_number,
    rig,
)
from tests.engine.networks import needs_cache
from tests.engine.stations import BROADCAST, frame_of, station

from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.reasons import Reason
from linkspan.engine.user.kernel_maps import CREDIT


@needs_cache
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


@needs_cache
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


@needs_cache
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


@needs_cache
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


@needs_cache
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


@needs_cache
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


@needs_cache
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


@needs_cache
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
