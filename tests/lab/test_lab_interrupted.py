"""`kill -9` between any two actions of a change: the next command makes it as it was or as it is to
be, and nothing is lost or left. The `machine` fixture checks the latter at the end of every test.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time

import pytest
from tests.machine import PATIENCE, Machine, linkspan_command

BEFORE = """
name: office
scope: {scope}
bridges: {{br0: {{engine: {engine}, address: 10.9.0.254/24}}}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.1/24}}}}, gateway: 10.9.0.254}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.2/24}}}}}}
"""

AFTER = """
name: office
scope: {scope}
bridges:
  br0: {{engine: {engine}, address: [10.9.0.253/24, "fd00::1/64"], ageing-time: 90}}
  br1: {{engine: {engine}}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.11/24, hairpin: true}}}}, gateway: 10.9.0.253}}
  c: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.3/24}}, eth1: br1}}}}
"""
ACTIONS = 24
"""About as many actions are between the two, and there and back."""


def kill_after(machine: Machine, actions: int, *arguments: str) -> bool:
    """Kill a command when it is about to carry out an action; False when it ended before."""
    log = machine.labs / "office" / "journal.log"
    with machine.start(
        linkspan_command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            assert time.monotonic() < deadline
            with contextlib.suppress(FileNotFoundError):
                if log.read_bytes().count(b"\n") >= actions:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    return True
    return False


def unfinished(machine: Machine, file: str) -> list[str]:
    plan = machine.linkspan("plan", "--json", file).stdout
    return [change["action"] for change in json.loads(plan)]


@pytest.mark.parametrize("scope", ["sandbox", "host"])
@pytest.mark.parametrize("engine", ["kernel", "user"])
def test_a_killed_change_is_finished_or_taken_back(
    machine: Machine, engine: str, scope: str
) -> None:
    before = str(machine.file(BEFORE.format(engine=engine, scope=scope), "before.yaml"))
    after = str(machine.file(AFTER.format(engine=engine, scope=scope), "after.yaml"))
    machine.linkspan("up", before)
    killed = 0
    for actions in range(1, ACTIONS, 4):
        killed += kill_after(machine, actions, "up", after)
        machine.linkspan("up", after if actions % 2 else before)
        assert unfinished(machine, after if actions % 2 else before) == []
        machine.linkspan("up", before)
        assert unfinished(machine, before) == []
        ping = "exec office/a -- ping -c3 -i0.3 -W2 10.9.0.2"
        machine.linkspan(*ping.split())
    assert killed >= 2
    machine.linkspan("down", "office")


@pytest.mark.parametrize("engine", ["kernel", "user"])
def test_a_killed_down_is_finished_by_the_next(machine: Machine, engine: str) -> None:
    file = str(machine.file(BEFORE.format(engine=engine, scope="host"), "before.yaml"))
    for actions in (1, 3, 5):
        machine.linkspan("up", file)
        kill_after(machine, actions, "down", "office")
        if (machine.labs / "office").exists():
            machine.linkspan("down", "office")
        machine.assert_as_before()


@pytest.mark.parametrize("engine", ["kernel", "user"])
def test_a_killed_first_up_on_the_host_leaves_what_the_next_command_knows(
    machine: Machine, engine: str
) -> None:
    file = str(machine.file(BEFORE.format(engine=engine, scope="host"), "before.yaml"))
    for actions in (1, 3, 5, 7):
        kill_after(machine, actions, "up", file)
        if actions % 4 == 1:
            machine.linkspan("up", file)
            assert unfinished(machine, file) == []
        machine.linkspan("down", "office")
        machine.assert_as_before()
