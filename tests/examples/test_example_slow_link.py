"""examples/slow-link.yaml: late, lossy and slow for one node, and nothing of it for the others."""

from __future__ import annotations

import json
import subprocess
import time

from tests.examples.networks import with_engine
from tests.machine import EXAMPLES, Machine, linkspan_command

from linkspan.model.load import load
from linkspan.model.topology import dump

SEND = """
import socket
with socket.create_connection(("10.3.0.3", 5000)) as sock:
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


def test_the_far_node_is_late_and_slow_and_the_others_are_not(machine: Machine) -> None:
    topology = with_engine(load(EXAMPLES / "slow-link.yaml"), "user")
    machine.linkspan("up", machine.file(dump(topology)))
    found = json.loads(machine.linkspan("ping", "slow-link", "--json", status=None).stdout)
    for reach in found:
        if reach["result"] != "reached":  # one in fifty, of six
            continue
        is_far = "far" in (reach["source"], reach["destination"])
        assert reach["milliseconds"] >= 60 if is_far else reach["milliseconds"] < 60
    assert sum(reach["result"] == "reached" for reach in found) >= 4

    server = linkspan_command("exec", "slow-link/far", "--", "python3", "-c", TAKE)
    with machine.start(server, stdout=subprocess.PIPE) as taking:
        assert taking.stdout is not None
        assert taking.stdout.readline() == "ready\n"
        began = time.monotonic()
        machine.linkspan("exec", "slow-link/near", "--", "python3", "-c", SEND)
        assert taking.wait(60) == 0
    # 3.2 Mbit over 2 Mbit/s; what it takes more is chance, and the machine's other work.
    assert time.monotonic() - began > 1.4
    machine.linkspan("down", "slow-link")
