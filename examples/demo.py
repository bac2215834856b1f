"""`make demo`: three containers on one bridge whose switch is linkspan's own.

Needs nothing but Python and the kernel: the traffic comes from this very file, run inside the
containers. As root, or as an ordinary user where user namespaces are allowed.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import linkspan
from linkspan.lab.handle import Lab
from linkspan.view import fdb_table, picture, ping_matrix

FILE = Path(__file__).parent / "three-containers.yaml"
SECONDS = 2.0
PORT = 5201


def main() -> int:
    """Bring the lab up, show it, measure it, take it down; exit status 1 when a pair is silent."""
    print(f"linkspan {linkspan.__version__}: bringing up examples/{FILE.name}\n")
    with linkspan.up(FILE) as lab:
        reaches = lab.ping()
        snapshot = lab.snapshot()
        print(picture(snapshot))
        print(f"\nWho reaches whom (round trip):\n\n{ping_matrix(reaches)}")
        print(f"\nWhat the switch learned from that:\n\n{fdb_table(lab.snapshot())}")
        print(f"\nOne TCP stream from db to web, {SECONDS:.0f} s …", flush=True)
        print(f"{throughput(lab):.1f} Gbit/s ({cache_state(lab)}).")
    print("\nThe lab is down again; nothing of it is left.")
    print(
        "next: .venv/bin/linkspan up examples/three-containers.yaml, then linkspan show, exec, ping"
    )
    return 0 if all(reach.result == "reached" for reach in reaches) else 1


def throughput(lab: Lab) -> float:
    """Gbit/s of one TCP stream between two containers."""
    script = [sys.executable, __file__]
    with lab["web"].start([*script, "receive"], stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()  # it listens
        lab["db"].run([*script, "send", "web"], check=True)
        return float(receiver.stdout.readline())


def cache_state(lab: Lab) -> str:
    """How the frames of the stream went."""
    (bridge,) = lab.snapshot().bridges
    if bridge.cache == "on":
        return "our switch decided once; the kernel forwarded the rest from its cache"
    return f"every frame through our switch's process; in-kernel cache {bridge.cache}"


def receive() -> None:
    """Take one connection and print the Gbit/s that came over it."""
    with socket.create_server(("", PORT)) as server:
        print("listening", flush=True)
        connection, _ = server.accept()
        buffer = bytearray(1 << 20)
        total, started = 0, time.perf_counter()
        while received := connection.recv_into(buffer):
            total += received
        print(total * 8 / (time.perf_counter() - started) / 1e9)


def send(node: str) -> None:
    """Send to a node for `SECONDS`."""
    with socket.create_connection((node, PORT), timeout=10) as connection:
        data = bytes(1 << 18)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            connection.sendall(data)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["receive"]:
            receive()
        case ["send", node]:
            send(node)
        case _:
            sys.exit(main())
