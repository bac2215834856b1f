"""What a container's stack left undone is finished for a program that has no offloads.

The program at the stream socket is a small TCP and UDP endpoint of the test's own; scapy judges
every frame that reaches it.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from tests.engine.networks import namespace, needs_root, veth
from tests.engine.running_lab import RunningLab, containers, lab
from tests.engine.stations import ETH_P_ALL, WAIT_SECONDS, PacketPeer, StreamPeer, station
from tests.engine.switch_process import Switch

from linkspan.sandbox.namespaces import inside

pytestmark = needs_root
both_caches = pytest.mark.parametrize("cache", ["auto", "off"])
both_families = pytest.mark.parametrize("family", [4, 6])
PROGRAM = station(0xAA)
ADDRESSES = {4: "10.9.0.99", 6: "fd09::99"}
MTU = 1500


@dataclass
class Program:
    """What sits behind the stream socket: a station without offloads."""

    peer: StreamPeer
    container: bytes
    family: int

    def receive(self, layer: Any) -> Any:
        """The next frame of this protocol that is for us; each is judged on the way."""
        while True:
            frame = self.peer.receive()
            parsed = Ether(frame)
            if frame[:6] == PROGRAM and layer in parsed:
                judge(frame)
                return parsed

    def send(self, layer: Any) -> None:
        """Send a segment to the container."""
        source, destination = ADDRESSES[self.family], "10.9.0.1" if self.family == 4 else "fd09::1"
        network = IP if self.family == 4 else IPv6
        frame = Ether(dst=self.container.hex(":"), src=PROGRAM.hex(":"))
        self.peer.send(bytes(frame / network(src=source, dst=destination) / layer))


def judge(frame: bytes) -> None:
    """A frame is as long as its headers say, fits the MTU, and has the checksums scapy finds."""
    parsed = Ether(frame)
    tag = 4 if Dot1Q in parsed else 0
    assert len(frame) <= MTU + 14 + tag
    again = parsed.copy()
    for layer, fields in ((IP, ("len", "chksum")), (IPv6, ("plen",)), (TCP, ("chksum",))):
        for field in fields:
            if layer in again:
                delattr(again[layer], field)
    if UDP in again:
        del again[UDP].chksum, again[UDP].len
    assert bytes(again) == frame


@contextmanager
def program(tmp_path: Path, cache: str, family: int) -> Iterator[tuple[RunningLab, Program]]:
    """A container that knows the program as its neighbour."""
    text = containers(["a"], f", cache: {cache}, ports: {{vm: {{kind: stream}}}}")
    with lab(tmp_path, text) as running:
        peer = StreamPeer(running.folder / "br0:vm.sock")
        network = running.network("a")
        add_neighbour(network, ADDRESSES[family])
        peer.send(b"\xff" * 6 + PROGRAM + struct.pack("!H", 0x88B5) + bytes(46))
        try:
            yield running, Program(peer, running.mac("a"), family)
        finally:
            peer.close()


def add_neighbour(network: int, address: str) -> None:
    """A permanent neighbour entry (RTM_NEWNEIGH, rtnetlink(7)), instead of answering ARP and ND."""
    packed = ip_address(address).packed
    with inside(network):
        index = socket.if_nametoindex("eth0")
        family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
        body = struct.pack("=BxxxiHBB", family, index, 0x80, 0, 0)
        body += struct.pack("=HH", 4 + len(packed), 1) + packed
        body += struct.pack("=HH", 10, 2) + PROGRAM + b"\0\0"
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
            sock.bind((0, 0))
            sock.send(struct.pack("=LHHLL", 16 + len(body), 28, 0x505, 1, 0) + body)
            answer = sock.recv(4096)
    assert struct.unpack_from("=i", answer, 16) == (0,)


@both_caches
@both_families
def test_tcp_reaches_a_socket_in_whole_segments(tmp_path: Path, cache: str, family: int) -> None:
    data = os.urandom(300_000)
    with program(tmp_path, cache, family) as (running, vm):
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        client = running.open_socket("a", kind, socket.SOCK_STREAM)

        def talk() -> None:
            client.connect((ADDRESSES[family], 5000))
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        talker = threading.Thread(target=talk)
        talker.start()
        mss = MTU - (40 if family == 4 else 60)
        opening = vm.receive(TCP)
        ports = {"sport": 5000, "dport": opening[TCP].sport}
        options = [("MSS", mss), ("NOP", None), ("WScale", 7)]
        vm.send(TCP(**ports, flags="SA", seq=1000, ack=opening[TCP].seq + 1, options=options))
        first = expected = opening[TCP].seq + 1
        got = bytearray(len(data))
        sizes = []
        while expected - first < len(data) + 1:
            segment = vm.receive(TCP)[TCP]
            payload = bytes(segment.payload)
            at = (segment.seq - first) & 0xFFFFFFFF
            if "S" in segment.flags or at > len(data):
                continue
            got[at : at + len(payload)] = payload
            if at == expected - first:
                expected += len(payload) + ("F" in segment.flags)
            sizes.append(len(payload))
            vm.send(TCP(**ports, flags="A", seq=1001, ack=expected, window=60000))
        talker.join(WAIT_SECONDS)
        assert bytes(got) == data
        assert max(sizes) == mss
        assert sizes.count(mss) > len(data) // mss - 20  # so it came in frames of many segments
        assert running.counters("vm").drops.keys() <= {"DEV_READY"}


@both_caches
@both_families
@pytest.mark.parametrize("size", [1, 1000, 1001, 1400])
def test_udp_segments_reach_a_socket_as_datagrams(
    tmp_path: Path, cache: str, family: int, size: int
) -> None:
    with program(tmp_path, cache, family) as (running, vm):
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        sender = running.open_socket("a", kind, socket.SOCK_DGRAM)
        sender.setsockopt(socket.SOL_UDP, 103, size)  # UDP_SEGMENT
        data = os.urandom(size * 20 + size // 2)
        sender.sendto(data, (ADDRESSES[family], 5000))
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        got = [bytes(vm.receive(UDP)[UDP].payload)[:size] for _ in pieces]
        assert [one[: len(piece)] for one, piece in zip(got, pieces, strict=True)] == pieces


@both_caches
def test_program_and_container_talk_both_ways(tmp_path: Path, cache: str) -> None:
    with program(tmp_path, cache, 4) as (running, vm):
        receiver = running.open_socket("a", socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("10.9.0.1", 6000))
        for number in range(20):
            vm.send(UDP(sport=5000, dport=6000) / struct.pack("!I", number))
            data, sender = receiver.recvfrom(2000)
            assert (data, sender) == (struct.pack("!I", number), ("10.9.0.99", 5000))
            receiver.sendto(data * 10, sender)
            assert bytes(vm.receive(UDP)[UDP].payload) == data * 10


@dataclass
class Unfinished:
    """A tagged frame of UDP whose checksum and segmentation are left to whoever needs them."""

    payload: bytes
    size: int

    def bytes(self) -> bytes:
        """The frame behind its virtio-net header; byte 38 is where UDP begins."""
        frame = bytearray(
            bytes(
                Ether(dst=PROGRAM.hex(":"), src=station(1).hex(":"))
                / Dot1Q(vlan=10, prio=5)
                / IP(src="10.10.0.1", dst="10.10.0.2", id=77)
                / UDP(sport=4000, dport=5000)
                / self.payload
            )
        )
        length = len(self.payload) + 8
        pseudo = frame[30:38] + struct.pack("!HH", 17, length)
        total = sum(struct.unpack("!6H", pseudo))
        struct.pack_into("!H", frame, 44, (total & 0xFFFF) + (total >> 16))
        is_long = len(self.payload) > self.size
        header = struct.pack(
            "=BBHHHH", 1, 5 if is_long else 0, 46, self.size if is_long else 0, 38, 6
        )
        return header + frame

    def check(self, peer: StreamPeer) -> None:
        """All of it reaches a program, in frames that are complete."""
        got = b""
        while len(got) < len(self.payload):
            frame = peer.receive()
            if frame[12:14] == b"\x81\x00":
                judge(frame)
                tag = Ether(frame)[Dot1Q]
                assert (tag.vlan, tag.prio) == (10, 5)
                assert len(tag[UDP].payload) <= self.size
                got += bytes(tag[UDP].payload)
        assert got == self.payload


unfinished = pytest.mark.parametrize(
    "sent",
    [Unfinished(b"short" * 20, 1000), Unfinished(os.urandom(3500), 1000)],
    ids=["one", "gso"],
)


def send_unfinished(peer: PacketPeer, sent: Unfinished) -> None:
    peer.sock.setsockopt(263, 15, 1)  # PACKET_VNET_HDR
    for _ in range(3):
        peer.sock.send(sent.bytes())


@both_caches
@unfinished
def test_tagged_traffic_of_a_container_is_finished_too(
    tmp_path: Path, cache: str, sent: Unfinished
) -> None:
    with program(tmp_path, cache, 4) as (running, vm):
        send_unfinished(running.packet_peer("a", ETH_P_ALL), sent)
        for _ in range(3):
            sent.check(vm.peer)


@unfinished
def test_tagged_traffic_through_a_packet_socket_is_finished_too(
    tmp_path: Path, sent: Unfinished
) -> None:
    """The kernel keeps the tag beside the frame, and the place of the checksum without it."""
    with namespace() as near, namespace() as far, Switch(tmp_path) as switch:
        veth(near, "p0", "eth0", far)
        switch.packet(near, "p0")
        switch.stream("s")
        switch.start()
        vm = switch.stream_peer("s")
        send_unfinished(switch.packet_peer(far, "eth0"), sent)
        for _ in range(3):
            sent.check(vm)
