"""`linkspan show` without a lab, on machines of the tests' own: what others made is shown."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.machine import EXAMPLES, ROOT, Machine, linkspan_command

from linkspan.model.host_snapshot import HostSnapshot, NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface
from linkspan.model.load import load
from linkspan.view.host import host_text

MADE_BY_HAND = """
link set lo up
link add br0 address 02:00:00:00:00:0a type bridge forward_delay 400
link add veweb type veth peer name eth0 netns web
link set veweb master br0 up
link set br0 up
addr add 192.168.57.1/24 dev br0
route add default via 192.168.57.254
netns exec web ip link set eth0 up
netns exec web ip addr add 192.168.57.2/24 dev eth0
tuntap add dev tap0 mode tap
link set tap0 master br0
"""


def ip(machine: Machine, *lines: str) -> None:
    for line in lines:
        machine.run(["ip", *line.split(" ")], 0)


@pytest.fixture
def hand_made() -> Iterator[Machine]:
    """A machine of root's on which things are made by hand, which go with it."""
    if os.geteuid() != ROOT or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2")
    machine = Machine(ROOT)
    try:
        yield machine
    finally:
        machine.close()


def read(machine: Machine) -> HostSnapshot:
    return msgspec.json.decode(machine.linkspan("show", "--json").stdout, type=HostSnapshot)


def named(snapshot: HostSnapshot, name: str) -> NamespaceSnapshot:
    (found,) = [each for each in snapshot.namespaces if name in each.names]
    return found


def interface(namespace: NamespaceSnapshot, name: str) -> Interface:
    found = namespace.interface(name)
    assert found is not None
    return found


def test_machine_with_nothing(any_machine: Machine) -> None:
    snapshot = read(any_machine)
    assert snapshot.labs == ()
    assert snapshot.host.interface("lo") is not None
    text = any_machine.linkspan("show").stdout
    assert text.startswith("This machine: ")
    assert "There is no lab; linkspan up FILE makes one." in text


def test_what_was_made_by_hand_is_shown(hand_made: Machine) -> None:
    ip(hand_made, "netns add web", *filter(None, MADE_BY_HAND.splitlines()))
    snapshot = read(hand_made)
    text = hand_made.linkspan("show").stdout
    told = json.loads(hand_made.run(["ip", "-j", "link"], 0).stdout)
    assert [each.name for each in snapshot.host.interfaces] == [each["ifname"] for each in told]
    port = interface(snapshot.host, "veweb")
    web = named(snapshot, "web")
    assert port.master_name == "br0"
    assert port.peer is not None
    assert (port.peer.namespace, port.peer.interface) == (web.id, "eth0")
    for words in ("kernel bridge   02:00:00:00:00:0a", "web:eth0", "192.168.57.2/24", "tap0"):
        assert words in text
    assert "default" in text
    assert "forward-delay 4" in text


def test_text_and_json_are_the_same_values(hand_made: Machine) -> None:
    ip(hand_made, "netns add web", *filter(None, MADE_BY_HAND.splitlines()))
    hand_made.run(["ip", "netns", "exec", "web", "ip", "link", "set", "eth0", "down"], 0)
    snapshot = read(hand_made)
    text = hand_made.linkspan("show", environment={"COLUMNS": "100"}).stdout
    expected = host_text(snapshot, columns=100)
    # Namespaces and processes come and go, and counters count, between the two readings.
    drawings = [
        shown[shown.index("\n\n") : shown.index("\nbridge  no.")] for shown in (text, expected)
    ]
    assert drawings[0] == drawings[1]


def test_terminal_without_utf8_gets_plain_characters(hand_made: Machine) -> None:
    ip(hand_made, "netns add wéb", "link add brü type bridge")
    text = hand_made.linkspan(
        "show", environment={"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    ).stdout
    assert text.isascii()
    assert "br?" in text


@pytest.mark.parametrize("name", ["a b", "-n", "ünï", "$(id)", "\x1b[31mred", "back\\slash", "\n"])
def test_namespaces_of_any_name(hand_made: Machine, name: str) -> None:
    hand_made.run(["ip", "netns", "add", name], 0)
    assert named(read(hand_made), name).processes == 0
    assert "\x1b" not in hand_made.linkspan("show").stdout


def test_nodes_of_a_lab_are_known_as_such(any_machine: Machine) -> None:
    any_machine.linkspan("up", EXAMPLES / "three-containers.yaml")
    snapshot = read(any_machine)
    nodes: dict[Any, NamespaceSnapshot] = {
        each.node: each for each in snapshot.namespaces if each.lab == "demo"
    }
    assert nodes.keys() >= {"web", "db", "client", "host"}
    assert "192.168.57.2/24" in {each.address for each in nodes["web"].addresses}
    assert nodes["web"].unread == ()
    assert interface(nodes["web"], "eth0").kind in ("veth", "tap")
    assert [(lab.name, lab.state) for lab in snapshot.labs] == [("demo", "running")]
    assert "linkspan show demo" in any_machine.linkspan("show").stdout
    any_machine.linkspan("down", "demo")


def test_ordinary_user_is_told_what_could_not_be_read(ordinary_machine: Machine) -> None:
    if os.geteuid() != ROOT:
        pytest.skip("whether others have processes here is not known")
    snapshot = read(ordinary_machine)
    assert [each for each in snapshot.unread if "may not be looked into" in each]
    assert [each for each in snapshot.host.unread if each.startswith("nftables: ")]
    assert "not read: nftables" in ordinary_machine.linkspan("show").stdout


def test_more_namespaces_than_files_may_be_open(hand_made: Machine) -> None:
    for number in range(40):
        ip(hand_made, f"netns add n{number}")
    command = " ".join(map(str, linkspan_command("show", "--json")))
    told = hand_made.run(["sh", "-c", f"ulimit -n 50 && {command}"], 0).stdout
    snapshot = msgspec.json.decode(told, type=HostSnapshot)
    assert snapshot.host.interface("lo") is not None
    assert [each for each in snapshot.unread if "ulimit -n" in each]
    assert not [each for each in snapshot.namespaces if each.unread]


def test_folder_of_labs_that_is_not_ours_hides_no_machine(ordinary_machine: Machine) -> None:
    if os.geteuid() != ROOT:
        pytest.skip("needs root: takes an ordinary user's folder from him")
    taken = ordinary_machine.folder / "taken"
    taken.mkdir()
    nowhere = {"XDG_RUNTIME_DIR": str(taken)}
    folder = Path(f"/tmp/linkspan-{ordinary_machine.user}")
    if folder.exists():
        pytest.skip(f"somebody uses {folder}")
    folder.mkdir(mode=0o777)
    try:
        told = ordinary_machine.linkspan("show", "--json", environment=nowhere).stdout
    finally:
        folder.rmdir()
    snapshot = msgspec.json.decode(told, type=HostSnapshot)
    assert [each for each in snapshot.unread if each.startswith("labs: ")]


def test_file_of_the_host_loads_and_says_what_there_is(hand_made: Machine) -> None:
    ip(hand_made, "netns add web", *filter(None, MADE_BY_HAND.splitlines()))
    path = hand_made.folder / "host.yaml"
    said = hand_made.linkspan("import", "host", "-o", path).stdout
    assert said.startswith(f"{path}: 1 bridge, 1 node")
    snapshot = read(hand_made)
    topology = load(path)
    assert hand_made.linkspan("import", "host").stdout == path.read_text()
    br0 = topology.bridges["br0"]
    found = interface(snapshot.host, "br0")
    assert (br0.mac, br0.mtu, br0.up) == (found.mac, found.mtu, found.up)
    assert br0.address == ("192.168.57.1/24",)
    eth0 = topology.nodes["web"].ports["eth0"]
    assert eth0.mac == interface(named(snapshot, "web"), "eth0").mac
    assert eth0.address == ("192.168.57.2/24",)
    said_otherwise = path.read_text()
    for option, value in (found.bridge_options or {}).items():
        key = option.replace("_", "-")
        assert getattr(br0, option) == value or f"# without {key}" in said_otherwise


def test_file_that_cannot_be_written_is_a_mistake(hand_made: Machine) -> None:
    ip(hand_made, "link add br0 type bridge")
    refused = hand_made.linkspan("import", "host", "-o", "/nowhere/host.yaml", status=2)
    assert "/nowhere/host.yaml: cannot be written: No such file or directory" in refused.stderr


def test_host_without_bridges_gives_no_file(hand_made: Machine) -> None:
    path = hand_made.folder / "host.yaml"
    refused = hand_made.linkspan("import", "host", "-o", path, status=2)
    assert "the host has no bridge" in refused.stderr
    assert not path.exists()
