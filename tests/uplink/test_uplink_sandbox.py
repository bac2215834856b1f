"""An uplink in a sandbox: the card is one that the file gives a host, and moves like a real one."""

from __future__ import annotations

import json

import pytest
from tests.machine import EXAMPLES, Machine

FILE = EXAMPLES / "vm-host-on-a-lan.yaml"


def addresses(machine: Machine, node: str, interface: str) -> list[str]:
    said = machine.linkspan("exec", node, "--", "ip", "-j", "-4", "addr", "show", interface).stdout
    return [each["local"] for link in json.loads(said) for each in link["addr_info"]]


def test_everybody_reaches_everybody_through_the_uplink(any_machine: Machine) -> None:
    any_machine.linkspan("up", FILE)
    any_machine.linkspan("ping")
    assert addresses(any_machine, "server", "br0") == ["192.168.3.101"]
    assert addresses(any_machine, "server", "eth0") == []
    any_machine.linkspan("plan", FILE, "--check")
    any_machine.linkspan("down", "vm-host")


@pytest.mark.parametrize("engine", ["kernel", "user"])
def test_the_end_of_a_wire_may_be_the_card(any_machine: Machine, engine: str) -> None:
    file = any_machine.file(f"""
name: wired
bridges:
  br0: {{engine: {engine}, node: server, uplink: eth0}}
nodes:
  server: {{kind: host}}
  router: {{}}
  web: {{ports: {{eth0: {{bridge: br0, address: 192.168.3.102/24}}}}}}
links:
  - kind: veth
    ends:
      - {{node: server, interface: eth0, address: 192.168.3.101/24}}
      - {{node: router, interface: eth0, address: 192.168.3.1/24}}
""")
    any_machine.linkspan("up", file)
    any_machine.linkspan("ping")
    assert addresses(any_machine, "server", "br0") == ["192.168.3.101"]
    any_machine.linkspan("plan", file, "--check")
    any_machine.linkspan("down", "wired")
