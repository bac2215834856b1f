"""Virtual machines in a lab, from start to shutdown, with guests that are a boot sector."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.guests import SAID, at_console, off_disk, require_qemu, silent_disk, talking_disk
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


@pytest.fixture(scope="module")
def up(shared_machine: Machine, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine whose lab is up, with the guest that talks, on one engine."""
    require_qemu()
    talking_disk(shared_machine.folder / "guest.img")
    shared_machine.linkspan("up", shared_machine.file(lab(engine=request.param)))
    yield shared_machine
    shared_machine.linkspan("down", "vms")
    shared_machine.assert_as_before()


def on(*engines: str) -> pytest.MarkDecorator:
    """Have a test on these engines; labs that several tests have are made once."""
    return pytest.mark.parametrize(
        "up", [ENGINES[name] for name in engines], ids=engines, indirect=True
    )


@on(*ENGINES)
def test_a_machine_is_shown_from_its_process_to_its_ports(up: Machine) -> None:
    assert "nothing to do" in up.linkspan("plan", up.folder / "lab.yaml").stdout
    (found,) = machines(up)
    assert (found["state"], found["memory"], found["accelerator"] != "") == ("running", 16, True)
    for port in found["ports"]:
        opened = f"/proc/{found['pid']}/fd/{port['descriptor']}"
        assert os.readlink(opened) == "/dev/net/tun"
        assert port["tap"] in Path(opened.replace("/fd/", "/fdinfo/")).read_text()
    assert [port["number"] for port in found["ports"]] == [1, 2]
    assert "/dev/net/tun, tap" in up.linkspan("show", "vms").stdout


@on("kernel", "user")
def test_a_killed_qemu_is_said_so_its_port_is_down_and_up_repairs(up: Machine) -> None:
    file = up.folder / "lab.yaml"
    (found,) = machines(up)
    up.run(["kill", "-9", str(found["pid"])], 0)
    wait_until(lambda: state(up) == "ended: killed by signal 9", lambda: state(up))
    wait_until(lambda: ports(up)["guest.eth0"]["state"] == "disabled")
    assert "start the virtual machine guest" in up.linkspan("up", file).stdout
    assert state(up) == "running"
    wait_until(lambda: ports(up)["guest.eth0"]["state"] == "forwarding")


@on("user")
def test_the_console_is_a_terminal_that_ctrl_bracket_leaves(up: Machine) -> None:
    ours, theirs = os.openpty()
    with up.start(linkspan_command("console", "guest"), terminal=theirs) as console:
        os.close(theirs)
        shown = b""
        while b"leaves" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, b"\x03")  # the guest's, not the terminal's
        while SAID.encode() not in shown:
            shown += os.read(ours, 4096)
        taken = up.linkspan("console", "guest", status=2)
        assert "somebody else is at the console of guest" in taken.stderr
        os.write(ours, b"\x1d")
        assert console.wait(20) == 0
    os.close(ours)


@on("user")
def test_what_a_guest_says_is_kept_and_can_be_followed(up: Machine) -> None:
    (found,) = machines(up)
    with up.start(
        linkspan_command("logs", "-f", "-n", "1", "vms/guest"), stdout=subprocess.PIPE
    ) as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline() == f"{SAID}\n"
        with at_console(up, "guest") as guest:
            guest.ask("a key", SAID)
        assert logs.stdout.readline() == f"{SAID}\n"
        up.run(["kill", "-9", str(found["pid"])], 0)
        assert set(logs.stdout.read().splitlines()) <= {SAID}
        assert logs.wait() == 0
    assert "\x1b" not in up.linkspan("logs", "guest").stdout
    assert "SeaBIOS" in up.linkspan("logs", "guest").stdout
    up.linkspan("up", up.folder / "lab.yaml")


@on("user")
def test_what_has_no_console_says_what_it_has(up: Machine) -> None:
    assert "no virtual machine" in up.linkspan("console", "host", status=2).stderr
    assert "linkspan console vms/guest" in up.linkspan("exec", "guest", status=2).stderr


@on("user")
def test_a_machine_is_changed_and_removed_in_a_running_lab(up: Machine) -> None:
    (before,) = machines(up)
    changed = up.file(lab().replace("16M", "32M"), "changed.yaml")
    done = json.loads(up.linkspan("plan", "--json", changed).stdout)
    assert [each["reason"] for each in done] == ["its memory can't be changed in place"] * 2
    up.linkspan("up", changed)
    (after,) = machines(up)
    assert after["memory"] == 32
    assert after["pid"] != before["pid"]
    up.linkspan("up", up.file("name: vms\nbridges: {br0: {engine: user}}\n", "empty.yaml"))
    assert machines(up) == []
    assert list(ports(up)) == ["br0"]


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
    assert not_booted in unreached[0]["detail"]
    again = machine.linkspan("up", machine.folder / "lab.yaml")
    assert f"the guest of guest does not run: {not_booted}" in again.stderr
    assert "next: linkspan logs vms/guest" in again.stderr
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
    assert "QEMU ended at once, exit status 1" in refused.stderr
    assert "next: correct the image" in refused.stderr
    (machine.folder / "kernel").write_bytes(b"no kernel")
    text = lab().replace("disk: {file: guest.img, snapshot: true}", "kernel: kernel")
    refused = machine.linkspan("up", machine.file(text), status=3)
    assert "qemu: invalid kernel header" in refused.stderr
    machine.assert_as_before()


def test_ports_go_from_one_engine_to_the_other_and_back(machine: Machine) -> None:
    talking_disk(machine.folder / "guest.img")
    text = """
name: vms
bridges: {br0: {engine: kernel}, br1: {engine: user}}
nodes:
  guest:
    kind: vm
    disk: {file: guest.img, snapshot: true}
    memory: 16M
    shutdown: 0
    ports: {eth0: HERE}
  web: {ports: {eth0: {bridge: HERE, address: 10.1.1.3/24}}}
  db: {ports: {eth0: {bridge: br0, address: 10.1.1.4/24}}}
"""
    for here in ("br0", "br1", "br0"):
        file = machine.file(text.replace("HERE", here))
        machine.linkspan("up", file)
        assert "nothing to do" in machine.linkspan("plan", file).stdout
        (found,) = machines(machine)
        assert (found["state"], found["ports"][0]["bridge"]) == ("running", here)
        ping = ["exec", "web", "--", "ping", "-c1", "-W1", "10.1.1.4"]
        machine.linkspan(*ping, status=0 if here == "br0" else 1)
    machine.linkspan("down", "vms")
