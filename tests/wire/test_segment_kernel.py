"""Segmentation, judged by the kernel that needs it.

Two network namespaces of a forked child hold one tap each, with every offload on. The child is
the wire between them: each frame that one kernel sends goes through `complete` and into the other
tap as plain frames. The receiving kernel checks every checksum and puts the stream together.
Nothing outlives the child; an alarm ends it when it hangs.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import ipaddress
import os
import select
import signal
import socket
import struct
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from linkspan.wire import ethernet, ipv4, ipv6, vnet
from linkspan.wire.formats import BadFormat
from linkspan.wire.ipv4 import Protocol
from linkspan.wire.segment import complete
from linkspan.wire.vnet import GsoType

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
CSUM_AND_TSO, USO = 0x0F, 0x60
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCGIFINDEX = 0x8914, 0x8916, 0x891C, 0x8933
CLONE_NEWNET = 0x40000000
UDP_SEGMENT = 103
SECONDS = 20
MTU_FRAME = 1514
STREAM = bytes(range(251)) * 8000
DATAGRAMS, DATAGRAM = 40, 1200

FAMILIES = {
    "v4": (socket.AF_INET, ["192.0.2.1", "192.0.2.2"], GsoType.TCPV4),
    "v6": (socket.AF_INET6, ["fd00::1", "fd00::2"], GsoType.TCPV6),
}

needs_taps = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK),
    reason="needs root and /dev/net/tun to make taps in namespaces of its own",
)


class Host:
    """A network namespace whose only interface is a tap that we hold."""

    def __init__(self, address: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH22x", b"tap0", flags))
        fcntl.ioctl(self.tap, TUNSETOFFLOAD, CSUM_AND_TSO)
        self.has_uso = True
        try:
            fcntl.ioctl(self.tap, TUNSETOFFLOAD, CSUM_AND_TSO | USO)
        except OSError:
            self.has_uso = False
        # No waiting for the answer to "does anybody else have this address?"
        Path("/proc/sys/net/ipv6/conf/tap0/accept_dad").write_text("0")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            up = struct.pack("16sH22x", b"tap0", 1)
            if ":" in address:
                fcntl.ioctl(control, SIOCSIFFLAGS, up)
                answer = fcntl.ioctl(control, SIOCGIFINDEX, struct.pack("16s24x", b"tap0"))
                index = struct.unpack_from("i", answer, 16)[0]
                with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control6:
                    packed = ipaddress.ip_address(address).packed
                    fcntl.ioctl(control6, SIOCSIFADDR, struct.pack("16sIi", packed, 64, index))
                    wait_until_usable(control6, address)
            else:
                for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.0")):
                    packed = socket.inet_aton(value)
                    payload = struct.pack("16sHH4s16x", b"tap0", socket.AF_INET, 0, packed)
                    fcntl.ioctl(control, request, payload)
                fcntl.ioctl(control, SIOCSIFFLAGS, up)


def wait_until_usable(socket6: socket.socket, address: str) -> None:
    """The kernel takes an IPv6 address into use in its own time; the alarm is the limit."""
    while True:
        try:
            socket6.bind((address, 0))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            time.sleep(0.01)
        else:
            return


class Wire:
    """Carries frames from each host's tap to the other's and counts what it saw."""

    def __init__(self, hosts: list[Host]) -> None:
        self.routes = [(hosts[0].tap, hosts[1].tap), (hosts[1].tap, hosts[0].tap)]
        self.seen: Counter[GsoType] = Counter()
        self.segments: Counter[GsoType] = Counter()

    def carry(self) -> None:
        for ingress, egress in self.routes:
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame = os.read(ingress, 70000)
                    gso_type = vnet.parse(frame).gso_type
                    plain = complete(frame)
                    self.seen[gso_type] += 1
                    self.segments[gso_type] += len(plain)
                    for segment in plain:
                        assert len(segment) <= MTU_FRAME
                        assert_header_is_intact(segment)
                        os.write(egress, vnet.PLAIN + segment)

    def wait(self, *sockets: socket.socket) -> None:
        taps = [ingress for ingress, _ in self.routes]
        select.select(taps + [each.fileno() for each in sockets], [], [], 0.05)


def assert_header_is_intact(frame: bytes) -> None:
    header = ethernet.parse(frame)
    packet = frame[header.payload_offset :]
    if header.ethertype == ethernet.EtherType.IPV4:
        assert ipv4.has_intact_header(packet)
        assert ipv4.parse(packet).protocol in (Protocol.TCP, Protocol.UDP)
    elif header.ethertype == ethernet.EtherType.IPV6:
        with contextlib.suppress(BadFormat):
            assert ipv6.find_upper_layer(packet).has_header


def stream_arrives_whole(family: str) -> None:
    kind, addresses, gso_type = FAMILIES[family]
    hosts, sockets = [], []
    for address in addresses:
        hosts.append(Host(address))
        sockets.append(socket.socket(kind, socket.SOCK_STREAM))
        sockets[-1].setblocking(False)
    wire = Wire(hosts)
    client, server = sockets
    server.bind((addresses[1], 5001))
    server.listen()
    with contextlib.suppress(BlockingIOError):
        client.connect((addresses[1], 5001))
    peer: socket.socket | None = None
    sent, received = 0, bytearray()
    while len(received) < len(STREAM):
        wire.carry()
        with contextlib.suppress(BlockingIOError):
            if peer is None:
                peer = server.accept()[0]
                peer.setblocking(False)
            received += peer.recv(1 << 20)
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            if peer is not None and sent < len(STREAM):
                sent += client.send(STREAM[sent : sent + (1 << 18)])
                continue
        wire.wait(peer or server)
    assert received == STREAM
    assert wire.seen[gso_type] > 0, wire.seen
    assert wire.segments[gso_type] >= 2 * wire.seen[gso_type]


def datagrams_arrive_whole(family: str) -> None:
    kind, addresses, _ = FAMILIES[family]
    hosts, sockets = [], []
    for address in addresses:
        hosts.append(Host(address))
        sockets.append(socket.socket(kind, socket.SOCK_DGRAM))
        sockets[-1].setblocking(False)
    wire = Wire(hosts)
    client, server = sockets
    server.bind((addresses[1], 5001))
    client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, DATAGRAM)
    # The last datagram is shorter, and of odd length.
    payload = STREAM[: DATAGRAMS * DATAGRAM - 101]
    client.sendto(payload, (addresses[1], 5001))
    received: list[bytes] = []
    while len(received) < DATAGRAMS:
        wire.carry()
        with contextlib.suppress(BlockingIOError):
            received.append(server.recv(2000))
            continue
        wire.wait(server)
    assert b"".join(received) == payload
    assert [len(datagram) for datagram in received[:-1]] == [DATAGRAM] * (DATAGRAMS - 1)
    if all(host.has_uso for host in hosts):
        assert wire.segments[GsoType.UDP_L4] == DATAGRAMS
        assert wire.seen[GsoType.UDP_L4] == 1


def run_in_child(scenario: Callable[[str], None], family: str) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS)
            scenario(family)
            status = 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as report:
        text = report.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code == 0, text or f"the child ended with {code}; -14 is its alarm"


@needs_taps
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scenario", [stream_arrives_whole, datagrams_arrive_whole])
def test_what_one_kernel_offloads_another_receives_whole(
    scenario: Callable[[str], None], family: str
) -> None:
    run_in_child(scenario, family)
