"""A whole lab that is brought up and taken down again, whatever happens."""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.engine.asked_switch import AskedSwitch
from tests.engine.stations import EXPERIMENT, WAIT_SECONDS, PacketPeer, wait_until

import linkspan
from linkspan.control.client import Client
from linkspan.control.descriptors import close_all
from linkspan.lab.observe import fetch_network
from linkspan.sandbox import holder, state
from linkspan.sandbox.namespaces import inside
from linkspan.sandbox.worker import run_inside

_numbers = itertools.count()


class RunningLab(AskedSwitch):
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


def round_trip(near: socket.socket, far: socket.socket) -> float:
    """The shortest of some round trips through a connection, in seconds."""
    took = []
    for _ in range(5):
        began = time.monotonic()
        near.sendall(b"?")
        far.sendall(far.recv(1))
        assert near.recv(1) == b"?"
        took.append(time.monotonic() - began)
    return min(took)


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
