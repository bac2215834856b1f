"""examples/slow-wire.yaml: both directions of the line are slow."""

from __future__ import annotations

import json
import subprocess
import time

from tests.machine import EXAMPLES, Machine, linkspan_command

SEND = """
import socket
with socket.create_connection(("{}", 5000)) as sock:
    sock.sendall(bytes(400_000))
    sock.shutdown(socket.SHUT_WR)
    sock.recv(1)
"""
TAKE = """
import socket
with socket.create_server(("", 5000)) as server:
    print("ready", flush=True)
    peer, _ = server.accept()
    while peer.recv(65536):
        pass
"""
ADDRESSES = {"east": "10.5.0.1", "west": "10.5.0.2"}


def test_the_line_is_slow_both_ways_and_says_so(any_machine: Machine) -> None:
    machine = any_machine
    machine.linkspan("up", EXAMPLES / "slow-wire.yaml")
    machine.linkspan("plan", "--check", EXAMPLES / "slow-wire.yaml")
    assert "-- west:wan (2Mbit/s)" in machine.linkspan("show", "slow-wire").stdout
    found = json.loads(machine.linkspan("ping", "slow-wire", "--json").stdout)
    assert {reach["result"] for reach in found} == {"reached"}
    for sender, receiver in (("east", "west"), ("west", "east")):
        server = linkspan_command("exec", f"slow-wire/{receiver}", "--", "python3", "-c", TAKE)
        with machine.start(server, stdout=subprocess.PIPE) as taking:
            assert taking.stdout is not None
            assert taking.stdout.readline() == "ready\n"
            began = time.monotonic()
            script = SEND.format(ADDRESSES[receiver])
            machine.linkspan("exec", f"slow-wire/{sender}", "--", "python3", "-c", script)
            assert taking.wait(60) == 0
        # 3.2 Mbit over 2 Mbit/s, less what may wait on the line; it may always take longer.
        assert time.monotonic() - began > 0.9
    machine.linkspan("down", "slow-wire")
