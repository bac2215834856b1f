"""Whatever a container sends, the switch lives on, counts it, and serves the others."""

from __future__ import annotations

import random
import socket
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from tests.engine.networks import needs_root
from tests.engine.running_lab import busily, containers, lab, transfer
from tests.engine.stations import (
    BROADCAST,
    EXPERIMENT,
    PacketPeer,
    StreamPeer,
    frame_of,
    station,
    wait_until,
)

pytestmark = needs_root
both_caches = pytest.mark.parametrize("cache", ["auto", "off"])
A = station(1)


def garbage(dice: random.Random) -> bytes:
    """A frame that nobody should send."""
    size = dice.choice([14, 15, 16, 17, 18, 20, 34, 60, 590, 1514])
    frame = bytearray(dice.randbytes(size))
    kind = dice.randrange(6)
    if kind == 0:  # cut tags, and tags in tags
        frame[12:14] = dice.choice([b"\x81\x00", b"\x88\xa8"])
        frame[16:18] = b"\x81\x00"
        del frame[dice.randrange(14, 19) :]
    elif kind == 1:  # a broken IP packet
        frame[12:14] = dice.choice([b"\x08\x00", b"\x86\xdd", b"\x08\x06"])
    elif kind == 2:  # from a group
        frame[6] |= 1
    elif kind == 3:  # to a reserved address
        frame[:6] = b"\x01\x80\xc2\x00\x00" + bytes([dice.randrange(16)])
        frame[6] &= 0xFE
    elif kind == 4:  # to everybody
        frame[:6] = BROADCAST
        frame[6] &= 0xFE
    else:
        frame[6:12] = bytes(6)
    return bytes(frame)


def throw(peer: PacketPeer, dice: random.Random, frames: int = 100) -> None:
    """Send garbage; what the sender's own kernel refuses was not sent."""
    for _ in range(frames):
        with suppress(OSError):
            peer.sock.send(garbage(dice))


@both_caches
def test_garbage_from_a_container_harms_nobody(tmp_path: Path, cache: str) -> None:
    text = containers(["a", "b", "c"], f", cache: {cache}, ports: {{vm: {{kind: stream}}}}")
    with lab(tmp_path, text) as running:
        peer = running.packet_peer("a")
        near, far = running.connect("b", "c", "10.9.0.3")
        vm = StreamPeer(running.folder / "br0:vm.sock")
        dice = random.Random(7)

        def work() -> None:
            throw(peer, dice)
            vm.sock.setblocking(False)
            vm.sock.recv(1 << 20)

        with busily(work):
            transfer(near, far, 8 << 20)
        throw(peer, dice, 3000)
        vm.sock.settimeout(20)
        for _ in range(30):
            vm.send(*(garbage(dice)[: dice.randrange(40)] for _ in range(20)))
        vm.close()
        wait_until(lambda: running.counters("vm").drops.get("PKT_TOO_SMALL"), "runts are counted")
        found = running.counters("a.eth0").drops
        assert found["MAC_INVALID_SOURCE"] > 0
        assert found["MAC_IEEE_MAC_CONTROL"] > 0
        transfer(near, far, 1 << 20)
        assert running.starts() == 1


@both_caches
def test_oversize_from_a_container_is_refused_or_counted(tmp_path: Path, cache: str) -> None:
    text = containers(["a", "b"], f", cache: {cache}, mtu: 9000") + (
        "  small: {ports: {eth0: {bridge: br0, mtu: 1280}}}\n"
    )
    with lab(tmp_path, text) as running:
        running.quieten("host", "a", "b", "small")
        a, small = running.packet_peer("a"), running.packet_peer("small")
        for size in (1280, 1300, 5000, 9000):
            a.send(frame_of(BROADCAST, A, bytes(size)))
        end = frame_of(BROADCAST, A, b"end" * 20)
        a.send(end)
        assert small.receive_until(end) == [frame_of(BROADCAST, A, bytes(1280))]
        assert running.counters("small.eth0").drops["PKT_TOO_BIG"] == 3


@both_caches
def test_impossible_offload_headers_harm_nobody(tmp_path: Path, cache: str) -> None:
    """A container may claim anything in the virtio-net header of its packet socket."""
    text = containers(["a", "b", "c"], f", cache: {cache}, ports: {{vm: {{kind: stream}}}}")
    with lab(tmp_path, text) as running:
        a = running.packet_peer("a")
        a.sock.setsockopt(263, 15, 1)  # PACKET_VNET_HDR
        vm = StreamPeer(running.folder / "br0:vm.sock")
        vm.send(frame_of(BROADCAST, station(2), bytes(46)))
        dice = random.Random(11)
        accepted = 0
        for _ in range(3000):
            header = struct.pack(
                "=BBHHHH",
                dice.choice([0, 1, 2, 3]),
                dice.choice([0, 1, 3, 4, 5, 0x81]),
                dice.choice([0, 14, 34, 54, 66, 2000]),
                dice.choice([0, 1, 7, 100, 1448]),
                dice.choice([0, 14, 34, 54, 200]),
                dice.choice([0, 6, 16, 100]),
            )
            kind = dice.choice([0x0800, 0x86DD, EXPERIMENT])
            payload = bytearray(dice.randbytes(dice.choice([46, 100, 1400, 1486])))
            payload[0] = dice.choice([0x45, 0x60, 0x4F, 0])
            payload[9] = payload[6] = dice.choice([6, 17])
            try:
                a.sock.send(header + frame_of(BROADCAST, A, bytes(payload), kind))
                accepted += 1
            except OSError:
                continue
        assert accepted > 0
        near, far = running.connect("b", "c", "10.9.0.3")
        transfer(near, far, 4 << 20)
        assert running.starts() == 1
        vm.close()


@both_caches
def test_flood_of_addresses_costs_others_nothing(tmp_path: Path, cache: str) -> None:
    """50,000 senders in one container, in a table of 2,000: the others keep their places."""
    text = containers(["a", "b", "c"], f", cache: {cache}, fdb-max-learned: 2000")
    with lab(tmp_path, text) as running:
        a = running.packet_peer("a")
        near, far = running.connect("b", "c", "10.9.0.3")
        macs = {running.mac("b").hex(":"), running.mac("c").hex(":")}
        transfer(near, far, 1 << 20)
        numbers = iter(range(50_000))

        def flood() -> None:
            for number in numbers:
                a.send(frame_of(station(0xFFFFFF), station(0x200000 + number), bytes(46)))
                if number % 500 == 499:
                    return

        with busily(flood):
            transfer(near, far, 8 << 20)
            # A flow that nobody knows yet has to come up among all those.
            transfer(*running.connect("c", "b", "10.9.0.2", 7001), 1 << 20)
        for number in numbers:
            a.send(frame_of(station(0xFFFFFF), station(0x200000 + number), bytes(46)))
        learned = [entry for entry in running.snapshot().fdb if entry.kind == "learned"]
        assert len(learned) <= 2000
        assert macs <= {entry.mac for entry in learned}
        assert sum(entry.port == "a.eth0" for entry in learned) > 500
        transfer(near, far, 1 << 20)
        assert running.starts() == 1


@both_caches
def test_program_on_a_socket_that_floods_does_not_starve_the_others(
    tmp_path: Path, cache: str
) -> None:
    ports = "ports: {vm: {kind: stream}, dg: {kind: dgram}}"
    text = containers(["a", "b"], f", cache: {cache}, {ports}")
    with lab(tmp_path, text) as running:
        vm = StreamPeer(running.folder / "br0:vm.sock")
        stalled = StreamPeer(running.folder / "br0:vm.sock")
        near, far = running.connect("a", "b", "10.9.0.2")
        burst = [frame_of(BROADCAST, station(9), bytes(46))] * 500
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as program,
            busily(lambda: stalled.send(*burst)),
        ):
            program.bind(str(tmp_path / "program"))
            program.connect(str(running.folder / "br0:dg.sock"))
            program.send(frame_of(BROADCAST, station(8), bytes(46)))  # and reads nothing
            transfer(near, far, 16 << 20)
            transfer(far, near, 4 << 20)
        vm.close()
        stalled.close()
        assert running.counters("dg").drops["FULL_RING"] > 0
        assert running.starts() == 1
