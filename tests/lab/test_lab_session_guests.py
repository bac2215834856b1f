"""A guest of a user's own libvirt, real, on a bridge of scope host: its tap is made by
qemu-bridge-helper, and put back where the administrator lets that user have the bridge.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.guests import linux_guest
from tests.libvirt_host import why_no_libvirt
from tests.machine import ORDINARY_USER, ROOT, Machine, wait_until

HELPER = "/usr/lib/qemu/qemu-bridge-helper"
RUNTIME, HOME = f"/run/user/{ORDINARY_USER}", "/run/home"
AS_USER = (
    *("setpriv", f"--reuid={ORDINARY_USER}", f"--regid={ORDINARY_USER}", "--clear-groups"),
    *("env", f"HOME={HOME}", f"XDG_RUNTIME_DIR={RUNTIME}"),
)
VIRSH = (*AS_USER, "virsh", "-c", "qemu:///session")
LAB = "name: lab\nscope: host\nbridges: {br0: {engine: kernel, address: 10.57.0.1/24}}\n"
ADDRESS = "10.57.0.4"
SETTINGS = 'stdio_handler = "file"\nsecurity_driver = "none"\ncgroup_controllers = []\n'
DOMAIN = f"""
<domain type='qemu'>
  <name>mine</name><memory unit='MiB'>128</memory>
  <os>
    <type arch='x86_64'>hvm</type>
    <kernel>{HOME}/vmlinuz</kernel><initrd>{HOME}/initrd.img</initrd>
    <cmdline>console=ttyS0 quiet no_timer_check ip={ADDRESS}:::255.255.255.0:m:eth0:off</cmdline>
  </os>
  <devices>
    <controller type='usb' model='none'/><memballoon model='none'/><serial type='null'/>
    <interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>
  </devices>
</domain>
"""
PREPARE = f"""
mkdir -p /etc/qemu {RUNTIME} {HOME}/.config/libvirt
cp "$1"/qemu.conf {HOME}/.config/libvirt/
cp "$2" {HOME}/vmlinuz
cp "$3" {HOME}/initrd.img
chown -R {ORDINARY_USER}:{ORDINARY_USER} {RUNTIME} {HOME}
chmod 700 {RUNTIME}
cp {HELPER} /run/helper
chmod 4755 /run/helper
mount --bind /run/helper {HELPER}
"""


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine with the lab, whose user may have br0, and a libvirtd of that user's."""
    if why := why_no_libvirt():
        pytest.skip(why)
    if not Path(HELPER).exists() or shutil.which("setpriv") is None:
        pytest.skip("no qemu-bridge-helper or no setpriv")
    images = linux_guest()
    found = Machine(ROOT)
    daemon = None
    try:
        found.shadow("etc")
        found.file(SETTINGS, "qemu.conf")
        found.run(["sh", "-ec", PREPARE, "sh", found.folder, *images], 0)
        allow(found, "allow br0")
        found.linkspan("up", found.file(LAB))
        with open(found.folder / "libvirt.log", "w") as log:
            daemon = found.start([*AS_USER, "libvirtd"], stdout=log, stderr=log)
        wait_until(lambda: found.run([*VIRSH, "version"]).returncode == 0)
        yield found
    finally:
        if daemon is not None:
            found.run([*VIRSH, "destroy", "mine"])
            with contextlib.suppress(ProcessLookupError):
                os.kill(daemon.pid, signal.SIGTERM)
            daemon.wait()
        found.close()


def allow(machine: Machine, rules: str) -> None:
    machine.run(["sh", "-c", f"echo '{rules}' > /etc/qemu/bridge.conf"], 0)


def bridge_of_tap(machine: Machine) -> str | None:
    """Of which bridge the guest's tap is a port."""
    (found,) = json.loads(machine.run(["ip", "-j", "link", "show", "tap0"], 0).stdout)
    return str(found["master"]) if "master" in found else None


def answers(machine: Machine) -> bool:
    return machine.run(["ping", "-c", "1", "-W", "1", ADDRESS]).returncode == 0


def plan(machine: Machine) -> subprocess.CompletedProcess[str]:
    return machine.linkspan("plan", machine.folder / "lab.yaml")


def test_a_guest_of_a_users_own_libvirt_is_put_back_where_the_user_may_be(machine: Machine) -> None:
    machine.run([*VIRSH, "create", machine.file(DOMAIN, "mine.xml")], 0)
    wait_until(lambda: answers(machine))
    assert plan(machine).stdout.startswith("nothing to do")
    (port,) = [
        each
        for each in json.loads(machine.linkspan("ports", "lab", "--json").stdout)["br0"]
        if each["name"] == "tap0"
    ]
    assert port["held_by"]["guest"] == "mine"

    machine.run(["ip", "link", "delete", "br0"], 0)
    allow(machine, "allow br1")
    assert "tap0" not in plan(machine).stdout
    machine.linkspan("up", machine.folder / "lab.yaml")
    assert bridge_of_tap(machine) is None

    allow(machine, "allow br0")
    assert "put tap0 of libvirt's guest mine back on br0" in plan(machine).stdout
    machine.linkspan("up", machine.folder / "lab.yaml")
    assert bridge_of_tap(machine) == "br0"
    wait_until(lambda: answers(machine))
    assert plan(machine).stdout.startswith("nothing to do")
    machine.linkspan("down", "lab")
