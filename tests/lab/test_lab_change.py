"""A running lab follows its file, and what other hands did to it is seen and put right."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from tests.machine import Machine, linkspan_command, wait_until

LAB = """
name: office
bridges:
  br0: {{engine: {engine}, address: 10.9.0.254/24, ageing-time: 60}}
  br1: {{engine: {engine}}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.1/24}}}}, gateway: 10.9.0.254}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.2/24}}}}}}
  c: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.3/24}}}}}}
"""

ENGINES = ["kernel", "user"]
Steps = list[str]


@pytest.fixture(params=ENGINES)
def text(request: pytest.FixtureRequest) -> str:
    return LAB.format(engine=request.param)


@pytest.fixture
def office(machine: Machine, text: str) -> Iterator[Machine]:
    """A machine with the lab up; a TCP session between a and b goes through all of the test."""
    machine.linkspan("up", machine.file(text))
    with (
        machine.start(
            linkspan_command("exec", "office/b", "--", *ECHO_SERVER), stdout=subprocess.PIPE
        ) as server,
        machine.start(
            linkspan_command("exec", "office/a", "--", *ECHO_CLIENT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as client,
    ):
        assert server.stdout is not None
        assert client.stdin is not None
        assert client.stdout is not None
        assert server.stdout.readline() == "ready\n"
        assert client.stdout.readline() == "connected\n"
        yield machine
        client.stdin.write("still there\n")
        client.stdin.close()
        assert client.stdout.readline() == "still there\n", "the session broke"
        client.wait(20)
        server.kill()
    machine.linkspan("down", "office")


ECHO_SERVER = [
    "python3",
    "-c",
    "import socket; s = socket.create_server(('10.9.0.2', 7)); print('ready', flush=True);"
    "c, _ = s.accept(); f = c.makefile('rwb', 0)\nfor line in f: f.write(line)",
]
ECHO_CLIENT = [
    "python3",
    "-c",
    "import socket, sys, time\n"
    "for _ in range(200):\n"
    "    try: c = socket.create_connection(('10.9.0.2', 7)); break\n"
    "    except OSError: time.sleep(0.05)\n"
    "print('connected', flush=True); f = c.makefile('rwb', 0)\n"
    "for line in sys.stdin:\n"
    "    f.write(line.encode()); print(f.readline().decode(), end='', flush=True)",
]


def steps(machine: Machine, text: str) -> Steps:
    """What `plan` says would be done."""
    answer = machine.linkspan("plan", "--json", machine.file(text, "new.yaml"))
    return [change["action"] for change in json.loads(answer.stdout)]


def follow(machine: Machine, text: str) -> Steps:
    """Do what `plan` says, by `up`; afterwards there is nothing to do."""
    planned = steps(machine, text)
    file = machine.file(text, "new.yaml")
    machine.linkspan("plan", "--check", file, status=1 if planned else 0)
    done = json.loads(machine.linkspan("up", "--json", file).stdout)
    assert [change["action"] for change in done["plan"]] == planned
    assert steps(machine, text) == []
    machine.linkspan("plan", "--check", file)
    return planned


def test_an_option_is_changed_and_nothing_else(office: Machine, text: str) -> None:
    assert follow(office, text.replace("ageing-time: 60", "ageing-time: 90")) == [
        "change br0: ageing-time 90 instead of 60"
    ]
    (bridge, _) = json.loads(office.linkspan("show", "office", "--json").stdout)["bridges"]
    assert bridge["options"]["ageing_time"] == 90


def test_a_port_gets_another_option(office: Machine, text: str) -> None:
    isolated = text.replace("10.9.0.3/24}", "10.9.0.3/24, isolated: true}")
    assert follow(office, isolated) == ["change eth0 of c: isolated on instead of off"]
    assert follow(office, text) == ["change eth0 of c: isolated off instead of on"]


def test_a_node_comes_and_goes(office: Machine, text: str) -> None:
    more = text + "  d: {ports: {eth0: {bridge: br0, address: 10.9.0.4/24}}}\n"
    assert follow(office, more) == [
        "make the container d",
        "make eth0 in d, a port of br0",
        "add 10.9.0.4/24 to eth0 of d",
        "set eth0 of d up",
    ]
    office.linkspan("exec", "office/d", "--", "ping", "-c1", "-W2", "10.9.0.1")
    assert follow(office, text) == [
        "remove eth0 from d and br0",
        "remove the container d",
    ]


def test_a_node_moves_to_another_bridge_and_keeps_its_interface(office: Machine, text: str) -> None:
    before = office.linkspan("exec", "office/c", "--", "ip", "-br", "addr").stdout
    moved = text.replace(
        "eth0: {bridge: br0, address: 10.9.0.3", "eth0: {bridge: br1, address: 10.9.0.3"
    )
    assert follow(office, moved) == ["change eth0 of c: bridge br1 instead of br0"]
    assert office.linkspan("exec", "office/c", "--", "ip", "-br", "addr").stdout == before
    ping = ["ping", "-c3", "-W1", "-i0.5", "10.9.0.1"]
    office.linkspan("exec", "office/c", "--", *ping, status=1)
    assert follow(office, text) == ["change eth0 of c: bridge br0 instead of br1"]
    office.linkspan("exec", "office/c", "--", *ping)


def test_an_address_changes_with_the_new_one_first(office: Machine, text: str) -> None:
    assert follow(office, text.replace("10.9.0.3/24", "10.9.0.33/24")) == [
        "add 10.9.0.33/24 to eth0 of c",
        "delete 10.9.0.3/24 from eth0 of c",
    ]


@pytest.mark.parametrize(
    ("node", "damage"),
    [
        ("c", "ip link delete eth0"),
        ("c", "ip address delete 10.9.0.3/24 dev eth0"),
        ("c", "ip link set eth0 down"),
        ("c", "ip link set eth0 mtu 1300"),
        ("host", "ip address delete 10.9.0.254/24 dev br0"),
    ],
)
def test_damage_is_seen_and_repaired(office: Machine, text: str, node: str, damage: str) -> None:
    office.linkspan("exec", f"office/{node}", "--", *damage.split())
    planned = office.linkspan("plan", office.file(text)).stdout
    assert "by other hands" in planned
    follow(office, text)
    office.linkspan("exec", "office/c", "--", "ping", "-c1", "-W2", "10.9.0.254")


STATION = "52:54:00:00:00:07"


def with_entry(text: str, value: str) -> str:
    return text.replace("ageing-time: 60", f'ageing-time: 60, fdb: {{"{STATION}": {value}}}')


def entries(machine: Machine) -> list[tuple[str, str]]:
    """Port and kind of the entries of that address."""
    found = json.loads(machine.linkspan("fdb", "office", "--json").stdout)["br0"]
    return [(entry["port"], entry["kind"]) for entry in found if entry["mac"] == STATION]


def test_static_entries_are_as_the_file_says(office: Machine, text: str) -> None:
    there = with_entry(text, "c.eth0")
    assert follow(office, there) == [f"add {STATION} at c.eth0 to the FDB of br0"]
    assert entries(office) == [("c.eth0", "static")]
    assert follow(office, with_entry(text, "{port: b.eth0, sticky: true}")) == [
        f"change entry {STATION} of br0: port b.eth0 instead of c.eth0; sticky on instead of off"
    ]
    assert entries(office) == [("b.eth0", "sticky")]
    assert follow(office, text) == [f"delete {STATION} at b.eth0 from the FDB of br0"]
    assert entries(office) == []


def test_an_entry_that_a_frame_took_along_is_put_back(office: Machine, text: str) -> None:
    there = with_entry(text, "c.eth0")
    follow(office, there)
    stranger = ["python3", "-c", FRAME_OF_A_STRANGER, STATION.replace(":", "")]
    office.linkspan("exec", "office/b", "--", *stranger)
    wait_until(lambda: entries(office) == [("b.eth0", "static")])
    assert follow(office, there) == [
        f"change entry {STATION} of br0: port c.eth0 instead of b.eth0"
    ]
    assert entries(office) == [("c.eth0", "static")]


FRAME_OF_A_STRANGER = (
    "import socket, sys; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW);"
    "s.bind(('eth0', 0)); s.send(b'\\xff' * 6 + bytes.fromhex(sys.argv[1]) + bytes(48))"
)


def test_an_entry_goes_with_its_port(office: Machine, text: str) -> None:
    more = with_entry(
        text + "  d: {ports: {eth0: {bridge: br0, address: 10.9.0.4/24}}}\n", "d.eth0"
    )
    follow(office, more)
    assert entries(office) == [("d.eth0", "static")]
    assert follow(office, text) == ["remove eth0 from d and br0", "remove the container d"]
    assert entries(office) == []


def test_what_somebody_added_by_hand_stays(office: Machine, text: str) -> None:
    by_hand = "exec office/c -- ip address add 10.77.0.1/24 dev eth0"
    office.linkspan(*by_hand.split())
    assert steps(office, text) == []
    follow(office, text.replace("ageing-time: 60", "ageing-time: 90"))
    shown = office.linkspan("exec", "office/c", "--", "ip", "-br", "addr").stdout
    assert "10.77.0.1/24" in shown


def test_a_port_taken_out_of_the_kernels_bridge_is_put_back(machine: Machine) -> None:
    text = LAB.format(engine="kernel")
    machine.linkspan("up", machine.file(text))
    machine.linkspan("exec", "office/host", "--", "ip", "link", "set", "c.eth0", "nomaster")
    assert follow(machine, text) == ["change eth0 of c: bridge br0 instead of none"]
    machine.linkspan(
        "exec", "office/host", "--", "bridge", "link", "set", "dev", "c.eth0", "isolated", "on"
    )
    assert follow(machine, text) == ["change eth0 of c: isolated off instead of on"]
    machine.linkspan("down", "office")


def test_another_engine_makes_the_bridge_and_its_ports_anew(machine: Machine) -> None:
    machine.linkspan("up", machine.file(LAB.format(engine="kernel")))
    planned = follow(machine, LAB.format(engine="user"))
    assert planned[-1].startswith("route 0.0.0.0/0 of a")
    machine.linkspan("exec", "office/c", "--", "ping", "-c1", "-W2", "10.9.0.1")
    follow(machine, LAB.format(engine="kernel"))
    machine.linkspan("exec", "office/c", "--", "ping", "-c1", "-W2", "10.9.0.1")
    machine.linkspan("down", "office")


def test_a_failing_action_is_undone(machine: Machine, text: str) -> None:
    """The kernel refuses a route to a gateway of which the file can't know that it is no unicast
    address here: the change before it is taken back.
    """
    machine.linkspan("up", machine.file(text))
    machine.linkspan(
        "exec", "office/c", "--", "ip", "link", "add", "eth1", "type", "dummy", status=None
    )
    machine.linkspan(
        "exec", "office/c", "--", "ip", "link", "add", "eth1", "type", "bridge", status=None
    )
    taken = text.replace("10.9.0.3/24}}}", "10.9.0.3/24}, eth1: {bridge: br1}}}").replace(
        "ageing-time: 60", "ageing-time: 90"
    )
    refused = machine.linkspan("up", machine.file(taken, "taken.yaml"), status=3)
    assert "cannot make eth1 in c" in refused.stderr
    assert "what had been done was undone" in refused.stderr
    assert steps(machine, text) == []
    machine.linkspan("down", "office")


def test_watch_repairs_as_it_happens(machine: Machine, text: str) -> None:
    file = machine.file(text)
    with machine.start(
        linkspan_command("up", "--watch", file), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as keeper:
        assert keeper.stdout
        assert "office is up" in keeper.stdout.readline()
        machine.linkspan("exec", "office/c", "--", "ip", "link", "delete", "eth0")
        # The reason depends on whether it was read while the two ends went one after the other.
        assert any("make eth0 in c" in line for line in iter(keeper.stdout.readline, ""))
        machine.linkspan("exec", "office/c", "--", "ping", "-c1", "-W2", "10.9.0.1", status=None)
        machine.linkspan("down", "office")
        assert keeper.wait(20) == 0
