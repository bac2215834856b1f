"""A NIC of a host as a port: its frames go to the switch and to nobody else, until it is released.

The host is a node of a lab, and the test wires a "NIC" of it to a LAN of its own, with a client.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.engine.changed_lab import added, bring_to, change, read, removed
from tests.engine.networks import configure, namespace, needs_root, veth
from tests.engine.running_lab import RunningLab, lab, transfer
from tests.engine.stations import WAIT_SECONDS, PacketPeer, wait_until

from linkspan.engine.layer3 import add_address
from linkspan.engine.netlink import Netlink, delete_link
from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import read_namespace
from linkspan.engine.traffic_control import add_clsact, delete_clsact
from linkspan.model.interface_snapshot import Interface
from linkspan.model.state import Address, State, Uplink, UplinkKey
from linkspan.sandbox.namespaces import inside
from linkspan.wire.arp import Operation

pytestmark = needs_root
both_caches = pytest.mark.parametrize("cache", ["auto", "off"])

KEY, UPLINK = UplinkKey("host", "eth0"), Uplink(bridge="br0", engine="user")
ARP = 0x0806


def file_of(cache: str) -> str:
    return f"""
bridges:
  br0: {{engine: user, cache: {cache}, address: 10.9.0.254/16}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.1/16}}}}}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.2/16}}}}}}
"""


def give(network: int, interface: str, address: str) -> None:
    with inside(network), Netlink() as netlink:
        netlink.run([add_address(netlink.index(interface), address, Address())])


@contextmanager
def wired(running: RunningLab) -> Iterator[int]:
    """A LAN with a client at lan0, 10.9.0.9 and 10.8.0.9, behind eth0, 10.8.0.1, of the host."""
    with namespace() as lan:
        host = running.network("host")
        veth(host, "eth0", "lan0", lan)
        give(host, "eth0", "10.8.0.1/16")
        give(lan, "lan0", "10.9.0.9/16")
        give(lan, "lan0", "10.8.0.9/16")
        yield lan


def nic(running: RunningLab) -> Interface:
    with inside(running.network("host")), Dumps() as dumps:
        found = read_namespace(dumps).interface("eth0")
    assert found is not None
    return found


def connect(running: RunningLab, lan: int, number: int) -> tuple[socket.socket, socket.socket]:
    """A TCP connection from the LAN's client to the container a."""
    listening = running.open_socket("a", socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("10.9.0.1", number))
    listening.listen()
    with inside(lan):
        near = running.owned.enter_context(socket.socket())
    near.settimeout(WAIT_SECONDS)
    near.connect(("10.9.0.1", number))
    far, _ = listening.accept()
    far.settimeout(WAIT_SECONDS)
    return near, running.owned.enter_context(far)


def who_has(peer: PacketPeer, address: str) -> set[str]:
    """The MACs of everybody who answers for an address within a moment of the first."""
    own: bytes = peer.sock.getsockname()[4]
    request = b"\0\1\x08\0\6\4\0\1" + own + socket.inet_aton("10.8.0.9") + bytes(6)
    peer.waiting()
    peer.send(b"\xff" * 6 + own + b"\x08\x06" + request + socket.inet_aton(address))
    found: set[str] = set()
    reply = bytes([0, Operation.REPLY])
    while True:
        frame = peer.receive() if not found else None
        for each in [frame] if frame else peer.waiting():
            if each[20:22] == reply and each[28:32] == socket.inet_aton(address):
                found.add(each[22:28].hex(":"))
        if frame is None:
            return found


@both_caches
def test_a_nic_becomes_a_port_and_is_released_as_it_was(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running, wired(running) as lan:
        near, far = running.connect("a", "b", "10.9.0.2")
        peer = PacketPeer(lan, "lan0", ARP)
        before = nic(running)
        assert who_has(peer, "10.8.0.1") == {before.mac}
        for turn in range(2):
            change(running, added(KEY, UPLINK))
            transfer(*connect(running, lan, 7100 + turn), 4 << 20)
            transfer(near, far, 1 << 20)
            (own,) = (one.mac for one in [running.snapshot()])
            assert who_has(peer, "10.9.0.254") == {own}
            # The host still has the address, but hears the question by its bridge alone.
            assert who_has(peer, "10.8.0.1") == {own}
            assert nic(running).promiscuity == 1
            running.kill_switch()
            wait_until(lambda n=turn: running.starts() == n + 2, "started")  # type: ignore[misc]
            transfer(near, far, 1 << 20)
            transfer(*connect(running, lan, 7200 + turn), 1 << 20)
            change(running, removed(KEY, UPLINK))
            assert nic(running).promiscuity == 0
            assert {one.name for one in running.snapshot().ports} == {"br0", "a.eth0", "b.eth0"}
            assert who_has(peer, "10.8.0.1") == {before.mac}
            configure(
                running.network("host"), add_clsact(before.index), delete_clsact(before.index)
            )
        with inside(running.network("host")), Netlink() as netlink:
            assert {one.name for one in netlink.interfaces()} == {"lo", "br0", "eth0"}


@both_caches
def test_a_qdisc_that_was_there_stays(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running, wired(running):
        index = nic(running).index
        configure(running.network("host"), add_clsact(index))
        change(running, added(KEY, UPLINK))
        change(running, removed(KEY, UPLINK))
        configure(running.network("host"), delete_clsact(index))


@both_caches
def test_an_uplink_is_read_and_a_nic_that_has_gone_is_let_go(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running, wired(running):
        alone = read(running)
        wanted: State = {
            **alone,
            KEY: Uplink(bridge="br0", engine="user", options={"isolated": True}),
        }
        bring_to(running, wanted)
        assert read(running) == wanted
        configure(running.network("host"), delete_link("eth0"))
        assert read(running) == alone
        with namespace() as other:
            veth(running.network("host"), "eth0", "lan0", other)
            bring_to(running, wanted)
            assert read(running) == wanted
            bring_to(running, alone)
            assert read(running) == alone
