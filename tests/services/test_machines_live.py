"""A real guest in a lab that changes around it: what does not concern it leaves it running, and its
port moves to another bridge under it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.examples.networks import ENGINES, reached
from tests.guests import at_console, place_guest
from tests.machine import Machine, wait_until

LAB = """
name: live
bridges:
  br0: {engine: ENGINE}
  br1: {engine: ENGINE}
nodes:
  guest:
    kind: vm
    kernel: guest/vmlinuz
    initrd: guest/initrd.img
    append: console=ttyS0 quiet
    memory: 128M
    shutdown: 0
    ports: {eth0: {bridge: br0, address: 10.1.1.2/24}}
  here: {ports: {eth0: {bridge: br0, address: 10.1.1.3/24}}}
  there: {ports: {eth0: {bridge: br1, address: 10.1.1.4/24}}}
"""
GUEST = "10.1.1.2"


@pytest.fixture(scope="module", params=ENGINES)
def up(shared_machine: Machine, request: pytest.FixtureRequest) -> Iterator[tuple[Machine, str]]:
    place_guest(shared_machine)
    text = LAB.replace("ENGINE", request.param)
    shared_machine.linkspan("up", shared_machine.file(text))
    with at_console(shared_machine, "guest") as guest:
        guest.ask("", "# ")
    wait_for_guest(shared_machine, "here")
    yield shared_machine, text
    shared_machine.linkspan("down", "live")
    shared_machine.assert_as_before()


def wait_for_guest(machine: Machine, node: str) -> None:
    ping = ["ping", "-c", "1", "-W", "1", GUEST]
    wait_until(lambda: machine.linkspan("exec", f"live/{node}", *ping, status=None).returncode == 0)


def shown(machine: Machine) -> Any:
    (found,) = json.loads(machine.linkspan("show", "live", "--json").stdout)["machines"]
    return found


def test_a_second_up_and_what_does_not_concern_it_leave_a_machine_running(
    up: tuple[Machine, str],
) -> None:
    machine, text = up
    pid = shown(machine)["pid"]
    assert "nothing to do" in machine.linkspan("plan", machine.file(text)).stdout
    changed = text.replace("br0: {", "br0: {ageing-time: 100, ").replace(
        "shutdown: 0", "shutdown: 1"
    )
    changed += "  more: {ports: {eth0: {bridge: br0, address: 10.1.1.5/24}}}\n"
    changes = machine.linkspan("plan", machine.file(changed)).stdout
    assert "more" in changes
    assert "start the virtual machine" not in changes
    machine.linkspan("up", machine.file(changed))
    assert shown(machine)["pid"] == pid
    wait_for_guest(machine, "more")
    machine.linkspan("up", machine.file(text))
    assert shown(machine)["pid"] == pid


def test_its_port_moves_to_another_bridge_and_the_guest_notices_nothing(
    up: tuple[Machine, str],
) -> None:
    machine, text = up
    before = shown(machine)
    moved = text.replace(f"bridge: br0, address: {GUEST}", f"bridge: br1, address: {GUEST}")
    with at_console(machine, "guest") as guest:
        guest.ask("", "# ")
        carriers = "echo $(cat /sys/class/net/eth0/carrier_changes) changes"
        changes = guest.ask(carriers, r"(\d+) changes")[1]
        machine.linkspan("up", machine.file(moved))
        wait_for_guest(machine, "there")
        found = reached(machine, "live")
        assert GUEST in found["there"]
        assert GUEST not in found["here"]
        assert guest.ask(carriers, r"(\d+) changes")[1] == changes
    after = shown(machine)
    assert after["pid"] == before["pid"]
    assert (after["ports"][0]["bridge"], after["ports"][0]["tap"]) == (
        "br1",
        before["ports"][0]["tap"],
    )
    assert after["ports"][0]["machine"]["frames_in"] > before["ports"][0]["machine"]["frames_in"]
    assert "nothing to do" in machine.linkspan("plan", machine.file(moved)).stdout
    machine.linkspan("up", machine.file(text))
    wait_for_guest(machine, "here")
