"""Taps that the file declares as ports: a program opens one and has what the bridge floods."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.machine import Machine, linkspan_command, wait_until

TEXT = """
name: taps
bridges: {br0: {ports: {vm1: {kind: tap, isolated: true}}}}
nodes: {a: {ports: {eth0: {bridge: br0, address: 10.0.0.1/24}}}}
"""
READ = """
import os
from linkspan.engine.user.devices import open_tap
tap = open_tap("vm1")
os.set_blocking(tap, True)
print("open", flush=True)
while os.read(tap, 4096)[10 + 12 : 10 + 14] != bytes.fromhex("0806"):
    pass
print("asked", flush=True)
"""


def test_a_program_opens_a_tap_and_keeps_it_while_the_port_is_repaired(machine: Machine) -> None:
    file = machine.file(TEXT)
    machine.linkspan("up", file)
    machine.linkspan("plan", "--check", file)
    words = linkspan_command("exec", "taps/host", "--", sys.executable, "-c", READ)
    with machine.start(words, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "open\n"
        machine.linkspan("exec", "taps/host", "--", "ip", "link", "set", "vm1", "nomaster")
        machine.linkspan("up", file)
        wait_until(lambda: state(machine, "vm1") == "forwarding")
        machine.linkspan(
            "exec", "taps/a", "--", "arping", "-c1", "-w1", "-I", "eth0", "10.0.0.9", status=1
        )
        assert program.stdout.readline() == "asked\n"
    machine.linkspan("plan", "--check", file)
    machine.linkspan("down", "taps")


def state(machine: Machine, port: str) -> str:
    """What `linkspan ports` says of a port."""
    bridges = json.loads(machine.linkspan("ports", "taps", "--json").stdout)
    (found,) = (each for each in bridges["br0"] if each["name"] == port)
    return str(found["state"])
