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


def test_a_running_sandbox_takes_a_card_and_gives_it_back(machine: Machine) -> None:
    text = FILE.read_text().replace("bridges:\n  lan: {}", "bridges:\n  lan: {engine: kernel}")
    text = text.replace("{node: server, ", "{engine: kernel, node: server, ")
    without = text.replace(", uplink: eth0", "")
    for version in (without, text, without):
        machine.linkspan("up", machine.file(version))
        where = "br0" if version is text else "eth0"
        assert addresses(machine, "server", where) == ["192.168.3.101"]
        machine.linkspan("plan", machine.file(version), "--check")
        switch = machine.linkspan(
            "exec", "server", "--", "cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6"
        )
        assert switch.stdout.strip() == ("1" if version is text else "0")
    machine.linkspan("down", "vm-host")


@pytest.mark.parametrize("engine", ["kernel", "user"])
def test_an_entry_of_the_fdb_may_lead_out(machine: Machine, engine: str) -> None:
    entry = "02:00:00:00:00:99"
    text = FILE.read_text().replace(
        "{node: server, ", f'{{engine: {engine}, node: server, fdb: {{"{entry}": eth0}}, '
    )
    machine.linkspan("up", machine.file(text))
    fdb = json.loads(machine.linkspan("fdb", "--json").stdout)["br0"]
    (found,) = [each for each in fdb if each["mac"] == entry]
    assert (found["port"], found["kind"]) == ("eth0", "static")
    machine.linkspan("plan", machine.file(text), "--check")
    machine.linkspan("down", "vm-host")


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
