"""Virtual machines in scope host: bridges and taps are the machine's, QEMU is the lab's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.examples.networks import ENGINES
from tests.guests import require_qemu, talking_disk
from tests.machine import Machine, wait_until

LAB = """
name: hosted
scope: host
bridges: {br0: {engine: ENGINE, address: 10.1.1.1/24}}
nodes:
  guest:
    kind: vm
    disk: {file: guest.img, snapshot: true}
    memory: 16M
    shutdown: 0
    ports: {eth0: {bridge: br0, address: 10.1.1.2/24}}
"""


def shown(machine: Machine) -> Any:
    (found,) = json.loads(machine.linkspan("show", "hosted", "--json").stdout)["machines"]
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_a_machine_of_the_host_is_started_again_with_its_lab_and_goes_without_a_trace(
    machine: Machine, engine: str
) -> None:
    require_qemu()
    talking_disk(machine.folder / "guest.img")
    file = machine.file(LAB.replace("ENGINE", engine))
    machine.linkspan("up", file)
    assert "nothing to do" in machine.linkspan("plan", file).stdout
    found = shown(machine)
    (port,) = found["ports"]
    links = json.loads(machine.run(["ip", "-j", "link"], 0).stdout)
    assert port["tap"] in [each["ifname"] for each in links]

    # The lab's own process: QEMU ends with it, the bridge does not.
    machine.run(["kill", "-9", str(machine.process("linkspan.sandbox.init"))], 0)
    wait_until(lambda: not any("qemu" in line for line in machine.processes().values()))
    machine.linkspan("up", file)
    assert shown(machine)["state"] == "running"
    assert "nothing to do" in machine.linkspan("plan", file).stdout
    machine.linkspan("down", "hosted")
    machine.assert_as_before()
