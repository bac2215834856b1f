"""Networks with a way out while they run: ports published and withdrawn, rules that others delete,
a machine that was no router before, and firewalls of others.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from tests.examples.networks import ENGINES, ask, serving
from tests.machine import Machine, linkspan_command

LAB = """
name: office
bridges:
  br0: {{engine: {engine}, address: [10.9.0.254/24, "fd00:9::fe/64"], forward: nat,
         publish: [{publish}]}}
  wan: {{node: provider, engine: {engine}}}
nodes:
  provider: {{kind: host}}
  host: {{kind: host, ports: {{eth0: {{bridge: wan, address: 10.8.0.1/24}}}}}}
  outside: {{ports: {{eth0: {{bridge: wan, address: 10.8.0.2/24}}}}}}
  a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.1/24}}}}}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.2/24}}}}}}
"""
MACHINE = """
name: office
scope: host
bridges:
  br0: {address: [10.9.0.254/24, "fd00:9::fe/64"], forward: nat}
nodes:
  a: {ports: {eth0: {bridge: br0, address: 10.9.0.1/24}}}
"""

ASK_TWICE = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(2)
    s.bind(("", 4000))
    for line in sys.stdin:
        s.sendto(b"?", ("10.8.0.1", 53))
        try:
            print(s.recv(100).decode(), flush=True)
        except OSError:
            print("no", flush=True)
"""
"""Asks again and again from one port, which to the kernel is one connection."""


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def plan(machine: Machine, text: str) -> list[str]:
    lines = machine.linkspan("plan", machine.file(text)).stdout.splitlines()
    return [line.partition("  (")[0] for line in lines if line[:2] in ("+ ", "- ", "~ ")]


def test_a_published_port_leads_elsewhere_at_once(machine: Machine, engine: str) -> None:
    def text(publish: str) -> str:
        return LAB.format(engine=engine, publish=publish)

    machine.linkspan("up", machine.file(text("53:a:53/udp, 8000-8001:a:9000-9001")))
    with (
        serving(machine, "office/a", "udp:53", "tcp:9000", "tcp:9001", "tcp:8000"),
        serving(machine, "office/b", "udp:53", "tcp:8000", "tcp:8001"),
        machine.start(
            linkspan_command("exec", "office/outside", "--", "python3", "-c", ASK_TWICE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as asking,
    ):
        assert asking.stdin is not None
        assert asking.stdout is not None

        def again() -> str:
            asking.stdin.write("again\n")  # type: ignore[union-attr]
            asking.stdin.flush()  # type: ignore[union-attr]
            return asking.stdout.readline().strip()  # type: ignore[union-attr]

        assert again() == "a 10.8.0.2"
        places = [f"tcp/10.8.0.1/{port}" for port in (8000, 8001, 9000)]
        assert ask(machine, "office/outside", *places) == ["a 10.8.0.2", "a 10.8.0.2", "no"]
        other = text("53:b:53/udp, 8000-8001:b:8000-8001")
        (step,) = plan(machine, other)
        assert step.startswith("~ change rules of host: add udp 0.0.0.0:53 to 10.9.0.2:53;")
        machine.linkspan("up", machine.file(other))
        assert again() == "b 10.8.0.2", "the old connection was forgotten"
        assert ask(machine, "office/outside", *places) == ["b 10.8.0.2", "b 10.8.0.2", "no"]
        machine.linkspan("up", machine.file(text("")))
        assert again() == "no"
        assert ask(machine, "office/outside", *places) == ["no", "no", "no"]
        machine.linkspan("up", machine.file(text("53:a:53/udp")))
        assert again() == "a 10.8.0.2", "what was sent in vain is forgotten, too"
        asking.stdin.close()
    machine.linkspan("down", "office")


@pytest.mark.parametrize(
    "damage",
    [
        ["delete", "table", "inet", "linkspan-office"],
        ["flush", "chain", "inet", "linkspan-office", "forward"],
        ["add", "rule", "inet", "linkspan-office", "forward", "drop"],
        ["add", "chain", "inet", "linkspan-office", "mine"],
    ],
)
def test_rules_that_others_change_are_written_anew(machine: Machine, damage: list[str]) -> None:
    text = LAB.format(engine="kernel", publish="80:a:80")
    machine.linkspan("up", machine.file(text))
    listing = ["exec", "office/host", "--", "nft", "list", "ruleset"]
    before = machine.linkspan(*listing).stdout
    machine.linkspan("exec", "office/host", "--", "nft", *damage)
    (step,) = plan(machine, text)
    assert step[0] in "+~"
    machine.linkspan("up", machine.file(text))
    assert machine.linkspan(*listing).stdout == before
    assert plan(machine, text) == []
    machine.linkspan("down", "office")


def forwarding(machine: Machine) -> list[str]:
    files = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/lo/accept_ra"]
    return machine.run(["cat", *(f"/proc/sys/{file}" for file in files)]).stdout.split()


def tables(machine: Machine) -> str:
    return machine.run(["nft", "list", "tables"], status=0).stdout


def test_a_machine_is_a_router_as_long_as_a_lab_needs_it(machine: Machine) -> None:
    before = forwarding(machine)
    assert before[:2] == ["0", "0"]
    machine.linkspan("up", machine.file(MACHINE))
    assert forwarding(machine)[:2] == ["1", "1"]
    assert "linkspan-office" in tables(machine)
    second = MACHINE.replace("office", "second").replace("br0", "br1").replace("9", "7")
    machine.linkspan("up", machine.file(second, "second.yaml"))
    machine.linkspan("down", "office")
    assert forwarding(machine)[:2] == ["1", "1"], "the other lab needs it"
    assert "linkspan-office" not in tables(machine)
    machine.linkspan("up", machine.file(second.replace(", forward: nat", ""), "second.yaml"))
    assert forwarding(machine) == before
    assert tables(machine) == ""
    machine.linkspan("down", "second")


def test_a_machine_that_is_a_router_already_stays_one(machine: Machine) -> None:
    machine.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], status=0)
    machine.linkspan("up", machine.file(MACHINE))
    machine.linkspan("down", "office")
    assert forwarding(machine)[:2] == ["1", "0"]


@pytest.fixture
def guarded(machine: Machine) -> Iterator[Machine]:
    yield machine
    machine.run(["nft", "flush", "ruleset"], status=0)
    machine.run(["rm", "-f", "/run/xtables.lock"], status=0)


FIREWALLS = {
    "nftables": (
        "table inet office { chain gate { type filter hook forward priority 0; policy drop; }\n}",
        "chain gate of table inet office (nftables), hook forward, policy drop",
    ),
    "Docker": (
        "table ip filter { chain DOCKER-USER {\n}\n"
        "chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }\n}",
        "chain FORWARD of table ip filter (Docker), hook forward, policy drop",
    ),
    "ufw": (
        "table ip filter { chain ufw-before-forward {\n}\n"
        "chain FORWARD { type filter hook forward priority 0; policy drop; }\n}",
        "chain FORWARD of table ip filter (ufw), hook forward, policy drop",
    ),
    "firewalld": (
        "table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10;"
        " policy accept; reject; }\n}",
        "chain filter_FORWARD of table inet firewalld (firewalld), hook forward, policy accept",
    ),
}


@pytest.mark.parametrize("owner", FIREWALLS)
def test_a_firewall_that_would_drop_is_named_beforehand(guarded: Machine, owner: str) -> None:
    ruleset, found = FIREWALLS[owner]
    guarded.run(["nft", "-f", "-"], status=0, input=ruleset)
    refused = guarded.linkspan("up", guarded.file(MACHINE), status=2)
    assert "bridge br0: a firewall of this machine drops what it forwards" in refused.stderr
    assert f"found: {found}" in refused.stderr
    (step,) = [line for line in refused.stderr.splitlines() if line.startswith("  next: ")]
    assert "br0" in step
    if owner == "nftables":  # the others' programs are not here
        for command in step.removeprefix("  next: ").split("; "):
            guarded.run(["sh", "-c", command], status=0)
        guarded.linkspan("up", guarded.file(MACHINE))
        guarded.linkspan("down", "office")


def test_what_a_firewall_lets_pass_is_no_obstacle(guarded: Machine) -> None:
    ruleset = FIREWALLS["Docker"][0] + (
        '\nadd rule ip filter DOCKER-USER iifname "br0" accept'
        '\nadd rule ip filter DOCKER-USER oifname "br0" accept'
    )
    guarded.run(["nft", "-f", "-"], status=0, input=ruleset)
    guarded.linkspan("up", guarded.file(MACHINE))
    guarded.linkspan("down", "office")


@pytest.mark.parametrize("program", ["iptables-legacy", "ip6tables-legacy", "iptables-nft"])
def test_iptables_of_both_kinds_is_asked(guarded: Machine, program: str) -> None:
    guarded.run([program, "-P", "FORWARD", "DROP"], status=0)
    guarded.run([program, "-N", "OTHERS"], status=0)
    guarded.run([program, "-A", "OTHERS", "-i", "br0", "-j", "DROP"], status=0)
    guarded.run([program, "-A", "OTHERS", "-o", "br0", "-j", "ACCEPT"], status=0)
    refused = guarded.linkspan("up", guarded.file(MACHINE), status=2)
    (step,) = [line for line in refused.stderr.splitlines() if line.startswith("  next: ")]
    for command in step.removeprefix("  next: ").split("; "):
        guarded.run(["sh", "-c", command], status=0)
    guarded.linkspan("up", guarded.file(MACHINE))
    guarded.linkspan("down", "office")
    guarded.run([program, "-P", "FORWARD", "ACCEPT"], status=0)
    guarded.run([program, "-F"], status=0)
    guarded.linkspan("up", guarded.file(MACHINE))
    guarded.linkspan("down", "office")
