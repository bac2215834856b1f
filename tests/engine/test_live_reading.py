"""What is read of a running lab is what was asked for; what is half done is finished or undone."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.engine.changed_lab import bring_to, carry_out, port, read
from tests.engine.networks import configure, needs_root
from tests.engine.running_lab import RunningLab, lab
from tests.engine.stations import station

from linkspan.control.descriptors import close_all
from linkspan.engine.netlink import delete_link, set_link
from linkspan.engine.site import Site
from linkspan.model.state import (
    Bridge,
    BridgeKey,
    Entry,
    EntryKey,
    Port,
    PortKey,
    Socket,
    SocketKey,
    State,
)
from linkspan.model.topology import Scope
from linkspan.plan.change import Change
from linkspan.plan.difference import plan
from linkspan.sandbox.namespaces import fork_inside

pytestmark = needs_root
both_caches = pytest.mark.parametrize("cache", ["auto", "off"])


def file_of(cache: str) -> str:
    return f"""
bridges:
  br0: {{engine: user, cache: {cache}, ageing-time: 60, ports: {{vm: {{kind: dgram}}}}}}
  br1: {{engine: user, cache: {cache}}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.1/16}}}}}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.2/16, isolated: true}}}}}}
  c: {{ports: {{}}}}
"""


@both_caches
def test_a_lab_reads_as_it_was_made_and_a_second_plan_is_empty(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        found = read(running)
        br0, a, b = (
            found[BridgeKey("br0")],
            found[PortKey("a", "eth0")],
            found[PortKey("b", "eth0")],
        )
        assert isinstance(br0, Bridge)
        assert (br0.node, br0.engine, br0.mtu, br0.cache) == ("host", "user", 1500, cache)
        assert br0.options == {"ageing_time": 60.0}
        assert isinstance(a, Port)
        assert isinstance(b, Port)
        assert (a.bridge, a.mac, a.mtu, a.options) == ("br0", running.mac("a").hex(":"), 1500, {})
        assert b.options == {"isolated": True}
        assert found[SocketKey("br0", "vm")] == Socket(kind="dgram", mtu=1500)
        assert set(found) == {
            *(BridgeKey("br0"), BridgeKey("br1"), SocketKey("br0", "vm")),
            *(PortKey("a", "eth0"), PortKey("b", "eth0")),
        }
        wanted: State = {
            **found,
            BridgeKey("br0"): replace(
                br0, mac="52:54:00:00:00:99", mtu=1400, options={"group_fwd_mask": 8}
            ),
            PortKey("a", "eth0"): port(1, mtu=1400, hairpin=True),
            PortKey("c", "eth0"): port(3, "br1"),
            SocketKey("br1", "disk"): Socket(kind="stream", mtu=1500, options={"learning": False}),
            EntryKey("br0", station(5).hex(":")): Entry(port="a.eth0"),
        }
        assert bring_to(running, wanted)
        assert read(running) == wanted
        assert not bring_to(running, wanted)
        assert bring_to(running, found)
        assert read(running) == found


@both_caches
def test_what_other_hands_changed_is_mended(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        wanted = read(running)
        configure(running.network("b"), delete_link("eth0"))
        configure(running.network("a"), set_link("eth0", mtu=1300, mac="52:54:00:00:00:77"))
        running.call("options", port="a.eth0", options={"hairpin": True})
        running.call("bridge", options={"ageing_time": 7})
        assert read(running) != wanted
        bring_to(running, wanted)
        assert read(running) == wanted


@both_caches
def test_a_bridge_whose_own_interface_was_deleted_is_made_anew(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        wanted = read(running)
        configure(running.network("host"), delete_link("br0"))
        bring_to(running, wanted)
        assert read(running) == wanted


def start(running: RunningLab, changes: tuple[Change, ...]) -> tuple[int, list[int]]:
    """Begin to carry out changes; returns the process that does, and what it was given."""
    _, namespaces = running.init.call_for_descriptors("fetch", name="lab")

    def work() -> int:
        from linkspan.sandbox import holder

        with holder.connect(running.folder) as init:
            carry_out(Site(running.name, running.folder, init, Scope.SANDBOX), *changes)
        return 0

    return fork_inside(namespaces, work), namespaces


@both_caches
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_change_is_finished_or_undone_by_the_next(
    tmp_path: Path, cache: str, seed: int
) -> None:
    moments = random.Random(seed)
    with lab(tmp_path, file_of(cache)) as running:
        before = read(running)
        away = {key: value for key, value in before.items() if isinstance(value, Port)}
        after: State = {
            **before,
            **{key: replace(value, bridge="br1") for key, value in away.items()},
            PortKey("c", "eth0"): port(3, "br1"),
            PortKey("c", "eth1"): port(4, "br0"),
            SocketKey("br1", "disk"): Socket(kind="stream", mtu=1500),
        }
        for attempt in range(8):
            wanted, other = (after, before) if attempt % 2 else (before, after)
            process, namespaces = start(running, plan(other, read(running)))
            time.sleep(moments.uniform(0, 0.25))
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            close_all(namespaces)
            if moments.random() < 0.3:
                running.kill_switch()
            bring_to(running, wanted)
            assert read(running) == wanted
            running_ports = {one.name for one in running.snapshot().ports}
            expected = {"c.eth1"} if wanted is after else {"a.eth0", "b.eth0"}
            assert running_ports == {"br0", "vm", *expected}
