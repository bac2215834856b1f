"""Virtual machines in a lab, from start to shutdown, with guests that are a boot sector."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.guests import SAID, off_disk, require_qemu, silent_disk, talking_disk
from tests.machine import Machine, linkspan_command, wait_until

ENGINES = {
    "kernel": "engine: kernel",
    "user": "engine: user",
    "user-without-cache": "engine: user, cache: off",
}


@pytest.fixture(autouse=True)
def _qemu() -> None:
    require_qemu()


def lab(disk: str = "guest.img", engine: str = "engine: user", more: str = "") -> str:
    return f"""
name: vms
bridges: {{br0: {{{engine}, address: 10.1.1.1/24}}}}
nodes:
  guest:
    kind: vm
    disk: {{file: {disk}, snapshot: true}}
    memory: 16M
    shutdown: 0
    ports: {{eth0: {{bridge: br0, address: 10.1.1.2/24}}, eth1: br0}}
{more}
"""


def machines(machine: Machine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(machine.linkspan("show", "vms", "--json").stdout)[
        "machines"
    ]
    return found


def state(machine: Machine) -> str:
    (found,) = machines(machine)
    return str(found["state"])


def ports(machine: Machine) -> dict[str, Any]:
    (bridge,) = json.loads(machine.linkspan("ports", "vms", "--json").stdout).values()
    return {port["name"]: port for port in bridge}


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_machine_comes_up_and_goes_without_a_trace(machine: Machine, engine: str) -> None:
    talking_disk(machine.folder / "guest.img")
    file = machine.file(lab(engine=engine))
    machine.linkspan("up", file)
    assert "nothing to do" in machine.linkspan("plan", file).stdout
    (found,) = machines(machine)
    assert (found["state"], found["memory"], found["accelerator"] != "") == ("running", 16, True)
    for port in found["ports"]:
        opened = f"/proc/{found['pid']}/fd/{port['descriptor']}"
        assert os.readlink(opened) == "/dev/net/tun"
        assert port["tap"] in Path(opened.replace("/fd/", "/fdinfo/")).read_text()
    assert [port["number"] for port in found["ports"]] == [1, 2]
    assert "/dev/net/tun, tap" in machine.linkspan("show", "vms").stdout
    machine.linkspan("down", "vms")
    machine.assert_as_before()


def test_without_root_and_without_taps_a_port_is_a_socket(ordinary_machine: Machine) -> None:
    talking_disk(ordinary_machine.folder / "guest.img")
    file = ordinary_machine.file(lab(engine="engine: auto"))
    ordinary_machine.linkspan("up", file)
    assert "nothing to do" in ordinary_machine.linkspan("plan", file).stdout
    (found,) = machines(ordinary_machine)
    for port in found["ports"]:
        opened = os.readlink(f"/proc/{found['pid']}/fd/{port['descriptor']}")
        assert opened == "/dev/net/tun" if port["tap"] else opened.startswith("socket:")
    ordinary_machine.run(["kill", "-9", str(found["pid"])], 0)
    wait_until(lambda: state(ordinary_machine) != "running")
    assert "start the virtual machine guest" in ordinary_machine.linkspan("up", file).stdout
    assert state(ordinary_machine) == "running"
    ordinary_machine.linkspan("down", "vms")


@pytest.mark.parametrize("engine", list(ENGINES.values())[:2], ids=list(ENGINES)[:2])
def test_a_killed_qemu_is_said_so_its_port_is_down_and_up_repairs(
    machine: Machine, engine: str
) -> None:
    talking_disk(machine.folder / "guest.img")
    file = machine.file(lab(engine=engine))
    machine.linkspan("up", file)
    (found,) = machines(machine)
    machine.run(["kill", "-9", str(found["pid"])], 0)
    wait_until(lambda: state(machine) == "ended: killed by signal 9", lambda: state(machine))
    wait_until(lambda: ports(machine)["guest.eth0"]["state"] == "disabled")
    assert "start the virtual machine guest" in machine.linkspan("plan", file).stdout
    machine.linkspan("up", file)
    assert state(machine) == "running"
    wait_until(lambda: ports(machine)["guest.eth0"]["state"] == "forwarding")
    machine.linkspan("down", "vms")


def test_a_guest_that_switches_itself_off_stays_off_until_up(machine: Machine) -> None:
    off_disk(machine.folder / "guest.img")
    file = machine.file(lab())
    machine.linkspan("up", file)
    wait_until(lambda: state(machine) == "off", lambda: state(machine))
    with machine.start(
        linkspan_command("up", "--watch", file), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline()  # the first `up` starts it, and it is off again soon
        wait_until(lambda: state(machine) == "off", lambda: state(machine))
        machine.linkspan("exec", "host", "--", "ip", "address", "del", "10.1.1.1/24", "dev", "br0")
        assert "start" not in watching.stdout.readline()  # the address alone was repaired
        assert state(machine) == "off"
        machine.linkspan("down", "vms")
        watching.terminate()
        watching.communicate()


def test_a_disk_that_does_not_boot_is_said_so_every_time(machine: Machine) -> None:
    silent_disk(machine.folder / "guest.img")
    machine.linkspan("up", machine.file(lab()))
    not_booted = "not booted: not a bootable disk"
    wait_until(lambda: state(machine) == not_booted, lambda: state(machine))
    assert not_booted in machine.linkspan("show", "vms").stdout
    unreached = json.loads(machine.linkspan("ping", "vms", "--json", status=1).stdout)
    assert {(each["source"], each["result"]) for each in unreached} == {("host", "no-reply")}
    machine.linkspan("down", "vms")


def test_the_console_is_a_terminal_that_ctrl_bracket_leaves(machine: Machine) -> None:
    talking_disk(machine.folder / "guest.img")
    machine.linkspan("up", machine.file(lab()))
    ours, theirs = os.openpty()
    with machine.start(linkspan_command("console", "guest"), terminal=theirs) as console:
        os.close(theirs)
        shown = b""
        while b"leaves" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, b"\x03")  # the guest's, not the terminal's
        while SAID.encode() not in shown:
            shown += os.read(ours, 4096)
        taken = machine.linkspan("console", "guest", status=2)
        assert "somebody else is at the console of guest" in taken.stderr
        os.write(ours, b"\x1d")
        assert console.wait(20) == 0
    os.close(ours)
    machine.linkspan("down", "vms")


def test_what_has_no_console_says_what_it_has(machine: Machine) -> None:
    talking_disk(machine.folder / "guest.img")
    machine.linkspan("up", machine.file(lab()))
    assert "no virtual machine" in machine.linkspan("console", "host", status=2).stderr
    assert "linkspan console vms/guest" in machine.linkspan("exec", "guest", status=2).stderr
    machine.linkspan("down", "vms")


def test_what_is_missing_or_too_large_is_said_before_anything_is_touched(machine: Machine) -> None:
    file = machine.file(lab())
    refused = machine.linkspan("up", file, status=2).stderr
    assert f"node guest, disk: there is no file {machine.folder}/guest.img" in refused
    talking_disk(machine.folder / "guest.img")
    large = machine.file(lab().replace("16M", "4096000M"), "large.yaml")
    refused = machine.linkspan("up", large, status=2).stderr
    assert "4096000 MiB" in refused
    assert "which this machine has" in refused
    missing = machine.linkspan("up", file, status=4, environment={"PATH": "/nowhere"})
    assert "qemu-system-x86" in missing.stderr
    machine.assert_as_before()


def test_what_qemu_says_no_to_is_told_and_undone(machine: Machine) -> None:
    (machine.folder / "guest.qcow2").write_bytes(b"not what its name says")
    refused = machine.linkspan("up", machine.file(lab("guest.qcow2")), status=3)
    assert "start the virtual machine guest" in refused.stderr or "QEMU ended" in refused.stderr
    assert "qcow2" in refused.stderr
    machine.assert_as_before()


def test_a_machine_is_changed_and_removed_in_a_running_lab(machine: Machine) -> None:
    talking_disk(machine.folder / "guest.img")
    machine.linkspan("up", machine.file(lab()))
    (before,) = machines(machine)
    changed = machine.file(lab().replace("16M", "32M"))
    done = json.loads(machine.linkspan("plan", "--json", changed).stdout)
    assert [each["reason"] for each in done] == ["its memory can't be changed in place"] * 2
    machine.linkspan("up", changed)
    (after,) = machines(machine)
    assert after["memory"] == 32
    assert after["pid"] != before["pid"]
    machine.linkspan("up", machine.file("name: vms\nbridges: {br0: {engine: user}}\n"))
    assert machines(machine) == []
    assert list(ports(machine)) == ["br0"]
    machine.linkspan("down", "vms")
