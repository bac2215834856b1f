"""Ageing, whichever engine it is. Only the memory engine can be told the time."""

from __future__ import annotations

import pytest
from tests.alike.wire import AddEntry, LetAge, Send, SetAgeing, Wire
from tests.contract.meetings import A, B, C, frame, hears, meet, where
from tests.machine import PATIENCE

from linkspan.bridge.fdb import EntryKind

AGEING_SECONDS = 2
STEP_SECONDS = 0.02


def test_an_address_that_is_not_seen_leaves_and_one_that_is_seen_stays(wire: Wire) -> None:
    meet(wire)
    wire.take(AddEntry(C, "p3", EntryKind.STATIC))
    wire.take(SetAgeing(AGEING_SECONDS))
    for _ in range(int(PATIENCE / STEP_SECONDS)):
        # The same frame every time, so that it is a cache that sees the station.
        wire.take(Send("p1", frame(C, A)))
        if where(wire, B) is None:
            break
        wire.rest(STEP_SECONDS)
    assert where(wire, B) is None
    assert where(wire, A) == ("p1", "learned")
    assert where(wire, C) == ("p3", "static")
    assert hears(wire, "p3", frame(B, C)) == {"p1", "p2", "p4"}


@pytest.mark.needs("LetAge")
def test_when_nobody_is_seen_only_what_was_configured_stays(wire: Wire) -> None:
    meet(wire)
    wire.take(AddEntry(C, "p3", EntryKind.STATIC))
    wire.take(AddEntry(A, "p1", EntryKind.STICKY))
    wire.take(LetAge())
    assert [where(wire, mac) for mac in (A, B, C)] == [("p1", "sticky"), None, ("p3", "static")]
