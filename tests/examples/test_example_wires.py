"""The examples of wires, and of what happens when everything is in one namespace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine import EXAMPLES, Machine, wait_until


def reached(machine: Machine, lab: str, status: int = 0) -> dict[tuple[str, str], set[str]]:
    """What `ping` says of each pair of nodes."""
    answer = json.loads(machine.linkspan("ping", lab, "--json", status=status).stdout)
    found: dict[tuple[str, str], set[str]] = {}
    for reach in answer:
        found.setdefault((reach["source"], reach["destination"]), set()).add(reach["result"])
    return found


def answers(machine: Machine, node: str, address: str) -> set[str]:
    """The MACs that answer one ARP request."""
    arping = machine.linkspan("exec", node, "--", "arping", "-c1", "-r", "-I", "eth0", address)
    return set(arping.stdout.split())


def lost(machine: Machine, node: str, *arguments: str) -> bool:
    """Whether a ping gets no answer."""
    ping = ("exec", node, "--", "ping", "-c1", "-W1", *arguments)
    found = machine.linkspan(*ping, status=None)
    assert found.returncode in (0, 1), found
    return found.returncode == 1


def test_two_routers_on_a_wire_join_their_networks(any_machine: Machine) -> None:
    any_machine.linkspan("up", EXAMPLES / "wire.yaml")
    pairs = reached(any_machine, "wire")
    assert len(pairs) == 12
    assert all(results == {"reached"} for results in pairs.values())
    way = any_machine.linkspan("exec", "wire/ann", "--", "ping", "-c1", "-R", "10.4.2.1").stdout
    assert "10.4.0.1" in way
    assert "10.4.2.254" in way
    any_machine.linkspan("down", "wire")


@pytest.fixture(params=["kernel", "user"])
def surprise(machine: Machine, request: pytest.FixtureRequest) -> Iterator[tuple[Machine, str]]:
    """The experiment, on either engine."""
    text = (EXAMPLES / "surprise.yaml").read_text()
    lab = machine.file(text.replace("engine: kernel", f"engine: {request.param}"))
    machine.linkspan("up", lab)
    yield machine, request.param
    machine.linkspan("down", "surprise")


def test_one_address_is_answered_by_three_macs(surprise: tuple[Machine, str]) -> None:
    machine, _ = surprise
    lab = json.loads(machine.linkspan("show", "surprise", "--json").stdout)
    (host,) = (node for node in lab["nodes"] if node["name"] == "host")
    own = {each["mac"] for each in host["interfaces"]}
    assert len(own) == 3
    assert answers(machine, "surprise/gateway", "192.168.57.5") == own


def test_a_ping_bound_to_a_port_of_the_bridge_is_lost(surprise: tuple[Machine, str]) -> None:
    machine, engine = surprise
    assert not lost(machine, "surprise/host", "192.168.57.1")
    assert not lost(machine, "surprise/host", "-I", "veth0", "192.168.57.5")
    interfaces = machine.linkspan("exec", "surprise/host", "--", "ls", "/sys/class/net").stdout
    # Only the kernel has the bridge's ends of the ports in the namespace of the bridge.
    assert ("host.veth0" in interfaces.split()) is (engine == "kernel")
    if engine == "kernel":
        assert lost(machine, "surprise/host", "-I", "host.veth0", "192.168.57.4")
        assert lost(machine, "surprise/host", "-I", "host.veth0", "192.168.57.1")


@pytest.mark.parametrize("engine", ["kernel", "user"])
def test_an_uplink_that_reflects_frames_takes_addresses_away(machine: Machine, engine: str) -> None:
    text = (EXAMPLES / "surprise-reflected.yaml").read_text()
    text = text.replace("br0: {", f"br0: {{engine: {engine}, ", 1)
    machine.linkspan("up", machine.file(text.replace("lan: {", f"lan: {{engine: {engine}, ", 1)))

    def port_of_veth0() -> str:
        lab = json.loads(machine.linkspan("show", "surprise-reflected", "--json").stdout)
        (mac,) = (
            each["mac"]
            for node in lab["nodes"]
            for each in node["interfaces"]
            if each["name"] == "veth0"
        )
        (bridge,) = (each for each in lab["bridges"] if each["name"] == "br0")
        ports = {entry["mac"]: entry["port"] for entry in bridge["fdb"]}
        return str(ports.get(mac, ""))

    def moves(to: str, *command: str) -> bool:
        machine.linkspan("exec", "surprise-reflected/host", "--", *command, status=None)
        return port_of_veth0() == to

    broadcast = ("arping", "-c1", "-I", "veth0", "192.168.57.99")
    # Not to be preceded by a broadcast, whose answer would be dropped by br0: it comes from where
    # br0 believes that it is to go to.
    unicast = ("ping", "-c1", "-W1", "-I", "veth0", "192.168.57.1")
    gateway = machine.linkspan("exec", "surprise-reflected/gateway", "ip", "-j", "link", "show")
    (mac,) = (each["address"] for each in json.loads(gateway.stdout) if each["ifname"] == "eth0")
    known = ("ip", "neighbour", "replace", "192.168.57.1", "lladdr", mac, "dev", "veth0")
    machine.linkspan("exec", "surprise-reflected/host", "--", *known)
    wait_until(lambda: moves("eth0", *broadcast))
    wait_until(lambda: moves("host.veth0", *unicast))
    wait_until(lambda: moves("eth0", *broadcast))
    machine.linkspan("down", "surprise-reflected")


@pytest.mark.parametrize("engine", ["kernel", "user"])
def test_with_a_namespace_for_each_end_everything_answers_once(
    machine: Machine, engine: str
) -> None:
    text = Path(EXAMPLES / "surprise-corrected.yaml").read_text()
    machine.linkspan("up", machine.file(text.replace("br0: {", f"br0: {{engine: {engine}, ", 1)))
    pairs = reached(machine, "surprise-corrected")
    assert len(pairs) == 12
    assert all(results == {"reached"} for results in pairs.values())
    for last in (3, 4, 5):
        assert len(answers(machine, "surprise-corrected/gateway", f"192.168.57.{last}")) == 1
    machine.linkspan("down", "surprise-corrected")
