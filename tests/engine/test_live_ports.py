"""Ports that come to a running switch, leave it and move to another one, under traffic."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.engine.changed_lab import added, change, changed, port, removed, with_address
from tests.engine.networks import configure, needs_root
from tests.engine.running_lab import RunningLab, lab, transfer
from tests.engine.stations import BROADCAST, frame_of, station, wait_until

from linkspan.engine.netlink import delete_link
from linkspan.model.snapshot import BridgeSnapshot
from linkspan.model.state import Entry, EntryKey, PortKey, Socket, SocketKey

pytestmark = needs_root
both_caches = pytest.mark.parametrize("cache", ["auto", "off"])


def file_of(cache: str, other: str | None = None) -> str:
    """Two containers on br0, one on br1, and one without a port."""
    return f"""
bridges:
  br0: {{engine: user, cache: {cache}}}
  br1: {{engine: user, cache: {other or cache}}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.1/16}}}}}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.2/16}}}}}}
  c: {{ports: {{eth0: {{bridge: br1, address: 10.9.0.3/16}}}}}}
  d: {{ports: {{}}}}
"""


def snapshot(running: RunningLab, bridge: str) -> BridgeSnapshot:
    return msgspec.convert(running.call("snapshot", bridge)["bridge"], BridgeSnapshot)


def ports(running: RunningLab, bridge: str) -> dict[str, int]:
    """Numbers of a bridge's ports by name."""
    return {port.name: port.number for port in snapshot(running, bridge).ports}


@both_caches
def test_a_port_comes_and_goes_while_others_talk(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        near, far = running.connect("a", "b", "10.9.0.2")
        key = PortKey("d", "eth0")
        for turn in range(2):
            change(running, added(key, port(4)), *with_address("d", "eth0", "10.9.0.4/16"))
            assert ports(running, "br0") == {"br0": 0, "a.eth0": 1, "b.eth0": 2, "d.eth0": 3}
            transfer(*running.connect("a", "d", "10.9.0.4", 7001 + turn), 1 << 20)
            transfer(near, far, 1 << 20)
            change(running, removed(key, port(4)))
            assert ports(running, "br0") == {"br0": 0, "a.eth0": 1, "b.eth0": 2}
            transfer(near, far, 1 << 20)
        assert running.starts() == 1


@both_caches
def test_the_lowest_free_number_is_taken_and_kept(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        one, two = PortKey("d", "eth0"), PortKey("d", "eth1")
        change(running, added(one, port(4)), added(two, port(5)))
        change(running, removed(one, port(4)))
        assert ports(running, "br0")["d.eth1"] == 4
        change(running, added(one, port(4)))
        assert ports(running, "br0")["d.eth0"] == 3
        assert ports(running, "br0")["d.eth1"] == 4


@pytest.mark.parametrize(
    ("cache", "other"), [("auto", "auto"), ("off", "off"), ("auto", "off"), ("off", "auto")]
)
def test_a_port_moves_to_another_bridge_and_keeps_its_interface_and_connections(
    tmp_path: Path, cache: str, other: str
) -> None:
    with lab(tmp_path, file_of(cache, other)) as running:
        near, far = running.connect("a", "b", "10.9.0.2")
        there, back = [], []
        for node in ("a", "b"):
            key, mac = PortKey(node, "eth0"), running.mac(node).hex(":")
            here, away = replace(port(1), mac=mac), replace(port(1, "br1"), mac=mac)
            there.append(changed(key, here, away))
            back.append(changed(key, away, here))
        change(running, *there)
        assert ports(running, "br0") == {"br0": 0}
        assert ports(running, "br1") == {"br1": 0, "c.eth0": 1, "a.eth0": 2, "b.eth0": 3}
        transfer(near, far, 4 << 20)
        transfer(*running.connect("c", "b", "10.9.0.2", 7001), 1 << 20)
        change(running, *back)
        transfer(near, far, 4 << 20)
        for bridge in ("br0", "br1"):
            assert running.init.call("status")["services"][f"switch:{bridge}"]["starts"] == 1


@both_caches
def test_a_mac_address_changes_in_place(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        change(running, changed(PortKey("a", "eth0"), port(1), port(77)))
        assert running.mac("a").hex(":") == port(77).mac
        transfer(*running.connect("a", "b", "10.9.0.2"), 1 << 20)


@both_caches
def test_a_port_whose_interface_was_deleted_by_hand_can_be_added_again(
    tmp_path: Path, cache: str
) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        configure(running.network("b"), delete_link("eth0"))
        change(
            running,
            added(PortKey("b", "eth0"), port(2)),
            *with_address("b", "eth0", "10.9.0.2/16"),
        )
        assert ports(running, "br0") == {"br0": 0, "a.eth0": 1, "b.eth0": 2}
        transfer(*running.connect("a", "b", "10.9.0.2"), 1 << 20)


@both_caches
def test_options_and_mtu_change_in_place(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        near, far = running.connect("a", "b", "10.9.0.2")
        key, before = PortKey("a", "eth0"), port(1)
        after = port(1, mtu=1400, hairpin=True, isolated=True)
        change(running, changed(key, before, after))
        (found,) = (port for port in snapshot(running, "br0").ports if port.name == "a.eth0")
        assert (found.options["mtu"], found.options["hairpin"]) == (1400, True)
        transfer(near, far, 1 << 20)
        running.kill_switch()
        wait_until(lambda: running.starts() == 2, "the switch is back")
        (found,) = (port for port in snapshot(running, "br0").ports if port.name == "a.eth0")
        assert (found.options["mtu"], found.options["isolated"]) == (1400, True)


@both_caches
def test_a_socket_and_an_entry_come_and_go(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        socket_key, entry_key = SocketKey("br0", "vm"), EntryKey("br0", station(9).hex(":"))
        vm, entry = Socket(kind="stream", mtu=1500), Entry(port="vm", sticky=True)
        change(running, added(socket_key, vm), added(entry_key, entry))
        assert (running.folder / "br0:vm.sock").is_socket()
        running.kill_switch()
        wait_until(lambda: running.starts() == 2, "the switch is back")
        known = {one.mac: (one.port, one.kind) for one in running.snapshot().fdb}
        assert known[station(9).hex(":")] == ("vm", "sticky")
        change(running, removed(entry_key, entry), removed(socket_key, vm))
        assert not (running.folder / "br0:vm.sock").exists()
        assert "vm" not in ports(running, "br0")
        assert station(9).hex(":") not in {one.mac for one in running.snapshot().fdb}


@both_caches
def test_frames_of_a_port_that_left_are_not_taken_for_those_of_its_successor(
    tmp_path: Path, cache: str
) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        running.quieten("a", "b", "host")
        b = running.packet_peer("b")
        for number in range(10):
            key, value = PortKey("d", "eth0"), port(4)
            change(running, added(key, value), *with_address("d", "eth0", "10.9.0.4/16"))
            d = running.packet_peer("d")
            d.send(*(frame_of(BROADCAST, station(100 + number), bytes(46)) for _ in range(200)))
            change(running, removed(key, value), added(PortKey("d", "eth1"), port(5)))
            learned = {one.mac: one.port for one in running.snapshot().fdb}
            assert "d.eth1" not in learned.values()
            change(running, removed(PortKey("d", "eth1"), port(5)))
            b.waiting()
