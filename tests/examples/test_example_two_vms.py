"""Two virtual machines on a bridge of pure layer 2: they reach each other, and every step of the
way from a guest's card to the bridge's port is shown, with counters that agree.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.guests import linux_guest
from tests.machine import EXAMPLES, Machine, linkspan_command, wait_until

from linkspan.wire.ethernet import EtherType


def place(machine: Machine, engine: str) -> Path:
    """The example beside its images."""
    (machine.folder / "guest").mkdir()
    for image, name in zip(linux_guest(), ("vmlinuz", "initrd.img"), strict=True):
        (machine.folder / "guest" / name).symlink_to(image)
    text = (EXAMPLES / "two-vms.yaml").read_text()
    assert "  br0:\n" in text
    return machine.file(text.replace("  br0:\n", f"  br0: {{engine: {engine}}}\n"))


@contextmanager
def console(machine: Machine, node: str) -> Iterator[Any]:
    """A program that is at the console of a node."""
    with machine.start(
        linkspan_command("console", node), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def ask(process: Any, command: str, until: str) -> re.Match[str]:
    """Type a command and read what is said up to a pattern that the command alone does not hold."""
    process.stdin.write(command + "\n")
    process.stdin.flush()
    said = b""
    while (found := re.search(until, said.decode(errors="replace"), re.DOTALL)) is None:
        data = os.read(process.stdout.fileno(), 4096)
        assert data, said
        said += data
    return found


def ways(machine: Machine) -> dict[str, Any]:
    shown = json.loads(machine.linkspan("show", "two-vms", "--json").stdout)
    return {each["node"]: each["ports"][0] for each in shown["machines"]}


@pytest.mark.parametrize("engine", ["kernel", "user"])
def test_two_machines_reach_each_other_and_the_way_is_shown(machine: Machine, engine: str) -> None:
    file = place(machine, engine)
    machine.linkspan("up", file)
    with console(machine, "kvm1") as guest:
        ask(guest, "", "#")
        reached = "until ping -c 3 -W 1 10.1.1.3; do sleep 1; done"
        ask(guest, reached, " 0% packet loss")
        counted = "echo sent $(cat /sys/class/net/eth0/statistics/tx_packets) frames"
        sent = int(ask(guest, counted, r"sent (\d+) frames")[1])
    way = ways(machine)["kvm1"]
    assert way["machine"]["frames_in"] >= sent > 3
    assert way["counters"]["frames_in"] == way["machine"]["frames_in"]
    wait_until(lambda: ways(machine)["kvm2"]["counters"]["frames_in"] >= 3)
    machine.linkspan("down", "two-vms")


def test_a_capture_on_the_bridge_holds_arp_and_icmp(machine: Machine) -> None:
    file = place(machine, "kernel")
    machine.linkspan("up", file)
    # What the bridge's own interface sees when it is promiscuous (packet(7)).
    capture = """
import socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)
s.bind(("br0", 3))
s.setsockopt(263, 1, struct.pack("iHH8s", socket.if_nametoindex("br0"), 1, 0, b""))
print("ready", flush=True)
while True:
    print(s.recv(2048)[12:14].hex(), flush=True)
"""
    words = linkspan_command("exec", "host", "--", "python3", "-c", capture)
    with machine.start(words, stdout=subprocess.PIPE) as capturing:
        assert capturing.stdout is not None
        assert capturing.stdout.readline() == "ready\n"
        with console(machine, "kvm1") as guest:
            ask(guest, "", "#")
            ask(
                guest,
                "until ping -c 1 -W 1 10.1.1.3; do sleep 1; done; echo FINI''SHED",
                "FINISHED",
            )
        wanted = {f"{kind:04x}" for kind in (EtherType.ARP, EtherType.IPV4)}
        while wanted:
            wanted.discard(capturing.stdout.readline().strip())
        capturing.kill()
    machine.linkspan("down", "two-vms")


def test_a_guest_shuts_down_when_its_power_button_is_pressed(ordinary_machine: Machine) -> None:
    file = place(ordinary_machine, "user")
    # So long that a button which nobody heeds would fail the test.
    patient = file.read_text().replace("    memory:", "    shutdown: 3600\n    memory:")
    ordinary_machine.linkspan("up", ordinary_machine.file(patient))
    for node in ("kvm1", "kvm2"):
        with console(ordinary_machine, node) as guest:
            ask(guest, "", "#")
    ordinary_machine.linkspan("down", "two-vms")
