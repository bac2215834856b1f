"""A guest's tap that is on no bridge is put back; any other is left alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.view.view_hosts import HOST as NUMBER
from tests.view.view_hosts import bridge, link, place, port

from linkspan.model.load import loads
from linkspan.model.names import Mark
from linkspan.model.state import Guest, GuestKey, State
from linkspan.model.topology import HOST
from linkspan.plan.desired import desired
from linkspan.plan.difference import OF_A_GUEST, plan
from linkspan.plan.guests import guests

BR0 = bridge(2, "br0", mark=Mark("lab", "br0"))
OTHER = bridge(3, "other")
GUEST: State = {GuestKey(HOST, "vnet0"): Guest(bridge="br0", guest="web")}
LAB = desired(loads("name: lab\nscope: host\nbridges: {br0: {engine: kernel}}", "lab.yaml"))


@pytest.mark.parametrize(
    ("interfaces", "is_put_back"),
    [
        ((link(5, "vnet0", "tap"),), True),
        ((port(5, "vnet0", BR0, 1, kind="tap"),), False),
        ((port(5, "vnet0", OTHER, 1, kind="tap"),), False),
        ((link(5, "vnet0", "veth"),), False),
        ((), False),
    ],
    ids=["on-no-bridge", "on-it", "on-another", "something-else", "gone"],
)
def test_only_a_tap_that_is_on_no_bridge_is_put_back(
    interfaces: tuple[object, ...], is_put_back: bool
) -> None:
    found = {HOST: place(NUMBER, BR0, OTHER, *interfaces)}  # type: ignore[arg-type]
    there = LAB | dict(guests(GUEST, found))
    changes = plan(LAB | GUEST, there)
    assert [change.explain() for change in changes] == [
        "put vnet0 of libvirt's guest web back on br0"
    ] * is_put_back
    assert all(change.reason == OF_A_GUEST for change in changes)


def test_a_bridge_comes_before_its_guests_and_they_go_with_it() -> None:
    coming = [change.explain() for change in plan(LAB | GUEST, {})]
    assert coming.index("put vnet0 of libvirt's guest web back on br0") > coming.index(
        "make the bridge br0 on host, kernel engine"
    )
    assert not any("vnet0" in change.explain() for change in plan({}, LAB | GUEST))
