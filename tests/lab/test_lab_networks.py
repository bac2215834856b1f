"""Networks with a way out while they run: ports published and withdrawn, rules that others delete,
a machine that was no router before.
"""

from __future__ import annotations

import subprocess

import pytest
from tests.examples.networks import ENGINES, ask, serving
from tests.lab.actions import actions
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
        (step,) = actions(machine, "plan", other)
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
    (step,) = actions(machine, "plan", text)
    assert step[0] in "+~"
    machine.linkspan("up", machine.file(text))
    assert machine.linkspan(*listing).stdout == before
    assert actions(machine, "plan", text) == []
    machine.linkspan("down", "office")


def test_a_network_is_translated_in_one_family_and_routed_in_the_other(
    machine: Machine, engine: str
) -> None:
    """As with a prefix from a provider, to which there is a route."""
    wan = "bridge: wan, address: [10.8.0.{0}/24, 'fd00:8::{0}/64']"
    text = LAB.format(engine=engine, publish="80:a:80")
    text = text.replace("forward: nat", "forward: nat, forward-ipv6: routed")
    for last in ("1", "2"):
        text = text.replace(f"bridge: wan, address: 10.8.0.{last}/24", wan.format(last))
    text = text.replace("address: 10.9.0.1/24", "address: [10.9.0.1/24, 'fd00:9::1/64']")
    text = text.replace("  outside: {", "  outside: {routes: [&routes], ")
    routes = [("10.9.0.0/24", "10.8.0.1"), ("fd00:9::/64", "fd00:8::1")]
    written = ", ".join(f"{{destination: '{to}', via: '{via}'}}" for to, via in routes)
    file = machine.file(text.replace("&routes", written))
    machine.linkspan("up", file)
    machine.linkspan("plan", "--check", file)
    with serving(machine, "office/outside", "tcp:80"), serving(machine, "office/a", "tcp:80"):
        assert ask(machine, "office/a", "tcp/10.8.0.2/80", "tcp/fd00:8::2/80") == [
            "outside 10.8.0.1",
            "outside fd00:9::1",
        ]
        places = ("10.9.0.1", "fd00:9::1", "10.8.0.1", "fd00:8::1")
        assert ask(machine, "office/outside", *(f"tcp/{each}/80" for each in places)) == [
            "no",
            "a fd00:8::2",
            "a 10.8.0.2",
            "a fd00:8::2",
        ]
    shown = machine.linkspan("show", "office").stdout
    assert "nat, IPv6 routed" in shown
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


def test_a_machine_that_becomes_a_router_keeps_the_way_out_that_it_was_told_of(
    machine: Machine,
) -> None:
    """The routers that it listens to are those behind its own network cards."""
    script = """
    ip link add up0 type veth peer name far0
    ip link add up1 type veth peer name far1
    sysctl -qw net.ipv6.conf.up1.accept_ra=0
    """
    machine.run(["sh", "-ec", script], status=0)

    def listening() -> list[str]:
        files = (f"/proc/sys/net/ipv6/conf/{name}/accept_ra" for name in ("up0", "up1"))
        return machine.run(["cat", *files], status=0).stdout.split()

    file = machine.file(MACHINE)
    steps = actions(machine, "plan", MACHINE)
    step = "set net/ipv6/conf/up0/accept_ra of host to 2"
    (listens,) = [place for place, each in enumerate(steps) if step in each]
    (routes,) = [place for place, each in enumerate(steps) if "all/forwarding" in each]
    assert listens < routes, "becoming a router forgets what was heard"
    machine.linkspan("up", file)
    machine.linkspan("plan", "--check", file)
    assert listening() == ["2", "0"]
    second = MACHINE.replace("office", "second").replace("br0", "br1").replace("9", "7")
    machine.linkspan("up", machine.file(second, "second.yaml"))
    machine.linkspan("down", "office")
    assert listening() == ["2", "0"], "the other lab needs it"
    machine.linkspan("down", "second")
    assert listening() == ["1", "0"]
    for name in ("up0", "up1"):
        machine.run(["ip", "link", "delete", name], status=0)


def test_a_machine_that_is_a_router_already_stays_one(machine: Machine) -> None:
    machine.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], status=0)
    machine.linkspan("up", machine.file(MACHINE))
    machine.linkspan("down", "office")
    assert forwarding(machine)[:2] == ["1", "0"]
