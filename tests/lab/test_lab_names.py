"""Names of nodes from one bridge's network to the other's, and from hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.machine import Machine

LAB = """
name: names
bridges:
  left: {address: 10.1.0.1/24, forward: routed, dhcp: {range: 10.1.0.10-10.1.0.99}, dns: {}}
  same: {address: 10.3.0.1/24, forward: routed, dhcp: {range: 10.3.0.10-10.3.0.99}, dns: {}}
  inner:
    address: 10.4.0.1/24
    forward: nat
    dhcp: {range: 10.4.0.10-10.4.0.99}
    dns: {domain: inner}
  right:
    node: far
    address: 10.2.0.1/24
    forward: routed
    dhcp: {range: 10.2.0.10-10.2.0.99}
    dns: {domain: far}
  wire: {node: between}
nodes:
  between: {kind: host}
  host:
    kind: host
    ports: {eth0: {bridge: wire, address: 192.0.2.1/24}}
    routes: [{destination: 10.2.0.0/24, via: 192.0.2.2}]
  far:
    kind: host
    ports: {eth0: {bridge: wire, address: 192.0.2.2/24}}
    routes:
      - {destination: 10.1.0.0/24, via: 192.0.2.1}
      - {destination: 10.3.0.0/24, via: 192.0.2.1}
  a: {ports: {eth0: {bridge: left, address: dhcp}}}
  b: {ports: {eth0: {bridge: right, address: dhcp}}}
  c: {ports: {eth0: {bridge: inner, address: dhcp}}}
  s: {ports: {eth0: {bridge: same, address: dhcp}}}
"""
NAMES = ("a", "b", "c", "s", "a.lab", "s.lab", "c.inner", "b.far")


@pytest.fixture(scope="module")
def up(shared_machine: Machine) -> Iterator[Machine]:
    shared_machine.linkspan("up", shared_machine.file(LAB))
    yield shared_machine
    shared_machine.linkspan("down", "names")


def known(machine: Machine, node: str) -> dict[str, str]:
    """What a node knows of the names: the address of each."""
    ask = "for name; do echo $name $(getent ahostsv4 $name | head -n1); done"
    said = machine.linkspan("exec", f"names/{node}", "--", "sh", "-c", ask, "sh", *NAMES).stdout
    return {words[0]: words[1] for line in said.splitlines() if len(words := line.split()) > 1}


@pytest.mark.parametrize("node", ["host", "a", "s", "c"])
def test_networks_of_a_host_know_each_others_names_and_those_they_reach(
    up: Machine, node: str
) -> None:
    lent = json.loads(up.linkspan("leases", "names", "--json").stdout)
    addresses = {lease["node"]: lease["address"] for lease in lent}
    assert known(up, node) == {name: addresses[name.partition(".")[0]] for name in NAMES}


@pytest.mark.parametrize("node", ["far", "b"])
def test_a_network_that_is_not_reached_is_not_asked(up: Machine, node: str) -> None:
    assert set(known(up, node)) == {"a", "b", "s", "a.lab", "s.lab", "b.far"}
