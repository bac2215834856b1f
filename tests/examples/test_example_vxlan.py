"""A bridge stretched over two hosts, with every pairing of engines. What a tunnel does on each of
them is in tests/contract."""

from __future__ import annotations

import pytest
from tests.machine import EXAMPLES, Machine

TEXT = (EXAMPLES / "vxlan.yaml").read_text()
ENGINES = ["kernel", "user"]


def with_engines(first: str, second: str) -> str:
    return TEXT.replace("br1: {", f"br1: {{engine: {first}, ").replace(
        "br2: {", f"br2: {{engine: {second}, "
    )


def run(machine: Machine, node: str, *command: str) -> str:
    return machine.linkspan("exec", f"vxlan/{node}", "--", *command).stdout


def reach(machine: Machine, *arguments: str) -> None:
    """Whether a reaches b, also with the largest packet; retried while neighbours are resolved."""
    run(machine, "a", "ping", "-c1", "-W5", *arguments)


@pytest.mark.parametrize("second", ENGINES)
@pytest.mark.parametrize("first", ENGINES)
def test_the_parts_are_one_bridge(machine: Machine, first: str, second: str) -> None:
    file = machine.file(with_engines(first, second))
    machine.linkspan("up", file)
    machine.linkspan("plan", "--check", file)
    for address in ("10.7.0.2", "fd00:7::2"):
        reach(machine, address)
    reach(machine, "-M", "do", "-s", "1422", "10.7.0.2")
    machine.linkspan("down", "vxlan")


def test_an_ordinary_user_stretches_a_bridge_too(ordinary_machine: Machine) -> None:
    ordinary_machine.linkspan("up", ordinary_machine.file(with_engines("user", "user")))
    reach(ordinary_machine, "10.7.0.2")
    ordinary_machine.linkspan("down", "vxlan")


MANY = """
name: vxlan
bridges:
  lan: {{}}
  br1: {{node: h1, engine: {first}, mtu: 1430}}
  br2: {{node: h2, engine: {second}, mtu: 1430}}
  br3: {{node: h3, engine: {first}, mtu: 1430}}
nodes:
  h1: {{kind: host, ports: {{eth0: {{bridge: lan, address: {net}1/{bits}}}}}}}
  h2: {{kind: host, ports: {{eth0: {{bridge: lan, address: {net}2/{bits}}}}}}}
  h3: {{kind: host, ports: {{eth0: {{bridge: lan, address: {net}3/{bits}}}}}}}
  a: {{ports: {{eth0: {{bridge: br1, address: 10.7.0.1/24}}}}}}
  b: {{ports: {{eth0: {{bridge: br2, address: 10.7.0.2/24}}}}}}
  c: {{ports: {{eth0: {{bridge: br3, address: 10.7.0.3/24}}}}}}
links:
"""
REMOTES = """
  - {{kind: vxlan, bridge: br1, vni: 10, remote: ["{net}2", "{net}3"], isolated: true}}
  - {{kind: vxlan, bridge: br2, vni: 10, remote: ["{net}1", "{net}3"]}}
  - {{kind: vxlan, bridge: br3, vni: 10, remote: ["{net}1", "{net}2"], learn-remotes: false}}
"""
GROUP = "".join(
    f"  - {{{{kind: vxlan, bridge: br{number}, vni: 10, group: '{{group}}', interface: eth0}}}}\n"
    for number in (1, 2, 3)
)
FAMILIES = {
    4: {"net": "192.0.2.", "bits": "24", "group": "239.1.1.1"},
    6: {"net": "fd00:1::", "bits": "64", "group": "ff05::1234"},
}


@pytest.mark.parametrize("first", ENGINES)
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("links", [REMOTES, GROUP], ids=["remotes", "group"])
def test_three_hosts_reach_each_other(
    machine: Machine, links: str, version: int, first: str
) -> None:
    (second,) = {*ENGINES} - {first}
    text = (MANY + links).format(first=first, second=second, **FAMILIES[version])
    file = machine.file(text)
    machine.linkspan("up", file)
    machine.linkspan("plan", "--check", file)
    for node, last in (("a", 2), ("a", 3), ("b", 3), ("c", 1)):
        run(machine, node, "ping", "-c1", "-W5", f"10.7.0.{last}")
    machine.linkspan("down", "vxlan")


def test_a_killed_switch_comes_back_with_its_tunnel(machine: Machine) -> None:
    machine.linkspan("up", machine.file(with_engines("user", "user")))
    reach(machine, "10.7.0.2")
    machine.run(["kill", "-9", str(_switch(machine))], 0)
    run(machine, "a", "ping", "-c3", "-i0.5", "-W5", "10.7.0.2")
    machine.linkspan("down", "vxlan")


def _switch(machine: Machine) -> int:
    """The process of one of the switches."""
    return min(process for process, line in machine.processes().items() if "user.process" in line)
