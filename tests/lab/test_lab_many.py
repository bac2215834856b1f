"""Two hundred containers on one bridge."""

from __future__ import annotations

import json

from tests.machine import Machine

CONTAINERS = 200

REACH_ALL = """
import select, socket, struct, sys, time
addresses = {f"10.8.0.{number}" for number in range(1, int(sys.argv[1]) + 1)}
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
silent, deadline = set(addresses), time.monotonic() + 60
while silent and time.monotonic() < deadline:
    for address in silent:
        sock.sendto(struct.pack("!BBHHH", 8, 0, 0xF7FF, 0, 0), (address, 0))
    while select.select([sock], [], [], 0.5)[0]:
        packet, (address, _) = sock.recvfrom(2048)
        if packet[20] == 0:
            silent.discard(address)
print(len(addresses) - len(silent))
"""


def test_two_hundred_containers_on_one_bridge(machine: Machine) -> None:
    lines = ["name: many", "bridges: {br0: {address: 10.8.0.254/24}}", "nodes:"]
    lines += [
        f"  c{number}: {{ports: {{eth0: {{bridge: br0, address: 10.8.0.{number}/24}}}}}}"
        for number in range(1, CONTAINERS + 1)
    ]
    up = machine.linkspan("up", machine.file("\n".join(lines)))
    assert f"many is up: 1 bridge, {CONTAINERS + 1} nodes" in up.stdout
    assert up.stderr == "", "no progress in a pipe"
    reached = machine.linkspan("exec", "host", "--", "python3", "-c", REACH_ALL, str(CONTAINERS))
    assert reached.stdout == f"{CONTAINERS}\n"
    entries = json.loads(machine.linkspan("fdb", "many", "--json").stdout)["br0"]
    learned = {entry["port"] for entry in entries if entry["kind"] == "learned"}
    assert learned == {f"c{number}.eth0" for number in range(1, CONTAINERS + 1)}
    snapshot = json.loads(machine.linkspan("show", "many", "--json").stdout)
    assert len(snapshot["nodes"]) == CONTAINERS + 1
    assert len(snapshot["bridges"][0]["ports"]) == CONTAINERS + 1
    machine.linkspan("down", "many")
    assert machine.traces() - machine.before == []
