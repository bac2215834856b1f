"""What real guests find of what the file says of them, entirely without root: where
/dev/net/tun may not be opened, their ports are sockets.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from tests.guests import at_console, place_guest, qcow2_disk, silent_disk
from tests.machine import ROOT, Machine, wait_until

LAB = """
name: guests
bridges:
  br0: {address: 10.1.1.1/24}
  br1:
nodes:
  keeps:
    kind: vm
    kernel: guest/vmlinuz
    initrd: guest/initrd.img
    append: console=ttyS0 quiet
    memory: 160M
    cpus: 2
    shutdown: 3600
    disk: disk.qcow2
    ports:
      eth0: {bridge: br0, mac: "52:54:00:00:00:01", address: 10.1.1.2/24}
      eth1: {bridge: br1, mac: "52:54:00:00:00:02", address: 10.2.2.2/24}
  forgets:
    kind: vm
    kernel: guest/vmlinuz
    initrd: guest/initrd.img
    append: console=ttyS0 quiet
    memory: 96M
    shutdown: 3600
    disk: {file: disk.img, snapshot: true}
    ports:
      eth0: {bridge: br1, mac: "52:54:00:00:00:03", address: 10.2.2.3/24}
"""
WRITTEN = "written by a guest"


def shown(machine: Machine) -> dict[str, Any]:
    found = json.loads(machine.linkspan("show", "guests", "--json").stdout)["machines"]
    return {each["node"]: each for each in found}


def test_guests_have_what_the_file_says_without_root_and_without_taps(
    ordinary_machine: Machine,
) -> None:
    up, sockets = ordinary_machine, os.geteuid() == ROOT
    place_guest(up)
    kept, forgotten = qcow2_disk(up.folder / "disk.qcow2"), silent_disk(up.folder / "disk.img")
    for path in (kept, forgotten):
        shutil.chown(path, up.user)
    if sockets:
        up.close_tun()
    up.linkspan("up", up.file(LAB))
    for node, found in shown(up).items():
        assert found["state"] == "running", node
        for port in found["ports"]:
            opened = os.readlink(f"/proc/{found['pid']}/fd/{port['descriptor']}")
            assert opened.startswith("socket:") or not sockets
    with at_console(up, "keeps") as guest:
        guest.ask("", "# ")
        guest.ask("cat /sys/class/net/eth?/address; echo", "52:54:00:00:00:01\r\n52:54:00:00:00:02")
        assert guest.ask("echo $(nproc) processors", r"(\d+) processors")[1] == "2"
        memory = int(guest.ask("head -n 1 /proc/meminfo", r"MemTotal: +(\d+) kB")[1])
        assert 96 << 10 < memory < 160 << 10
        # From each port into the network that it is on, and to the other machine.
        for address in ("10.1.1.1", "10.2.2.3"):
            reach = f"until ping -c 1 -W 1 {address}; do sleep 1; done"
            guest.ask(reach, " 0% packet loss")
        guest.ask(f"echo {WRITTEN} | dd of=/dev/vda conv=fsync; echo do''ne", "done")
    with at_console(up, "forgets") as guest:
        guest.ask("", "# ")
        guest.ask(f"echo {WRITTEN} | dd of=/dev/vda conv=fsync; echo do''ne", "done")
        guest.ask("head -c 18 /dev/vda; echo", f"{WRITTEN}\r")
    file = up.folder / "lab.yaml"
    assert "nothing to do" in up.linkspan("plan", file).stdout
    up.run(["kill", "-9", str(shown(up)["forgets"]["pid"])], 0)
    wait_until(lambda: shown(up)["forgets"]["state"] == "ended: killed by signal 9")
    assert "start the virtual machine forgets" in up.linkspan("up", file).stdout
    with at_console(up, "forgets") as guest:
        guest.ask("", "# ")
        guest.ask("ping -c 1 -W 9 10.2.2.2", " 0% packet loss")
    # A power button that nobody heeds would fail the test.
    up.linkspan("down", "guests")
    assert WRITTEN.encode() in kept.read_bytes()
    assert WRITTEN.encode() not in forgotten.read_bytes()
