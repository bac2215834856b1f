"""Labs come up whole and go without a trace; every `machine` fixture checks the latter again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.machine import EXAMPLES, Machine, linkspan_command, wait_until

DEMO = EXAMPLES / "three-containers.yaml"

SMALL = """
name: small
bridges: {br0: {address: 10.9.0.254/24}}
nodes:
  a: {ports: {eth0: {bridge: br0, address: 10.9.0.1/24}}}
  b: {ports: {eth0: {bridge: br0, address: 10.9.0.2/24}}}
"""


def labs(machine: Machine) -> list[str]:
    return [lab["name"] for lab in json.loads(machine.linkspan("show", "--json").stdout)["labs"]]


def test_nobody_outside_the_lab_sees_it(any_machine: Machine) -> None:
    any_machine.linkspan("up", DEMO)
    during = any_machine.traces()
    assert during.processes > any_machine.before.processes
    assert during.interfaces == any_machine.before.interfaces
    assert during.mounts == any_machine.before.mounts
    assert during.names == any_machine.before.names
    assert (any_machine.labs / "demo").stat().st_mode & 0o077 == 0
    any_machine.linkspan("down", "demo")


def test_down_returns_when_everything_has_gone(machine: Machine) -> None:
    machine.linkspan("up", DEMO)
    machine.linkspan("down", "demo")
    assert machine.traces() - machine.before == []


def test_sockets_of_a_lab_are_for_its_owner_alone(any_machine: Machine) -> None:
    any_machine.linkspan("up", DEMO)
    for socket in ("init.sock", "bridge-br0.sock"):
        assert (any_machine.labs / "demo" / socket).stat().st_mode & 0o777 == 0o600
    any_machine.linkspan("down", "demo")


def test_up_twice_changes_nothing(any_machine: Machine) -> None:
    any_machine.linkspan("up", DEMO)
    during = any_machine.traces()
    again = any_machine.linkspan("up", DEMO)
    assert "up already; nothing changed" in again.stdout
    assert any_machine.traces() == during
    assert json.loads(any_machine.linkspan("up", "--json", DEMO).stdout)["changed"] is False
    any_machine.linkspan("down", "demo")


def test_two_labs_stand_side_by_side(machine: Machine) -> None:
    first = machine.file(SMALL)
    second = machine.file(SMALL.replace("name: small", "name: other"), "other.yaml")
    machine.linkspan("up", first)
    machine.linkspan("up", second)
    assert labs(machine) == ["other", "small"]
    for lab in ("small", "other"):
        machine.linkspan("ping", lab)
    machine.linkspan("down", "small")
    machine.linkspan("ping", "other")
    machine.linkspan("down", "other")


def test_of_several_ups_at_the_same_time_one_makes_the_lab(machine: Machine) -> None:
    file = machine.file(SMALL)
    started = [
        machine.start(linkspan_command("up", file), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in started]
    assert sum("small is up:" in output for output, _, _ in ended) == 1
    for output, errors, status in ended:
        if status == 0:
            assert "small is up" in output
        else:
            assert status == 2
            assert "another linkspan is bringing the lab small up" in errors
    machine.linkspan("ping", "small")
    machine.linkspan("down", "small")


def test_down_takes_the_file_as_well_as_the_name(machine: Machine) -> None:
    file = machine.file(SMALL)
    machine.linkspan("up", file)
    assert machine.linkspan("down", file).stdout == "small is down; nothing of it is left\n"
    machine.assert_as_before()


def test_a_file_without_a_name_is_called_after_itself(machine: Machine) -> None:
    file = machine.file(SMALL.replace("name: small\n", ""), "yard.yaml")
    machine.linkspan("up", file)
    assert machine.linkspan("down", file).stdout.startswith("yard is down")


def test_the_same_lab_comes_up_again_with_the_same_addresses(machine: Machine) -> None:
    file = machine.file(SMALL)
    macs = []
    for _ in range(2):
        machine.linkspan("up", file)
        snapshot = json.loads(machine.linkspan("show", "small", "--json").stdout)
        macs.append([port["interfaces"][0]["mac"] for port in snapshot["nodes"]])
        machine.linkspan("down", "small")
    assert macs[0] == macs[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL.replace("address: 10.9.0.2/24", "address: 10.9.0.1/24"), "10.9.0.1"),
        (SMALL.replace("bridge: br0, address: 10.9.0.2/24", "bridge: br7"), "br7"),
        (SMALL + "colour: red\n", "colour"),
        ("", "empty"),
        ("nodes: [", "lab.yaml:"),
    ],
    ids=["address twice", "unknown bridge", "unknown key", "empty", "not YAML"],
)
def test_a_wrong_file_is_refused_before_anything_is_made(
    machine: Machine, text: str, message: str
) -> None:
    refused = machine.linkspan("up", machine.file(text), status=2)
    assert message in refused.stderr
    assert refused.stdout == ""
    assert machine.traces() - machine.before == []


def test_a_refused_step_is_undone(machine: Machine) -> None:
    # Valid for us, refused by the kernel: the gateway is the node's own broadcast address.
    text = SMALL.replace("a: {ports", "a: {gateway: 10.9.0.255, ports")
    refused = machine.linkspan("up", machine.file(text), status=None)
    assert refused.returncode in (2, 3)
    assert "10.9.0.255" in refused.stderr
    assert machine.traces() - machine.before == []


def test_what_a_crash_left_is_told_and_removed(machine: Machine) -> None:
    stale = machine.labs / "small"
    machine.linkspan("up", machine.file(SMALL))
    machine.run(["kill", "-9", str(machine.process("linkspan.sandbox.init"))], 0)
    wait_until(lambda: not machine.processes())
    assert (stale / "topology.json").exists()
    shown = json.loads(machine.linkspan("show", "--json").stdout)
    assert shown["labs"] in ([], [{"name": "small", "state": "stale"}])
    refused = machine.linkspan("ping", "small", status=2)
    assert "small is not running" in refused.stderr
    assert "linkspan down small" in refused.stderr
    machine.linkspan("down", "small")
    assert machine.traces() - machine.before == []


def test_up_makes_a_lab_anew_over_what_a_crash_left(machine: Machine) -> None:
    file = machine.file(SMALL)
    machine.linkspan("up", file)
    machine.run(["kill", "-9", str(machine.process("linkspan.sandbox.init"))], 0)
    wait_until(lambda: not machine.processes())
    assert "small is up:" in machine.linkspan("up", file).stdout
    machine.linkspan("ping", "small")
    machine.linkspan("down", "small")


def test_a_process_that_cannot_be_asked_is_killed(machine: Machine) -> None:
    machine.linkspan("up", machine.file(SMALL))
    machine.run(["kill", "-STOP", str(machine.process("linkspan.sandbox.init"))], 0)
    machine.linkspan("down", "small")
    assert machine.traces() - machine.before == []


WITHOUT_IMAGES = sorted(
    path for path in EXAMPLES.glob("*.yaml") if "kind: vm" not in path.read_text()
)
"""Examples that need nothing but linkspan."""


@pytest.mark.parametrize("path", WITHOUT_IMAGES, ids=lambda path: path.stem)
def test_every_example_comes_up_and_goes(machine: Machine, path: Path) -> None:
    name = json.loads(machine.linkspan("up", "--json", path).stdout)["lab"]
    assert f"{name}" in machine.linkspan("show", name).stdout
    machine.linkspan("down", path)
