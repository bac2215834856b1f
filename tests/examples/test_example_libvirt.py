"""A guest of a real libvirtd's and a container of ours on one bridge of scope host: they reach each
other, whose the guest's port is shows, and it comes back however it was lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.guests import linux_guest
from tests.libvirt_host import LibvirtHost, why_no_libvirt
from tests.machine import EXAMPLES, Machine, wait_until

from linkspan.model.load import load

LAB = "libvirt-guest"
IMAGES = "/var/lib/libvirt/images/guest"
GUEST = "192.168.57.3"


@pytest.fixture(scope="module")
def host() -> Iterator[LibvirtHost]:
    """A machine with the example on it: the lab is up and the guest runs."""
    if why := why_no_libvirt():
        pytest.skip(why)
    kernel, initrd = linux_guest()
    found = LibvirtHost()
    try:
        found.machine.linkspan("up", EXAMPLES / "libvirt-guest.yaml")
        found.machine.run(["mkdir", "-p", IMAGES], 0)
        found.machine.run(["cp", kernel, initrd, IMAGES], 0)
        found.wait()
        found.virsh("create", EXAMPLES / "libvirt-guest.xml")
        yield found
        found.machine.linkspan("down", LAB)
    finally:
        found.close()


def ports(machine: Machine) -> dict[str, Any]:
    """The bridge's ports by name."""
    shown = json.loads(machine.linkspan("ports", LAB, "--json").stdout)
    return {port["name"]: port for port in shown["br0"]}


def plan(machine: Machine, text: str = "") -> str:
    """What is planned for the example, or for a file that says otherwise."""
    file = machine.file(text, "libvirt-guest.yaml") if text else EXAMPLES / "libvirt-guest.yaml"
    return machine.linkspan("plan", file).stdout


def up(machine: Machine) -> str:
    return machine.linkspan("up", EXAMPLES / "libvirt-guest.yaml").stdout


def assert_guest_answers(machine: Machine) -> None:
    ping = ["ping", "-c", "1", "-W", "1", GUEST]
    wait_until(lambda: machine.run(ping).returncode == 0)


def test_guest_and_container_reach_each_other(host: LibvirtHost) -> None:
    assert_guest_answers(host.machine)
    host.machine.linkspan("exec", f"{LAB}/web", "--", "ping", "-c", "1", "-W", "5", GUEST)


def test_whose_a_port_is_shows(host: LibvirtHost) -> None:
    pid = int(host.machine.run(["cat", "/run/libvirt/qemu/guest1.pid"], 0).stdout)
    held = ports(host.machine)["vnet0"]["held_by"]
    assert (held["guest"], held["pid"]) == ("guest1", pid)
    fdinfo = Path(f"/proc/{pid}/fdinfo/{held['descriptor']}").read_text()
    assert "iff:\tvnet0" in fdinfo
    text = host.machine.linkspan("show", LAB).stdout
    assert f"guest guest1 ({held['command']}, pid {pid})" in text  # in the table of ports
    assert f"{held['command']} {pid}, descriptor {held['descriptor']}" in text  # in the picture
    assert "guest guest1" in host.machine.linkspan("show").stdout


def test_a_guests_port_survives_up(host: LibvirtHost) -> None:
    assert plan(host.machine).startswith("nothing to do")
    more = (EXAMPLES / "libvirt-guest.yaml").read_text() + "  db: {ports: {eth0: br0}}\n"
    file = host.machine.file(more, "libvirt-guest.yaml")
    host.machine.linkspan("up", file)
    assert {"vnet0", "web.eth0", "db.eth0"} <= ports(host.machine).keys()
    up(host.machine)
    assert_guest_answers(host.machine)


@pytest.mark.parametrize("loss", ["taken-off", "bridge-deleted", "down"])
def test_a_port_that_was_lost_is_put_back(host: LibvirtHost, loss: str) -> None:
    if loss == "taken-off":
        host.machine.run(["ip", "link", "set", "vnet0", "nomaster"], 0)
    elif loss == "bridge-deleted":
        host.machine.run(["ip", "link", "delete", "br0"], 0)
    else:
        host.machine.linkspan("down", LAB)
    said = "put vnet0 of libvirt's guest guest1 back on br0  (libvirt has it there"
    assert said in plan(host.machine)
    up(host.machine)
    assert "vnet0" in ports(host.machine)
    assert_guest_answers(host.machine)


def test_a_tap_that_somebody_put_elsewhere_stays_there(host: LibvirtHost) -> None:
    host.machine.run(["ip", "link", "add", "other", "type", "bridge"], 0)
    host.machine.run(["ip", "link", "set", "vnet0", "master", "other"], 0)
    assert plan(host.machine).startswith("nothing to do")
    host.machine.run(["ip", "link", "delete", "other"], 0)
    up(host.machine)
    assert_guest_answers(host.machine)


def test_our_switch_has_no_port_for_a_guest_and_says_so(host: LibvirtHost) -> None:
    text = (EXAMPLES / "libvirt-guest.yaml").read_text().replace("kernel", "user")
    file = host.machine.file(text, "libvirt-guest.yaml")
    planned = host.machine.linkspan("plan", file)
    assert "libvirt can't put guests on br0, so that guest1 has no port any more" in planned.stderr
    host.machine.linkspan("up", file)
    shown = host.machine.linkspan("show", LAB).stdout
    assert "no ports for libvirt" in shown
    assert "guest guest1" not in shown
    domain = (EXAMPLES / "libvirt-guest.xml").read_text().replace("guest1", "guest2")
    refused = host.virsh("create", host.machine.file(domain, "guest2.xml"), status=1)
    assert "Operation not supported" in refused.stderr
    assert "engine user" in host.machine.linkspan("export", "libvirt", "br0", status=2).stderr
    up(host.machine)
    assert_guest_answers(host.machine)


def test_a_guest_on_the_exported_network_is_a_port_like_the_other(host: LibvirtHost) -> None:
    xml = host.machine.linkspan("export", "libvirt", "br0").stdout
    host.virsh("net-create", host.machine.file(xml, "net.xml"))
    host.virsh("attach-interface", "guest1", "network", LAB, "--live", "--model", "virtio")
    (added,) = ports(host.machine).keys() - {"br0", "web.eth0", "vnet0"}
    assert ports(host.machine)[added]["held_by"]["guest"] == "guest1"
    host.machine.run(["ip", "link", "set", added, "nomaster"], 0)
    up(host.machine)
    assert added in ports(host.machine)
    dumped = host.machine.file(host.virsh("net-dumpxml", LAB).stdout, "dump.xml")
    imported = host.machine.linkspan("import", "libvirt", dumped).stdout
    assert "  br0:\n    engine: kernel\n" in imported
    host.virsh("net-destroy", LAB)


NETWORK = """
name: vms
bridges:
  virbr9:
    mtu: 1400
    stp: stp
    forward-delay: 2
    address: [10.99.0.1/24, "fd00:99::1/64"]
    forward: nat
    publish: ["8080:10.99.0.9:80"]
    dhcp:
      range: [10.99.0.100-10.99.0.199, "fd00:99::100-fd00:99::1ff"]
      stations: {guest1: {mac: "52:54:00:00:00:07", address: 10.99.0.7}}
      lease-time: 7200
    dns: {domain: vms, upstream: 192.0.2.53}
"""


def test_libvirt_makes_the_network_that_is_exported_and_we_read_it_back(host: LibvirtHost) -> None:
    before = load(host.machine.file(NETWORK, "vms.yaml"))
    host.machine.linkspan("up", host.machine.folder / "vms.yaml")
    xml = host.machine.linkspan("export", "libvirt", "vms/virbr9").stdout
    host.machine.linkspan("down", "vms")
    host.virsh("net-define", host.machine.file(xml, "vms.xml"))
    host.virsh("net-start", "vms")
    dumped = host.virsh("net-dumpxml", "vms").stdout
    host.virsh("net-destroy", "vms")
    file = host.machine.folder / "read.yaml"
    said = host.machine.linkspan("import", "libvirt", "-", "-o", file, input=dumped).stdout
    assert "comments say what it could not say" in said
    after = load(file).bridges["virbr9"]
    for field in ("mtu", "stp", "forward_delay", "address", "forward", "dhcp", "dns"):
        assert getattr(after, field) == getattr(before.bridges["virbr9"], field), field


def test_a_guest_that_has_ended_leaves_nothing_to_do(host: LibvirtHost) -> None:
    host.virsh("destroy", "guest1")
    assert ports(host.machine).keys() == {"br0", "web.eth0"}
    assert plan(host.machine).startswith("nothing to do")
