"""What the tests of the user engine stand on: a switch process by itself, and whole labs.

`Switch` is the real process with descriptors of the test's own making; its ports are UNIX sockets
and interfaces in network namespaces that exist only as descriptors of the test process, so that
they go with it whatever happens. `lab` brings a whole lab up and takes it down. Sockets are opened
inside a namespace (`inside`) and used from outside.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

import linkspan
from linkspan.bridge.port import PortOptions
from linkspan.control.lines import Client, listen
from linkspan.engine.netlink import Netlink, Request, add_veth, set_link
from linkspan.engine.user.configuration import (
    PortConfiguration,
    SwitchConfiguration,
    control_key,
    memory_key,
)
from linkspan.engine.user.devices import open_packet_socket, open_tap, open_unix_socket
from linkspan.engine.user.memory import make_memory
from linkspan.lab.observe import fetch_network
from linkspan.model.snapshot import BridgeSnapshot, Counters
from linkspan.sandbox import holder, state
from linkspan.sandbox.namespaces import close_all, inside
from linkspan.sandbox.syscalls import CLONE_NEWNET, unshare
from linkspan.sandbox.worker import run_inside

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/net/tun", os.W_OK),
    reason="needs root and /dev/net/tun: makes namespaces and taps of its own",
)

WAIT_SECONDS = 20.0
"""How long anything may take that has to happen; a hang, not a slow machine, is beyond it."""

EXPERIMENT = 0x88B5
"""EtherType for local experiments (IEEE 802-2014, 9.2.3)."""

BROADCAST = b"\xff" * 6
BRIDGE_MAC = "02:00:00:00:00:99"
ETH_P_ALL = 3
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23

_numbers = itertools.count()
Found = TypeVar("Found")


def station(number: int) -> bytes:
    """A MAC address."""
    return b"\x52\x54\x00" + number.to_bytes(3, "big")


def frame_of(
    destination: bytes, source: bytes, payload: bytes = b"", kind: int = EXPERIMENT
) -> bytes:
    """An Ethernet frame."""
    return destination + source + struct.pack("!H", kind) + payload


def wait_until(look: Callable[[], Found | None], what: str) -> Found:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.01)


# stations


class StreamPeer:
    """A program on a stream port, as QEMU is one."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WAIT_SECONDS)
        self.sock.connect(str(path))
        self._received = b""

    def send(self, *frames: bytes) -> None:
        """Send frames in one piece."""
        self.sock.sendall(b"".join(struct.pack("!I", len(frame)) + frame for frame in frames))

    def receive(self) -> bytes:
        """The next frame; EOFError when the switch hung up."""
        while len(self._received) < 4 or len(self._received) < 4 + self._length():
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError
            self._received += data
        end = 4 + self._length()
        frame, self._received = self._received[4:end], self._received[end:]
        return frame

    def _length(self) -> int:
        return int.from_bytes(self._received[:4], "big")

    def receive_until(self, last: bytes) -> list[bytes]:
        """All frames in front of `last`."""
        return list(iter(self.receive, last))

    def close(self) -> None:
        self.sock.close()


class DatagramPeer:
    """A program on a dgram port."""

    def __init__(self, path: Path, port: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.settimeout(WAIT_SECONDS)
        self.sock.bind(str(path))
        self.sock.connect(str(port))

    def send(self, *frames: bytes) -> None:
        """Send frames, one a datagram."""
        for frame in frames:
            self.sock.send(frame)

    def receive(self) -> bytes:
        """The next frame."""
        return self.sock.recv(1 << 20)

    def receive_until(self, last: bytes) -> list[bytes]:
        """All frames in front of `last`."""
        return list(iter(self.receive, last))

    def close(self) -> None:
        self.sock.close()


class PacketPeer:
    """A raw socket on an interface of a namespace: whatever a container might send."""

    def __init__(self, network: int, interface: str, kind: int = ETH_P_ALL) -> None:
        """`kind` is the one EtherType to hear, or that of all."""
        with inside(network):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            self.sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
            self.sock.bind((interface, kind))
        self.sock.settimeout(WAIT_SECONDS)

    def send(self, *frames: bytes) -> None:
        """Send frames; waits while the interface's queue is full."""
        for frame in frames:
            while True:
                try:
                    self.sock.send(frame)
                    break
                except OSError as error:
                    if error.errno != 105:  # ENOBUFS
                        raise
                    time.sleep(0.001)

    def receive(self) -> bytes:
        """The next frame."""
        return self.sock.recv(1 << 17)

    def receive_until(self, last: bytes) -> list[bytes]:
        """All frames in front of `last`."""
        return list(iter(self.receive, last))

    def waiting(self) -> list[bytes]:
        """What has come up to now."""
        frames = []
        self.sock.setblocking(False)
        try:
            while True:
                frames.append(self.sock.recv(1 << 17))
        except BlockingIOError:
            return frames
        finally:
            self.sock.settimeout(WAIT_SECONDS)

    def close(self) -> None:
        self.sock.close()


# namespaces


@contextmanager
def namespace(ipv6: bool = False) -> Iterator[int]:
    """A network namespace, without IPv6's chatter; it exists as long as its descriptor."""
    made: list[int] = []

    def make() -> None:
        unshare(CLONE_NEWNET)
        for scope in ("all", "default"):
            path = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
            path.write_text("0" if ipv6 else "1")
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    try:
        yield made[0]
    finally:
        os.close(made[0])


def configure(network: int, *requests: Request) -> None:
    """Carry out netlink requests in a namespace."""
    with inside(network), Netlink() as netlink:
        netlink.run(requests)


def veth(network: int, near: str, far: str, far_network: int, mtu: int = 1500) -> None:
    """A veth pair, both ends up."""
    configure(
        network,
        add_veth(near, far, far_network, f"52:54:01:00:00:{next(_numbers) % 256:02x}"),
        set_link(near, up=True, mtu=mtu),
    )
    configure(far_network, set_link(far, up=True, mtu=mtu))


# a switch by itself


def _is_readable(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


@dataclass
class Switch:
    """A switch process whose ports the test made. Use it in a `with` block."""

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    ports: list[PortConfiguration] = field(default_factory=list)
    given: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._owned = ExitStack()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Switch:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        close_all([number for group in self.given.values() for number in group])
        self._owned.close()

    def path(self, port: str) -> Path:
        """Where the socket of a port is."""
        return self.folder / f"{port}.sock"

    def add(self, name: str, kind: str, descriptor: int, **options: Any) -> None:
        """Give the switch a port; only before it is started."""
        port = PortConfiguration(
            number=len(self.ports) + 1,
            name=name,
            kind=kind,
            mac=None,
            node=None,
            interface=None,
            options=PortOptions(**options),
        )
        self.ports.append(port)
        self.given[port.key("br0")] = [descriptor]

    def stream(self, *names: str, **options: Any) -> None:
        for name in names:
            descriptor = open_unix_socket(self.path(name), socket.SOCK_STREAM)
            self.add(name, "stream", descriptor, **options)

    def dgram(self, *names: str, **options: Any) -> None:
        for name in names:
            descriptor = open_unix_socket(self.path(name), socket.SOCK_DGRAM)
            self.add(name, "dgram", descriptor, **options)

    def tap(self, network: int, name: str, mtu: int = 1500, **options: Any) -> None:
        """A tap in a namespace, up."""
        with inside(network):
            descriptor = open_tap(name)
        configure(network, set_link(name, up=True, mtu=mtu))
        self.add(name, "tap", descriptor, **options)

    def packet(self, network: int, interface: str, **options: Any) -> None:
        """A packet socket on an interface."""
        with inside(network):
            descriptor = open_packet_socket(interface)
        self.add(interface, "veth", descriptor, **options)

    def start(self) -> Switch:
        """Start the process and wait until it answers."""
        control = listen(self.path("control"))
        self.given[control_key("br0")] = [control.detach()]
        self.given[memory_key("br0")] = [make_memory()]
        values: dict[str, Any] = {
            "name": "br0",
            "node": "host",
            "mac": BRIDGE_MAC,
            "up": True,
            "ageing_time": 300.0,
            "fdb_max_learned": 65536,
            "group_fwd_mask": 0,
            "cache": "off: not in this test",
            **self.options,
        }
        configuration = SwitchConfiguration(**values, ports=self.ports, descriptors=self.given)
        memory = os.memfd_create("configuration", 0)
        os.write(memory, msgspec.json.encode(configuration))
        os.lseek(memory, 0, os.SEEK_SET)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "linkspan.engine.user.process", str(memory)],
            pass_fds=[memory, *(number for group in self.given.values() for number in group)],
        )
        os.close(memory)
        # The listening socket is there before the process is, so a start that fails is no refusal.
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self.path("control")))
            asking.sendall(b'{"op": "counters"}\n')
            asking.setblocking(False)
            wait_until(lambda: not self.lives or _is_readable(asking), "the switch starts")
        assert self.lives, "the switch process ended"
        return self

    def stop(self) -> None:
        """End the process, if it runs."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(WAIT_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def lives(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def client(self) -> Client:
        return self._owned.enter_context(Client(self.path("control"), timeout=WAIT_SECONDS))

    def call(self, op: str, **fields: Any) -> dict[str, Any]:
        """One request on a connection of its own."""
        with Client(self.path("control"), timeout=WAIT_SECONDS) as client:
            return client.call(op, **fields)

    def snapshot(self) -> BridgeSnapshot:
        return msgspec.convert(self.call("snapshot")["bridge"], BridgeSnapshot)

    def counters(self, port: str) -> Counters:
        return msgspec.convert(self.call("counters")["ports"][port], Counters)

    def where(self, mac: bytes) -> str | None:
        """The port behind which an address is known to live."""
        found = {entry.mac: entry.port for entry in self.snapshot().fdb}
        return found.get(mac.hex(":"))

    def stream_peer(self, port: str) -> StreamPeer:
        """Connect to a stream port, and wait until the switch knows."""
        peer = StreamPeer(self.path(port))
        self._owned.callback(peer.close)
        own = station(0xF00000 + next(_numbers))
        peer.send(frame_of(b"\x01\x80\xc2\x00\x00\x01", own))  # a pause frame, which ends here
        before = self.counters(port).frames_in
        wait_until(lambda: self.counters(port).frames_in > before or before, "accepted")
        return peer

    def dgram_peer(self, port: str) -> DatagramPeer:
        """A program behind a dgram port, which knows it from then on."""
        peer = DatagramPeer(self.folder / f"peer{next(_numbers)}", self.path(port))
        self._owned.callback(peer.close)
        before = self.counters(port).frames_in
        peer.send(frame_of(b"\x01\x80\xc2\x00\x00\x01", station(0xF00000 + next(_numbers))))
        wait_until(lambda: self.counters(port).frames_in > before, "the peer is known")
        return peer

    def packet_peer(self, network: int, interface: str) -> PacketPeer:
        peer = PacketPeer(network, interface)
        self._owned.callback(peer.close)
        return peer


# whole labs


class RunningLab:
    """A lab that is up, and quick ways into it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = state.folder(name)
        self.init = holder.connect(self.folder)
        self.owned = ExitStack()
        self._networks: dict[str, int] = {}

    def close(self) -> None:
        self.owned.close()
        close_all(list(self._networks.values()))
        self.init.close()

    def network(self, node: str) -> int:
        """A descriptor of the node's network namespace."""
        if node not in self._networks:
            self._networks[node] = fetch_network(self.init, node)
        return self._networks[node]

    def mac(self, node: str) -> bytes:
        """The address of the node's eth0."""
        address: bytes = self.packet_peer(node).sock.getsockname()[4]
        return address

    def quieten(self, *nodes: str) -> None:
        """Switch IPv6 off in nodes, so that no frame leaves them unasked."""
        for node in nodes:
            with inside(self.network(node)):
                Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")

    def open_socket(self, node: str, *arguments: int) -> socket.socket:
        """A socket of the node's own stack."""
        with inside(self.network(node)):
            made = socket.socket(*arguments)
        made.settimeout(WAIT_SECONDS)
        return self.owned.enter_context(made)

    def packet_peer(self, node: str, kind: int = EXPERIMENT) -> PacketPeer:
        """A raw socket on a node's eth0, which hears one EtherType."""
        peer = PacketPeer(self.network(node), "eth0", kind)
        self.owned.callback(peer.close)
        return peer

    def connect(
        self, client: str, server: str, address: str, port: int = 7000
    ) -> tuple[socket.socket, socket.socket]:
        """A TCP connection from one node to an address of another."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = self.open_socket(server, family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen()
        near = self.open_socket(client, family, socket.SOCK_STREAM)
        near.connect((address, port))
        far, _ = listening.accept()
        far.settimeout(WAIT_SECONDS)
        return near, self.owned.enter_context(far)

    def call(self, op: str, bridge: str = "br0", **fields: Any) -> dict[str, Any]:
        with Client(state.bridge_socket(self.folder, bridge), timeout=WAIT_SECONDS) as client:
            return client.call(op, **fields)

    def snapshot(self) -> BridgeSnapshot:
        return msgspec.convert(self.call("snapshot")["bridge"], BridgeSnapshot)

    def counters(self, port: str) -> Counters:
        return msgspec.convert(self.call("counters")["ports"][port], Counters)

    def starts(self) -> int:
        """How often the switch of br0 was started."""
        count: int = self.init.call("status")["services"]["switch:br0"]["starts"]
        return count

    def kill_switch(self) -> None:
        """kill -9 of the switch of br0, whose number counts inside the lab only."""
        process = wait_until(
            lambda: self.init.call("status")["services"]["switch:br0"]["pid"], "a switch to kill"
        )
        _, descriptors = self.init.call_for_descriptors("fetch", name="lab")
        try:
            run_inside(descriptors, lambda: os.kill(process, 9))
        finally:
            close_all(descriptors)


@contextmanager
def lab(tmp_path: Path, text: str) -> Iterator[RunningLab]:
    """Bring up a lab of an unused name; it is taken down whatever happens."""
    name = f"t{os.getpid()}-{next(_numbers)}"
    file = tmp_path / f"{name}.yaml"
    file.write_text(f"name: {name}\n{text}")
    with linkspan.up(file):
        running = RunningLab(name)
        try:
            yield running
        finally:
            running.close()


def transfer(near: socket.socket, far: socket.socket, size: int) -> None:
    """Send bytes through a connection; they must arrive as they are."""
    data = os.urandom(1 << 16) * (size // (1 << 16) + 1)
    sender = threading.Thread(target=near.sendall, args=(data,))
    sender.start()
    got = hashlib.sha256()
    left = len(data)
    while left:
        part = far.recv(min(left, 1 << 20))
        assert part, "the connection ended"
        got.update(part)
        left -= len(part)
    sender.join()
    assert got.digest() == hashlib.sha256(data).digest()


@contextmanager
def busily(work: Callable[[], object]) -> Iterator[None]:
    """Do `work` over and over beside what the `with` block does."""
    ended = threading.Event()

    def loop() -> None:
        while not ended.is_set():
            with suppress(OSError):
                work()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def containers(names: Sequence[str], bridge: str = "", node: str = "") -> str:
    """A file with one bridge and containers 10.9.0.1, .2, … and fd09::1, ::2, … on it."""
    lines = ["bridges:", f"  br0: {{engine: user{bridge}}}", "nodes:"]
    for number, name in enumerate(names, 1):
        address = f'[10.9.{number >> 8}.{number & 255}/16, "fd09::{number:x}/64"]'
        lines.append(f"  {name}: {{ports: {{eth0: {{bridge: br0, address: {address}{node}}}}}}}")
    return "\n".join(lines) + "\n"
