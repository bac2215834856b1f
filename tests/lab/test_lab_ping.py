"""Who reaches whom in the examples, as the comments in them promise."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from tests.machine import EXAMPLES, Machine

from linkspan.lab import probe
from linkspan.model.load import load


def reaches(machine: Machine, lab: str, status: int) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The answers of `ping` by source, destination and address."""
    found = json.loads(machine.linkspan("ping", lab, "--json", status=status).stdout)
    return {(reach["source"], reach["destination"], reach["address"]): reach for reach in found}


def test_three_containers_and_the_host_all_reach_each_other(any_machine: Machine) -> None:
    any_machine.linkspan("up", EXAMPLES / "three-containers.yaml")
    found = reaches(any_machine, "demo", status=0)
    pairs = {(source, destination) for source, destination, _ in found}
    assert pairs == set(permutations(["host", "web", "db", "client"], 2))
    assert len(found) == 24, "IPv4 and IPv6"
    assert {reach["result"] for reach in found.values()} == {"reached"}
    assert all(reach["milliseconds"] > 0 for reach in found.values())
    text = any_machine.linkspan("ping", "demo").stdout
    assert "12 of 12 pairs reach each other" in text
    any_machine.linkspan("down", "demo")


def test_isolated_guests_reach_the_server_and_not_each_other(any_machine: Machine) -> None:
    any_machine.linkspan("up", EXAMPLES / "isolated.yaml")
    found = reaches(any_machine, "isolated", status=1)
    silent = {pair[:2] for pair, reach in found.items() if reach["result"] != "reached"}
    assert silent == {("guest1", "guest2"), ("guest2", "guest1")}
    reach = found["guest1", "guest2", "10.1.0.12"]
    assert (reach["result"], reach["milliseconds"]) == ("no-reply", None)
    assert reach["detail"] == "ARP was not answered either"
    assert "4 of 6 pairs" in any_machine.linkspan("ping", "isolated", status=1).stdout
    any_machine.linkspan("down", "isolated")


def test_only_the_node_with_a_leg_in_each_of_two_bridges_reaches_both(machine: Machine) -> None:
    machine.linkspan("up", EXAMPLES / "two-bridges.yaml")
    found = reaches(machine, "two-bridges", status=1)
    assert {pair for pair, reach in found.items() if reach["result"] == "reached"} == {
        ("host", "client", "10.2.1.10"),
        ("host", "app", "10.2.1.1"),
        ("client", "host", "10.2.1.254"),
        ("client", "app", "10.2.1.1"),
        ("app", "host", "10.2.1.254"),
        ("app", "client", "10.2.1.10"),
        ("app", "store", "10.2.2.2"),
        ("store", "app", "10.2.2.1"),
    }
    assert not any("rack2" in pair for pair in found), "it has a bridge and no address"
    assert found["store", "host", "10.2.1.254"]["result"] == "no-route"
    machine.linkspan("down", "two-bridges")


def test_a_large_packet_of_the_mtu_of_its_bridge_passes(machine: Machine) -> None:
    machine.linkspan("up", EXAMPLES / "two-bridges.yaml")
    ping = ["ping", "-c", "1", "-W", "5", "-M", "do", "-s", "8972", "10.2.2.2"]
    machine.linkspan("exec", "app", "--", *ping)
    machine.linkspan("down", "two-bridges")


def test_what_answers_arp_but_no_echo_is_told_apart(machine: Machine) -> None:
    machine.linkspan("up", EXAMPLES / "isolated.yaml")
    deaf = "echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all"
    quiet = machine.linkspan("exec", "server", "--", "sh", "-c", deaf, status=None)
    if quiet.returncode:
        machine.linkspan("down", "isolated")
        pytest.skip("a node's /proc/sys is read-only here")
    found = reaches(machine, "isolated", status=1)
    assert found["guest1", "server", "10.1.0.1"]["result"] == "no-reply"
    assert found["guest1", "server", "10.1.0.1"]["detail"] == "ARP was answered, ICMP was not"
    machine.linkspan("down", "isolated")


def test_a_node_without_a_port_neither_probes_nor_is_probed(machine: Machine) -> None:
    text = """
    bridges: {br0: {}}
    nodes:
      a: {ports: {eth0: {bridge: br0, address: 10.9.0.1/24}}}
      b: {ports: {eth0: {bridge: br0, address: 10.9.0.2/24}}}
      idle: {ports: {eth0: br0}}
    """
    machine.linkspan("up", machine.file(text, "idle.yaml"))
    found = reaches(machine, "idle", status=1)
    assert found["a", "b", "10.9.0.2"]["result"] == "reached"
    assert found["a", "idle", ""]["result"] == "no-address"
    machine.linkspan("down", "idle")


def test_addresses_are_those_of_the_file() -> None:
    assert probe.addresses(load(EXAMPLES / "two-bridges.yaml")) == {
        "host": ["10.2.1.254"],
        "client": ["10.2.1.10"],
        "app": ["10.2.1.1", "10.2.2.1"],
        "store": ["10.2.2.2"],
    }
    assert "host" not in probe.addresses(load(EXAMPLES / "isolated.yaml"))
