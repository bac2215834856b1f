"""Firewalls of others: what they would drop is named beforehand, and Docker's lets bridges pass.

Rules are written by iptables of both kinds and by nft, as Docker and ufw write them; these programs
themselves are in tests/interop.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine import Machine

LAB = """
name: office
scope: host
bridges:
  br0: {address: [10.9.0.254/24, "fd00:9::fe/64"], forward: nat}
nodes:
  a: {ports: {eth0: {bridge: br0, address: 10.9.0.1/24}}}
"""
MORE = """
name: office
scope: host
bridges:
  br0: {address: [10.9.0.254/24, "fd00:9::fe/64"], forward: nat}
  br1: {address: [10.8.0.254/24, "fd00:8::fe/64"], forward: routed}
nodes:
  a: {ports: {eth0: {bridge: br0, address: [10.9.0.1/24, "fd00:9::1/64"]}}}
  b: {ports: {eth0: {bridge: br1, address: [10.8.0.1/24, "fd00:8::1/64"]}}}
"""
SERVED = """
name: office
scope: host
bridges:
  br0: {address: 10.9.0.254/24, dhcp: {range: 10.9.0.1-10.9.0.99}, dns: {}}
nodes:
  a: {ports: {eth0: {bridge: br0, address: dhcp}}}
"""
SWITCHED = """
name: office
scope: host
bridges:
  br0: {engine: kernel}
nodes:
  a: {ports: {eth0: {bridge: br0, address: 10.9.0.1/24}}}
  b: {ports: {eth0: {bridge: br0, address: 10.9.0.2/24}}}
"""
DOCKER = """
{iptables} -P FORWARD DROP
{iptables} -N DOCKER
{iptables} -N DOCKER-USER
{iptables} -N DOCKER-ISOLATION-STAGE-1
{iptables} -N DOCKER-ISOLATION-STAGE-2
{iptables} -A FORWARD -j DOCKER-USER
{iptables} -A FORWARD -j DOCKER-ISOLATION-STAGE-1
{iptables} -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{iptables} -A FORWARD -o docker0 -j DOCKER
{iptables} -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
{iptables} -A FORWARD -i docker0 -o docker0 -j ACCEPT
{iptables} -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
{iptables} -A DOCKER-ISOLATION-STAGE-1 -j RETURN
{iptables} -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
{iptables} -A DOCKER-ISOLATION-STAGE-2 -j RETURN
{iptables} -A DOCKER-USER -s 192.0.2.66 -j DROP
{iptables} -A DOCKER-USER -j RETURN
"""
"""What dockerd 20 to 27 writes, and a rule of an administrator's."""


@pytest.fixture
def guarded(machine: Machine) -> Iterator[Machine]:
    yield machine
    machine.run(["nft", "flush", "ruleset"], status=0)
    for program in ("iptables-legacy", "ip6tables-legacy"):
        for words in (["-P", "FORWARD", "ACCEPT"], ["-P", "INPUT", "ACCEPT"], ["-F"], ["-X"]):
            machine.run([program, *words], status=0)
    machine.run(["rm", "-f", "/run/xtables.lock"], status=0)


def script(machine: Machine, text: str, program: str) -> None:
    machine.run(["sh", "-ec", text.format(iptables=program)], status=0)


def rules(machine: Machine, program: str) -> list[str]:
    saved = machine.run([f"{program}-save"], status=0).stdout.splitlines()
    return [line for line in saved if not line.startswith("#")]


def actions(machine: Machine, file: Path) -> list[str]:
    done = json.loads(machine.linkspan("plan", "--json", file).stdout)
    return [change["action"] for change in done]


def test_dockers_firewall_is_told_to_let_a_bridge_pass_until_it_goes(guarded: Machine) -> None:
    for program in ("iptables-nft", "ip6tables-nft"):
        script(guarded, DOCKER.replace("-s 192.0.2.66 ", "-m mark --mark 66 "), program)
    before = [rules(guarded, "iptables-nft"), rules(guarded, "ip6tables-nft")]
    file = guarded.file(MORE)
    wanted = [
        f"let {bridge} pass Docker's firewall: accept it in DOCKER-USER of table {family} filter"
        for family in ("ip", "ip6")
        for bridge in ("br0", "br1")
    ]
    assert sorted(each for each in actions(guarded, file) if "Docker" in each) == sorted(wanted)
    guarded.linkspan("up", file)
    guarded.linkspan("plan", "--check", file)
    for address in ("10.8.0.1", "fd00:8::1"):
        guarded.linkspan("exec", "office/a", "--", "ping", "-c1", "-W5", address)
    user = [line for line in rules(guarded, "iptables-nft") if "-A DOCKER-USER" in line]
    assert len(user) == 6
    assert sum("br0" in line and "ACCEPT" in line for line in user) == 2
    guarded.run(["iptables-nft", "-D", "DOCKER-USER", "1"], status=0)
    (step,) = actions(guarded, file)
    assert step in wanted
    guarded.linkspan("up", file)
    guarded.linkspan("plan", "--check", file)
    guarded.linkspan("up", guarded.file(LAB))
    assert "br1" not in guarded.run(["nft", "list", "ruleset"], status=0).stdout
    guarded.linkspan("down", "office")
    assert [rules(guarded, "iptables-nft"), rules(guarded, "ip6tables-nft")] == before


def test_dockers_older_kind_of_tables_is_left_to_its_owner(guarded: Machine) -> None:
    script(guarded, DOCKER, "iptables-legacy")
    refused = guarded.linkspan("up", guarded.file(LAB), status=2).stderr
    assert "chain FORWARD of table ip filter (legacy) (Docker), hook forward" in refused
    assert "next: iptables-legacy -I DOCKER-USER -i br0 -j ACCEPT; iptables-legacy -I D" in refused


def test_what_docker_lets_pass_is_no_obstacle(guarded: Machine) -> None:
    text = DOCKER + "{iptables} -I DOCKER-USER -i br0 -j ACCEPT\n"
    script(guarded, text + "{iptables} -I DOCKER-USER -o br0 -j ACCEPT\n", "iptables-nft")
    assert not [each for each in actions(guarded, guarded.file(LAB)) if "Docker" in each]


def test_what_dockers_chain_for_others_does_not_help_against_is_named(guarded: Machine) -> None:
    script(guarded, DOCKER.replace("{iptables} -A FORWARD -j DOCKER-USER", ""), "iptables-nft")
    refused = guarded.linkspan("plan", guarded.file(LAB), status=2).stderr
    assert "chain FORWARD of table ip filter (Docker), hook forward, policy drop" in refused
    assert "next: iptables -I FORWARD -i br0 -j ACCEPT; iptables -I FORWARD -o br0" in refused


UFW = """
{iptables} -P FORWARD DROP
{iptables} -N ufw-before-forward
{iptables} -N ufw-user-forward
{iptables} -N ufw-reject-forward
{iptables} -A FORWARD -j ufw-before-forward
{iptables} -A FORWARD -j ufw-reject-forward
{iptables} -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{iptables} -A ufw-before-forward -p icmp --icmp-type 8 -j ACCEPT
{iptables} -A ufw-before-forward -j ufw-user-forward
"""


@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
def test_ufw_is_named_with_its_own_command(guarded: Machine, program: str) -> None:
    script(guarded, UFW, program)
    refused = guarded.linkspan("up", guarded.file(LAB), status=2).stderr
    assert ".yaml:5:8: bridge br0: a firewall of this machine drops what it forwards" in refused
    assert "policy drop: what comes from br0" in refused
    assert "(ufw)" in refused
    assert "next: ufw route allow in on br0; ufw route allow out on br0" in refused
    script(guarded, "{iptables} -A ufw-user-forward -i br0 -j ACCEPT", program)
    guarded.linkspan("plan", guarded.file(LAB))


@pytest.mark.parametrize("program", ["iptables-legacy", "ip6tables-legacy", "iptables-nft"])
@pytest.mark.parametrize("by", ["-P FORWARD DROP", "-A FORWARD -j REJECT"])
def test_iptables_drops_by_policy_or_by_rule(guarded: Machine, program: str, by: str) -> None:
    guarded.run([program, *by.split()], status=0)
    guarded.run([program, "-N", "OTHERS"], status=0)
    guarded.run([program, "-A", "OTHERS", "-i", "br0", "-j", "ACCEPT"], status=0)
    refused = guarded.linkspan("plan", guarded.file(LAB), status=2).stderr
    assert ("by rule 1" in refused) == (program != "iptables-nft" and "REJECT" in by)
    (step,) = [line for line in refused.splitlines() if line.startswith("  next: ")]
    for command in step.removeprefix("  next: ").split("; "):
        guarded.run(["sh", "-c", command], status=0)
    guarded.linkspan("up", guarded.file(LAB))
    guarded.linkspan("down", "office")


def test_an_administrators_chain_is_named_with_commands_that_help(guarded: Machine) -> None:
    gate = "table inet office { chain gate { type filter hook forward priority 0; policy drop; }\n}"
    guarded.run(["nft", "-f", "-"], status=0, input=gate)
    refused = guarded.linkspan("up", guarded.file(LAB), status=2).stderr
    found = "chain gate of table inet office (nftables), hook forward, policy drop"
    assert f"found: {found}: what comes from br0" in refused
    (step,) = [line for line in refused.splitlines() if line.startswith("  next: ")]
    for command in step.removeprefix("  next: ").split("; "):
        guarded.run(["sh", "-c", command], status=0)
    guarded.linkspan("up", guarded.file(LAB))
    guarded.linkspan("down", "office")


def test_questions_for_addresses_and_names_have_to_get_in(guarded: Machine) -> None:
    guarded.run(["iptables-nft", "-P", "INPUT", "DROP"], status=0)
    established = ["-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT"]
    guarded.run(["iptables-nft", "-A", "INPUT", *established], status=0)
    file = guarded.file(SERVED)
    refused = guarded.linkspan("up", file, status=2).stderr
    assert "bridge br0: a firewall of this machine drops what is asked of it" in refused
    assert "hook input, policy drop: questions for DHCP on br0" in refused
    udp = ["-i", "br0", "-p", "udp", "--dport", "67", "-j", "ACCEPT"]
    guarded.run(["iptables-nft", "-A", "INPUT", *udp], status=0)
    refused = guarded.linkspan("up", file, status=2).stderr
    assert "questions for names on br0" in refused
    (step,) = [line for line in refused.splitlines() if line.startswith("  next: ")]
    guarded.run(["sh", "-c", step.removeprefix("  next: ")], status=0)
    guarded.linkspan("up", file)
    guarded.linkspan("exec", "office/a", "--", "getent", "hosts", "host")
    guarded.linkspan("down", "office")


def reaches(machine: Machine) -> bool:
    ping = ["exec", "office/a", "--", "ping", "-c1", "-W1", "10.9.0.2"]
    return machine.linkspan(*ping, status=None).returncode == 0


def test_a_chain_of_the_family_bridge_is_named(guarded: Machine) -> None:
    file = guarded.file(SWITCHED)
    guarded.linkspan("up", file)
    gate = "table bridge f { chain gate { type filter hook %s priority 0; policy drop; }\n}"
    for hook, direction in (("prerouting", "i"), ("forward", "i"), ("postrouting", "o")):
        guarded.run(["nft", "-f", "-"], status=0, input=gate % hook)
        assert not reaches(guarded)
        refused = guarded.linkspan("plan", file, status=2).stderr
        assert "bridge br0: a firewall of this machine drops what it forwards" in refused
        found = f"chain gate of table bridge f (nftables), hook {hook}, policy drop: what "
        assert f"found: {found}" in refused
        step = f'nft insert rule bridge f gate meta {direction}brname "br0" accept'
        assert f"next: {step}" in refused
        guarded.run(["nft", "add rule bridge f gate ether type { arp, ip } accept"], status=0)
        guarded.linkspan("plan", "--check", file)
        assert reaches(guarded)
        guarded.run(["nft", "flush", "ruleset"], status=0)
    guarded.linkspan("down", "office")


def test_ebtables_is_named_where_the_kernel_switches(guarded: Machine) -> None:
    guarded.run(["ebtables-nft", "-P", "INPUT", "DROP"], status=0)
    guarded.linkspan("plan", guarded.file(SWITCHED))
    refused = guarded.linkspan("plan", guarded.file(SERVED), status=2).stderr
    assert "chain INPUT of table bridge filter (ebtables), hook input, policy drop" in refused
    assert "next: ebtables -t filter -I INPUT --logical-in br0 -j ACCEPT" in refused
    guarded.linkspan("plan", guarded.file(SERVED.replace("br0: {", "br0: {engine: user, ")))


def test_bridged_packets_pass_the_rules_for_what_is_forwarded(guarded: Machine) -> None:
    file = guarded.file(SWITCHED)
    guarded.linkspan("up", file)
    guarded.run(["iptables-nft", "-P", "FORWARD", "DROP"], status=0)
    assert not reaches(guarded)
    refused = guarded.linkspan("plan", file, status=2).stderr
    assert "policy drop: what goes between ports of br0 (bridge-nf-call-*)" in refused
    bridged = ["-m", "physdev", "--physdev-is-bridged", "-j", "ACCEPT"]
    guarded.run(["iptables-nft", "-A", "FORWARD", *bridged], status=0)
    guarded.linkspan("plan", "--check", file)
    assert reaches(guarded)
    guarded.run(["iptables-nft", "-F", "FORWARD"], status=0)
    guarded.run(["sysctl", "-q", "net.bridge.bridge-nf-call-iptables=0"], status=0)
    guarded.linkspan("plan", "--check", file)
    assert reaches(guarded)
    guarded.linkspan("down", "office")


@pytest.mark.parametrize("family", ["netdev", "inet"])
def test_a_chain_at_an_uplink_is_named(guarded: Machine, family: str) -> None:
    for name in ("eth0", "eth1"):
        guarded.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"p{name}"], 0)
    text = SWITCHED.replace("engine: kernel", "engine: kernel, uplink: eth0")
    gate = "table %s f { chain gate { type filter hook ingress device %s priority 0;%s\n}\n}"
    guarded.run(["nft", "-f", "-"], 0, input=gate % (family, "eth1", "policy drop;"))
    guarded.linkspan("plan", guarded.file(text))
    guarded.run(["nft", "flush", "ruleset"], status=0)
    guarded.run(["nft", "-f", "-"], 0, input=gate % (family, "eth0", "policy drop;"))
    refused = guarded.linkspan("plan", guarded.file(text), status=2).stderr
    found = (
        f"chain gate of table {family} f (nftables), hook ingress, policy drop: what comes in by"
    )
    assert f"found: {found} ports of br0 (ARP) by eth0" in refused
    (step,) = [line for line in refused.splitlines() if line.startswith("  next: ")]
    guarded.run(["sh", "-c", step.removeprefix("  next: ")], status=0)
    guarded.linkspan("plan", guarded.file(text))
    for name in ("eth0", "eth1"):
        guarded.run(["ip", "link", "del", name], status=0)
