"""Examples on a machine of the test's own, and traffic between their nodes."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace
from tests.machine import EXAMPLES, Machine, linkspan_command

from linkspan.model.base import Engine
from linkspan.model.load import load
from linkspan.model.topology import Topology, dump

ENGINES = ["kernel", "user"]

SERVER = """
import select, socket, sys
name, *places = sys.argv[1:]
waiting = []
for place in places:
    kind, port = place.split(":")
    kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
    sock = socket.socket(socket.AF_INET6, kinds[kind])
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("::", int(port)))
    if kind == "tcp":
        sock.listen()
    waiting.append(sock)
def answer(peer):
    return f"{name} {peer[0].removeprefix('::ffff:')}".encode()
print("ready", flush=True)
while True:
    for sock in select.select(waiting, [], [])[0]:
        if sock.type == socket.SOCK_STREAM:
            client, peer = sock.accept()
            client.sendall(answer(peer))
            client.close()
        else:
            _, peer = sock.recvfrom(100)
            sock.sendto(answer(peer), peer)
"""
"""Tells everybody who asks its name, and the address that it saw."""

CLIENT = """
import socket, sys
kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
for place in sys.argv[1:]:
    kind, address, port = place.split("/")
    version = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(version, kinds[kind]) as s:
            s.settimeout(2)
            s.connect((address, int(port)))
            if kind == "udp":
                s.send(b"?")
            print(s.recv(100).decode())
    except OSError as error:
        print("no")
"""


def with_engine(topology: Topology, engine: str) -> Topology:
    """The topology with all its bridges on one engine."""
    bridges = {
        name: replace(bridge, engine=Engine(engine)) for name, bridge in topology.bridges.items()
    }
    return replace(topology, bridges=bridges)


def example(machine: Machine, name: str, engine: str) -> Path:
    """The file of an example, with its bridges on one engine."""
    return machine.file(dump(with_engine(load(EXAMPLES / name), engine)), name)


@contextlib.contextmanager
def serving(machine: Machine, node: str, *places: str) -> Iterator[None]:
    """A server in a node (`LAB/NODE`), at places such as `tcp:80`, that says `NAME PEER`."""
    name = node.partition("/")[2]
    command = linkspan_command("exec", node, "--", "python3", "-c", SERVER, name, *places)
    with machine.start(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            server.kill()


def ask(machine: Machine, node: str, *places: str) -> list[str]:
    """What servers answer a node at places such as `tcp/10.0.0.1/80`; `no` where nobody does."""
    run = machine.linkspan("exec", node, "--", "python3", "-c", CLIENT, *places)
    return run.stdout.splitlines()


def reached(machine: Machine, lab: str) -> dict[str, set[str]]:
    """By node: the addresses of others that answer it."""
    found: dict[str, set[str]] = {}
    for probe in json.loads(machine.linkspan("ping", lab, "--json", status=None).stdout):
        found.setdefault(probe["source"], set())
        if probe["result"] == "reached":
            found[probe["source"]].add(probe["address"])
    return found


def addresses(topology: Topology) -> dict[str, set[str]]:
    """By node: its addresses."""
    found: dict[str, set[str]] = {}
    for bridge in topology.bridges.values():
        texts = (text.partition("/")[0] for text in bridge.address)
        found.setdefault(bridge.node, set()).update(texts)
    for node, _, port in topology.node_ports():
        texts = (text.partition("/")[0] for text in port.address)
        found.setdefault(node, set()).update(texts)
    return found
