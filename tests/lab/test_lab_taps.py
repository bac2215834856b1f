"""Taps that the file declares as ports, by the commands. What an engine does with them is in
tests/contract."""

from __future__ import annotations

import json
import os
import signal

import pytest
from tests.machine import Machine, wait_until

TEXT = """
name: taps
scope: {scope}
bridges: {{br0: {{engine: user, cache: {cache}, ports: {{vm1: {{kind: tap, isolated: true}}}}}}}}
nodes: {{a: {{ports: {{eth0: {{bridge: br0, address: 10.0.0.1/24}}}}}}}}
"""


def test_an_ordinary_user_has_a_tap_as_a_port(ordinary_machine: Machine) -> None:
    file = ordinary_machine.file(TEXT.format(scope="sandbox", cache="auto"))
    ordinary_machine.linkspan("up", file)
    ordinary_machine.linkspan("plan", "--check", file)
    bridges = json.loads(ordinary_machine.linkspan("ports", "taps", "--json").stdout)
    assert "vm1" in {port["name"] for port in bridges["br0"]}
    ordinary_machine.linkspan("down", "taps")


@pytest.mark.parametrize("cache", ["auto", "off"])
def test_the_tap_of_a_killed_lab_is_a_port_again_and_goes_with_down(
    machine: Machine, cache: str
) -> None:
    file = machine.file(TEXT.format(scope="host", cache=cache))
    machine.linkspan("up", file)
    before = index_of_tap(machine)
    kill(machine)
    machine.linkspan("up", file)
    machine.linkspan("plan", "--check", file)
    if cache == "off":  # with the cache, br0 is there still, and the tap made anew with it
        assert index_of_tap(machine) == before
    kill(machine)
    machine.linkspan("down", "taps")


def kill(machine: Machine) -> None:
    os.kill(machine.process("linkspan.sandbox.init"), signal.SIGKILL)
    wait_until(lambda: not machine.processes(), machine.processes)


def index_of_tap(machine: Machine) -> int:
    """The number of the tap, by which one that was made anew is known."""
    (link,) = json.loads(machine.run(["ip", "-j", "link", "show", "vm1"], 0).stdout)
    return int(link["ifindex"])
