"""Taps of others on a bridge of scope host, with a libvirt that is nothing but a status file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.machine import Machine, linkspan_command, wait_until

LAB = "name: lab\nscope: host\nbridges: {br0: {engine: kernel}}\n"

TAP = """
import fcntl, os, struct, sys
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH", b"vnet0", 0x1002))  # TUNSETIFF, IFF_TAP, no header
print("ready", flush=True)
sys.stdin.read()
"""

STATUS = """
<domstatus state='running' pid='{pid}'><domain><name>web</name><devices>
  <interface type='bridge'>
    <source bridge='br0'/><target dev='vnet0'/><port isolated='yes'/>
  </interface>
</devices></domain></domstatus>
"""


@contextmanager
def guest(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    """A process with a tap that is up, which a status file says to belong on br0."""
    program = [sys.executable, "-c", TAP]
    with machine.start(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        machine.run(["ip", "link", "set", "vnet0", "up"], 0)
        status = machine.file(STATUS.format(pid=process.pid), "web.xml")
        machine.run(["mkdir", "-p", "/run/libvirt/qemu"], 0)
        machine.run(["mv", status, "/run/libvirt/qemu/"], 0)
        try:
            yield process
        finally:
            process.kill()
            machine.run(["rm", "-r", "/run/libvirt"], 0)


def vnet0(machine: Machine) -> dict[str, Any]:
    """What `bridge link` says of the tap as a port; nothing when it is none."""
    found = json.loads(machine.run(["bridge", "-j", "-d", "link", "show", "dev", "vnet0"]).stdout)
    return found[0] if found else {}


def test_a_tap_is_put_back_as_its_guest_had_it(machine: Machine) -> None:
    file = machine.file(LAB)
    with guest(machine) as process:
        machine.linkspan("up", file)
        assert (vnet0(machine)["master"], vnet0(machine)["isolated"]) == ("br0", True)
        (port,) = [
            each
            for each in json.loads(machine.linkspan("ports", "lab", "--json").stdout)["br0"]
            if each["name"] == "vnet0"
        ]
        assert (port["held_by"]["pid"], port["held_by"]["guest"]) == (process.pid, None)
        machine.linkspan("down", "lab")
        assert vnet0(machine) == {}


def test_a_change_that_is_undone_takes_it_off_again(machine: Machine) -> None:
    machine.linkspan("up", machine.file(LAB))
    wrong = LAB + "nodes: {c: {sysctls: {net.ipv4.ip_forward: nonsense}}}\n"
    with guest(machine):
        file = machine.file(wrong, "wrong.yaml")
        planned = machine.linkspan("plan", file).stdout
        assert planned.index("put vnet0") < planned.index("ip_forward of c")
        assert "was undone" in machine.linkspan("up", file, status=3).stderr
        assert vnet0(machine) == {}
        machine.linkspan("down", "lab")


def test_up_that_watches_puts_it_back_as_it_happens(machine: Machine) -> None:
    watching = machine.start(
        linkspan_command("up", "--watch", machine.file(LAB)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with guest(machine), watching:
        wait_until(lambda: vnet0(machine).get("isolated"))
        machine.run(["ip", "link", "set", "vnet0", "nomaster"], 0)
        wait_until(lambda: vnet0(machine).get("isolated"))
        watching.kill()
        machine.linkspan("down", "lab")
