"""Two virtual machines on a bridge of pure layer 2: they reach each other, and every step of the
way from a guest's card to the bridge's port is shown, with counters that agree.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.examples.networks import ENGINES
from tests.guests import at_console, place_guest
from tests.machine import EXAMPLES, Machine, linkspan_command

from linkspan.wire import ethernet, ipv4
from linkspan.wire.ethernet import EtherType
from linkspan.wire.icmp import EchoType
from linkspan.wire.ipv4 import Protocol

LAB = "two-vms"

CAPTURE = """
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 3))
s.setsockopt(263, 1, struct.pack("iHH8s", socket.if_nametoindex(sys.argv[1]), 1, 0, b""))
print("ready", flush=True)
while True:
    print(s.recv(2048).hex(), flush=True)
"""
"""What an interface that is promiscuous sees (packet(7)), a line for each frame."""


def place(machine: Machine, engine: str) -> Path:
    """The example beside its images."""
    place_guest(machine)
    text = (EXAMPLES / "two-vms.yaml").read_text()
    assert "  br0:\n" in text
    return machine.file(text.replace("  br0:\n", f"  br0: {{engine: {engine}}}\n"))


@pytest.fixture(scope="module", params=ENGINES)
def up(shared_machine: Machine, request: pytest.FixtureRequest) -> Iterator[tuple[Machine, str]]:
    shared_machine.linkspan("up", place(shared_machine, request.param))
    yield shared_machine, request.param
    shared_machine.linkspan("down", LAB)
    shared_machine.assert_as_before()


def ways(machine: Machine) -> dict[str, Any]:
    shown = json.loads(machine.linkspan("show", LAB, "--json").stdout)
    return {each["node"]: {"pid": each["pid"], **each["ports"][0]} for each in shown["machines"]}


def frames_and_bytes(counters: dict[str, int]) -> tuple[int, int]:
    return counters["frames_in"], counters["bytes_in"]


def test_what_a_guest_sent_is_what_its_port_received(up: tuple[Machine, str]) -> None:
    machine, _ = up
    with at_console(machine, "kvm1") as guest:

        def sent() -> tuple[int, int]:
            counters = "cd /sys/class/net/eth0/statistics; echo $(cat tx_packets tx_bytes) sent"
            said = guest.ask(counters, r"(\d+) (\d+) sent")
            return int(said[1]), int(said[2])

        guest.ask("", "# ")
        guest.ask("until ping -c 3 -W 1 10.1.1.3; do sleep 1; done", " 0% packet loss")
        while (before := sent()) and (way := ways(machine)["kvm1"]) and sent() != before:
            pass  # it said something on its own in the meantime: try again
    assert before[0] > 3
    assert frames_and_bytes(way["machine"]) == before
    assert frames_and_bytes(way["counters"]) == before
    assert Path(f"/proc/{way['pid']}/comm").read_text().startswith("qemu")
    assert os.readlink(f"/proc/{way['pid']}/fd/{way['descriptor']}") == "/dev/net/tun"
    assert ways(machine)["kvm2"]["counters"]["frames_in"] >= 3


def test_a_capture_on_the_bridge_holds_arp_and_icmp(up: tuple[Machine, str]) -> None:
    machine, engine = up
    seen = ["python3", "-c", CAPTURE]
    if engine == "kernel":
        words: list[Any] = [*linkspan_command("exec", "host", "--", *seen, "br0")]
    else:
        # Our switch's bridge is no interface; its ports are.
        way = ways(machine)["kvm1"]
        words = ["nsenter", f"--net=/proc/{way['pid']}/ns/net", *seen, way["tap"]]
    with machine.start(words, stdout=subprocess.PIPE) as capturing:
        assert capturing.stdout is not None
        assert capturing.stdout.readline() == "ready\n"
        with at_console(machine, "kvm1") as guest:
            guest.ask("", "# ")
            guest.ask("arp -d 10.1.1.3; ping -c 1 -W 9 10.1.1.3", " 0% packet loss")
        wanted: set[object] = {EtherType.ARP, EchoType.REQUEST, EchoType.REPLY}
        while wanted:
            wanted.discard(kind(bytes.fromhex(capturing.stdout.readline())))
        capturing.kill()


def kind(frame: bytes) -> object:
    """What a frame between the two is: ARP, or which ICMP echo."""
    header = ethernet.parse(frame)
    if header.ethertype != EtherType.IPV4:
        return header.ethertype
    packet = frame[header.payload_offset :]
    value = ipv4.parse(packet)
    return packet[value.payload_offset] if value.protocol == Protocol.ICMP else None
