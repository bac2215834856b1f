"""Wires between nodes: followed live, put right when other hands were at them, gone with `down`."""

from __future__ import annotations

import json

from tests.machine import Machine

LAB = """
name: wired
{scope}
nodes:
  a: {{sysctls: {{net.ipv4.conf.all.arp_ignore: 1}}}}
  b:
  c:
links:
{links}
"""
FIRST = """
  - kind: veth
    mtu: 1400
    ends:
      - {node: a, interface: eth1, address: 10.6.0.1/24}
      - {node: b, interface: eth1, address: 10.6.0.2/24}
"""
SECOND = FIRST.replace("node: b", "node: c").replace("10.6.0", "10.6.1").replace("eth1", "eth2")


def lab(links: str, scope: str = "") -> str:
    return LAB.format(links=links, scope=scope)


def follow(machine: Machine, text: str) -> list[str]:
    """Bring up; afterwards there is nothing to do. Returns what was done."""
    file = machine.file(text)
    done = json.loads(machine.linkspan("up", "--json", file).stdout)
    machine.linkspan("plan", "--check", file)
    return [change["action"] for change in done["plan"]]


def run(machine: Machine, node: str, *command: str) -> str:
    return machine.linkspan("exec", f"wired/{node}", "--", *command).stdout


def test_wires_come_and_go_while_the_lab_runs(any_machine: Machine) -> None:
    follow(any_machine, lab(FIRST))
    run(any_machine, "a", "ping", "-c1", "-W2", "-M", "do", "-s", "1372", "10.6.0.2")
    follow(any_machine, lab(FIRST + SECOND))
    run(any_machine, "a", "ping", "-c1", "-W2", "10.6.1.2")
    assert follow(any_machine, lab(FIRST.replace("1400", "1300") + SECOND)) == [
        "change eth1 of a: mtu 1300 instead of 1400",
        "change eth1 of b: mtu 1300 instead of 1400",
    ]
    assert follow(any_machine, lab(SECOND)) == [
        "remove eth1 from b, which was wired to eth1 of a",
        "remove eth1 from a, which was wired to eth1 of b",
    ]
    assert "eth1" not in run(any_machine, "a", "ls", "/sys/class/net").split()
    any_machine.linkspan("down", "wired")


def test_a_wire_shows_where_it_leads(machine: Machine) -> None:
    follow(machine, lab(FIRST))
    shown = machine.linkspan("show", "wired")
    assert "-- b:eth1" in shown.stdout
    assert "-- a:eth1" in shown.stdout
    machine.linkspan("down", "wired")


def test_what_other_hands_did_to_wires_and_settings_is_put_right(machine: Machine) -> None:
    follow(machine, lab(FIRST + SECOND))
    run(machine, "b", "ip", "link", "delete", "eth1")
    run(machine, "c", "ip", "link", "set", "eth2", "down", "name", "mine", "address", "2:0:0:0:0:9")
    run(machine, "a", "sh", "-c", "echo 0 > /proc/sys/net/ipv4/conf/all/arp_ignore")
    done = follow(machine, lab(FIRST + SECOND))
    assert "set net/ipv4/conf/all/arp_ignore of a to 1" in done
    for address in ("10.6.0.2", "10.6.1.2"):
        run(machine, "a", "ping", "-c1", "-W2", address)
    machine.linkspan("down", "wired")


def test_a_name_that_is_taken_undoes_the_change(machine: Machine) -> None:
    follow(machine, lab(FIRST))
    run(machine, "c", "ip", "link", "add", "eth2", "type", "bridge")
    refused = machine.linkspan("up", machine.file(lab(FIRST + SECOND)), status=3)
    assert "make eth2 in a, wired to eth2 of c" in refused.stderr
    machine.linkspan("plan", "--check", machine.file(lab(FIRST)))
    assert "eth2" not in run(machine, "a", "ls", "/sys/class/net").split()
    machine.linkspan("down", "wired")


def test_a_wire_to_the_machine_itself_goes_with_the_lab(machine: Machine) -> None:
    end = "{node: host, interface: lab0, address: 10.6.0.1/24}"
    wire = FIRST.replace("{node: a, interface: eth1, address: 10.6.0.1/24}", end)
    follow(machine, lab(wire, "scope: host"))
    machine.run(["ping", "-c1", "-W2", "10.6.0.2"], 0)
    machine.linkspan("down", "wired")
