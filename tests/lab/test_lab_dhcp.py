"""Networks that give addresses: what stays when something dies, changes or is used up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from tests.machine import Machine, wait_until

LAB = """
name: pool
bridges:
  br0:
    engine: {engine}
    address: 192.168.122.1/24
    dhcp: {{range: 192.168.122.2-192.168.122.{last}, hosts: {{web: 192.168.122.{web}}}}}
    dns: {{domain: lab}}
nodes:
  web: {{ports: {{eth0: {{bridge: br0, address: dhcp}}}}}}
  db: {{ports: {{eth0: {{bridge: br0, address: dhcp}}}}}}
  quiet: {{ports: {{eth0: {{bridge: br0, address: 192.168.122.200/24}}}}}}
"""


KILL_CLIENT = """
here=$(readlink /proc/self/ns/net)
for process in /proc/[0-9]*; do
  if [ "$(cat $process/comm)" = dhcpcd ] && [ "$(readlink $process/ns/net)" = "$here" ]; then
    kill -9 ${process#/proc/}
  fi
done
"""
"""dhcpcd writes its title over its environment, by which a test's processes are known."""


def lab(machine: Machine, engine: str = "kernel", last: int = 99, web: int = 10) -> Any:
    return machine.file(LAB.format(engine=engine, last=last, web=web))


def leases(machine: Machine) -> dict[str, str]:
    found = json.loads(machine.linkspan("leases", "pool", "--json").stdout)
    return {lease["node"]: lease["address"] for lease in found}


def addresses(machine: Machine, node: str) -> list[str]:
    text = machine.linkspan("exec", node, "ip", "-j", "-4", "address", "show", "eth0").stdout
    return [each["local"] for found in json.loads(text) for each in found.get("addr_info", [])]


def kill(machine: Machine, *words: str) -> None:
    """Kill the process whose command line has these words, and wait for the one after it."""
    process = machine.process(*words)
    machine.run(["kill", f"-{signal.SIGKILL.value}", str(process)], 0)

    def is_another() -> bool:
        found = [each for each, line in machine.processes().items() if words[0] in line]
        return bool(found) and process not in found

    wait_until(is_another)


@pytest.mark.parametrize("engine", ["user", "kernel"])
def test_a_second_up_finds_nothing_to_do(any_machine: Machine, engine: str) -> None:
    file = lab(any_machine, engine)
    any_machine.linkspan("up", file)
    assert "nothing changed" in any_machine.linkspan("up", file).stdout
    assert "nothing to do" in any_machine.linkspan("plan", "--check", file).stdout
    assert leases(any_machine)["web"] == "192.168.122.10"
    any_machine.linkspan("down", "pool")


def test_a_lease_comes_when_the_spanning_tree_lets_it(machine: Machine) -> None:
    text = lab(machine).read_text().replace("kernel", "kernel\n    stp: stp\n    forward-delay: 2")
    file = machine.file(text)
    machine.linkspan("up", file)
    assert "nothing changed" in machine.linkspan("up", file).stdout
    machine.linkspan("down", "pool")


def test_a_killed_server_is_back_with_its_leases(any_machine: Machine) -> None:
    file = lab(any_machine)
    any_machine.linkspan("up", file)
    before = leases(any_machine)
    kill(any_machine, "--dhcp-leasefile")
    assert leases(any_machine) == before
    assert "restarted 1 time" in any_machine.linkspan("show", "pool").stdout
    wait_until(
        lambda: any_machine.linkspan("exec", "quiet", "getent", "hosts", "db", status=None).stdout
    )
    assert before["db"] in any_machine.linkspan("exec", "quiet", "getent", "hosts", "db").stdout
    assert "nothing changed" in any_machine.linkspan("up", file).stdout
    any_machine.linkspan("down", "pool")


def test_a_killed_client_is_back_and_its_address_was_never_gone(machine: Machine) -> None:
    machine.linkspan("up", lab(machine))
    (address,) = addresses(machine, "db")
    machine.linkspan("exec", "db", "sh", "-c", KILL_CLIENT)
    assert addresses(machine, "db") == [address]
    log = machine.labs / "pool" / "log"
    wait_until(lambda: log.read_text().count(f"leased {address} for") == 2, log.read_text)
    assert addresses(machine, "db") == [address]
    machine.linkspan("down", "pool")


def test_another_fixed_lease_concerns_its_node_alone(machine: Machine) -> None:
    machine.linkspan("up", lab(machine))
    before = leases(machine)
    changed = machine.linkspan("up", lab(machine, web=77)).stdout
    assert "2 changes" in changed
    assert addresses(machine, "web") == ["192.168.122.77"]
    assert leases(machine) == {**before, "web": "192.168.122.77"}
    machine.linkspan("down", "pool")


def test_a_node_for_which_no_address_is_left_is_named_and_nothing_stays(machine: Machine) -> None:
    small = LAB.replace(", hosts: {{web: 192.168.122.{web}}}", "").replace(
        "  db: {{ports: {{eth0: {{bridge: br0, address: dhcp}}}}}}\n", ""
    )
    file = machine.file(small.format(engine="kernel", last=3))
    machine.linkspan("up", file)
    ask = ["busybox", "udhcpc", "-n", "-q", "-f", "-i", "eth0", "-s", "/bin/true"]
    machine.linkspan("exec", "quiet", *ask)
    more = machine.file(
        file.read_text() + "  late: {ports: {eth0: {bridge: br0, address: dhcp}}}\n", "more.yaml"
    )
    refused = machine.linkspan("up", more, status=3).stderr
    assert "late got no IPv4 address for eth0" in refused
    assert "br0 has given away all 2 addresses" in refused
    assert "undone" in refused
    (bridge,) = json.loads(machine.linkspan("show", "pool", "--json").stdout)["bridges"]
    assert (bridge["network"]["dhcp"]["lent"], bridge["network"]["dhcp"]["free"]) == (2, 0)
    assert "none left" in machine.linkspan("show", "pool").stdout
    assert "nothing changed" in machine.linkspan("up", file).stdout
    machine.linkspan("down", "pool")


def test_addresses_go_with_dhcp_and_names_stay(machine: Machine) -> None:
    file = lab(machine)
    machine.linkspan("up", file)
    text = file.read_text().replace("address: dhcp", "address: dhcp, mtu: 1400")
    machine.linkspan("up", machine.file(text))
    assert addresses(machine, "web") == ["192.168.122.10"]
    fixed = "\n".join(line for line in file.read_text().splitlines() if "    dhcp:" not in line)
    machine.linkspan("up", machine.file(fixed.replace("address: dhcp", "hairpin: false")))
    assert addresses(machine, "web") == []
    found = machine.linkspan("exec", "quiet", "getent", "hosts", "host.lab").stdout
    assert found.startswith("192.168.122.1 ")
    machine.linkspan("down", "pool")


def test_in_scope_host_the_machine_has_the_services_and_gets_rid_of_them(machine: Machine) -> None:
    file = machine.file(LAB.format(engine="kernel", last=99, web=10) + "scope: host\n")
    machine.linkspan("up", file)
    assert "nothing changed" in machine.linkspan("up", file).stdout
    machine.linkspan("exec", "db", "ping", "-c1", "-W2", "web.lab")
    machine.linkspan("down", "pool")


def test_a_network_that_the_machine_knows_is_refused(machine: Machine) -> None:
    for command in (
        ["link", "add", "other", "type", "bridge"],
        ["address", "add", "192.168.122.250/25", "dev", "other"],
        ["link", "set", "other", "up"],
    ):
        machine.run(["ip", *command], 0)
    file = machine.file(LAB.format(engine="kernel", last=99, web=10) + "scope: host\n")
    for command_name in ("plan", "up"):
        refused = machine.linkspan(command_name, file, status=2).stderr
        assert "192.168.122.0/24 overlaps a route of this machine" in refused
        assert "192.168.122.128/25 by other" in refused
    machine.run(["ip", "link", "delete", "other"], 0)


@pytest.mark.parametrize(("port", "name"), [(53, "DNS"), (67, "DHCP")])
def test_a_port_that_another_program_has_is_found_in_the_plan(
    machine: Machine, port: int, name: str
) -> None:
    bind = f"import socket; s = socket.socket(2, 2); s.bind(('0.0.0.0', {port}));"
    other = machine.start(
        [sys.executable, "-c", bind + "print('bound', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "bound\n"
    file = machine.file(LAB.format(engine="kernel", last=99, web=10) + "scope: host\n")
    refused = machine.linkspan("plan", file, status=2).stderr
    assert f"bridge br0: another program has the port of {name}" in refused
    other.communicate("\n")
