"""The real switch process with descriptors of the test's own making.

Its ports are UNIX sockets and interfaces in network namespaces.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from tests.engine.asked_switch import AskedSwitch
from tests.engine.networks import configure
from tests.engine.stations import (
    WAIT_SECONDS,
    DatagramPeer,
    PacketPeer,
    StreamPeer,
    frame_of,
    station,
    wait_until,
)

from linkspan.bridge.port import PortOptions
from linkspan.control.client import Client
from linkspan.control.descriptors import close_all
from linkspan.control.lines import listen
from linkspan.engine.netlink import set_link
from linkspan.engine.user.configuration import (
    PortConfiguration,
    SwitchConfiguration,
    control_key,
    memory_key,
)
from linkspan.engine.user.devices import open_packet_socket, open_tap, open_unix_socket
from linkspan.engine.user.memory import make_memory
from linkspan.sandbox.namespaces import inside

BRIDGE_MAC = "02:00:00:00:00:99"

_numbers = itertools.count()


def _is_readable(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


@dataclass
class Switch(AskedSwitch):
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
