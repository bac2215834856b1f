"""Interfaces of others on the machine that have the names of those to come, in scope host."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.machine import Machine

LAB = """
name: office
scope: host
bridges:
  br9: {{address: 10.9.0.1/24, ports: {{vm1: {{kind: tap}}}},
         engine: {engine}}}
nodes:
  host: {{kind: host, ports: {{eth0: {{bridge: br9}}}}}}
  a: {{}}
links:
  - host:w0 -- a:w0
"""


@pytest.fixture(params=["kernel", "user"])
def file(machine: Machine, request: pytest.FixtureRequest) -> Path:
    return machine.file(LAB.format(engine=request.param))


def test_nothing_is_touched_when_names_are_taken(machine: Machine, file: Path) -> None:
    pairs = [("br9", "vm1"), ("eth0", "w0")]
    for one, other in pairs:
        machine.run(["ip", "link", "add", one, "type", "veth", "peer", "name", other], 0)
    before = machine.run(["ip", "link"], 0).stdout
    for command in ("plan", "up"):
        refused = machine.linkspan(command, file, status=2).stderr
        found = [line.partition("there is an interface ") for line in refused.splitlines()]
        assert [place.split(".yaml:")[1] + name for place, words, name in found if words] == [
            "5:8: bridge br9: br9 already, which is not this lab's",
            "5:44: bridge br9, port vm1: vm1 already, which is not this lab's",
            "8:36: node host, port eth0: eth0 already, which is not this lab's",
            "11:5: link 1, end 1: w0 already, which is not this lab's",
        ]
    assert machine.run(["ip", "link"], 0).stdout == before
    for one, _ in pairs:
        machine.run(["ip", "link", "delete", one], 0)


def test_what_a_crash_has_left_is_not_taken_for_others(machine: Machine, file: Path) -> None:
    machine.linkspan("up", file)
    assert "as the file says" in machine.linkspan("plan", file).stdout
    os.kill(machine.process("linkspan.sandbox.init"), signal.SIGKILL)
    machine.linkspan("up", file)
    machine.linkspan("down", "office")
