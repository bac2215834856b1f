"""A switch that is killed while its ports change comes back with the right ones."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest
from tests.engine.changed_lab import added, at_site, bring_to, change, port, read, with_address
from tests.engine.networks import needs_root
from tests.engine.running_lab import RunningLab, containers, lab, transfer

from linkspan.engine.site import Site
from linkspan.engine.user.engine import UserEngine
from linkspan.model.state import PortKey, State

pytestmark = needs_root
both_caches = pytest.mark.parametrize("cache", ["auto", "off"])
MANY = 200


@both_caches
def test_a_switch_killed_between_what_is_held_and_what_is_attached(
    tmp_path: Path, cache: str
) -> None:
    with lab(tmp_path, containers(["a", "b"], f", cache: {cache}")) as running:
        near, far = running.connect("a", "b", "10.9.0.2")

        def add(site: Site) -> None:
            engine = UserEngine(site)
            engine.carry_out(added(PortKey("b", "eth1"), port(9)))
            os.kill(site.init.call("status")["services"]["switch:br0"]["pid"], 9)
            engine.settle()
            engine.close()

        at_site(running, add)
        assert {one.name: one.number for one in running.snapshot().ports}["b.eth1"] == 3
        assert running.starts() == 2
        transfer(near, far, 1 << 20)


@both_caches
@pytest.mark.parametrize("seed", [1, 2])
def test_a_switch_killed_at_any_moment_of_a_change(tmp_path: Path, cache: str, seed: int) -> None:
    moments = random.Random(seed)
    with lab(tmp_path, containers(["a", "b"], f", cache: {cache}")) as running:
        near, far = running.connect("a", "b", "10.9.0.2")
        before = read(running)
        after: State = {**before, PortKey("b", "eth1"): port(9), PortKey("a", "eth1"): port(10)}
        killer = RunningLab(running.name)  # with a connection of its own
        running.owned.callback(killer.close)
        for wanted in (after, before, after, before):
            timer = threading.Timer(moments.uniform(0, 0.25), killer.kill_switch)
            timer.start()
            bring_to(running, wanted)
            timer.join()
            assert read(running) == wanted
        assert running.starts() > 2
        transfer(near, far, 1 << 20)


@both_caches
def test_many_ports_come_and_go_at_once(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, containers(["a", "b"], f", cache: {cache}")) as running:
        near, far = running.connect("a", "b", "10.9.0.2")
        before = read(running)
        keys = [PortKey("b", f"port{number}") for number in range(MANY)]
        bring_to(running, {**before, **{key: port(300 + n) for n, key in enumerate(keys)}})
        assert len(running.snapshot().ports) == MANY + 3
        change(running, *with_address("b", f"port{MANY - 1}", "10.8.0.2/16"))
        transfer(near, far, 1 << 20)
        bring_to(running, before)
        assert len(running.snapshot().ports) == 3
        transfer(near, far, 1 << 20)
