"""Guests of others: their names by QEMU's command line, and what libvirt's status files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkspan.engine.reading.guests import GuestPort, guest_name, guest_ports
from linkspan.lab.guests import with_guests
from linkspan.model.load import loads
from linkspan.plan.desired import desired

QEMU = "/usr/bin/qemu-system-x86_64"

STATUS = """\
<domstatus state='running' reason='booted' pid='{pid}'>
  <domain type='kvm' id='1'>
    <name>web</name>
    <devices>
      <interface type='bridge'>
        <source bridge='br0'/><target dev='vnet0'/><port isolated='yes'/>
      </interface>
      <interface type='network'>
        <source network='lan' portid='x'/>
        <actual type='bridge'><source bridge='br1'/></actual>
        <target dev='vnet1'/>
      </interface>
      <interface type='network'>
        <source network='default'/>
        <actual type='network'><source bridge='virbr0'/></actual>
        <target dev='vnet2'/>
      </interface>
      <interface type='bridge'>
        <source bridge='ovs0'/><virtualport type='openvswitch'/><target dev='vnet3'/>
      </interface>
      <interface type='direct'><source dev='eth0'/><target dev='macvtap0'/></interface>
      <interface type='user'/>
      <interface type='bridge'><source bridge='br0'/></interface>
    </devices>
  </domain>
</domstatus>
"""
"""As libvirt 9 writes it, less what nobody here reads."""


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ([QEMU, "-name", "guest=web,debug-threads=on", "-S"], "web"),
        ([QEMU, "-name", "web"], "web"),
        (["/usr/libexec/qemu-kvm", "-name", "debug-threads=on,guest=a,,b=c"], "a,b=c"),
        ([QEMU, "-name", "process=foo"], None),
        ([QEMU, "-name"], None),
        ([QEMU], None),
        (["/usr/bin/find", "/", "-name", "guest=web"], None),
        ([], None),
    ],
)
def test_qemu_names_its_guest(command: list[str], name: str | None) -> None:
    assert guest_name(command) == name


def test_a_status_file_says_which_tap_belongs_on_which_bridge(tmp_path: Path) -> None:
    (tmp_path / "web.xml").write_text(STATUS.format(pid=7))
    (tmp_path / "web.pid").write_text("7")
    assert guest_ports(tmp_path) == (
        [
            GuestPort("web", 7, "vnet0", "br0", isolated=True),
            GuestPort("web", 7, "vnet1", "br1"),
            GuestPort("web", 7, "vnet2", "virbr0"),
        ],
        [],
    )


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("<domstatus", True),
        ("<!DOCTYPE a><domstatus/>", True),
        ("<network/>", False),
        ("<domstatus/>", False),
        (STATUS.format(pid="seven"), False),
    ],
)
def test_what_is_no_status_file_has_no_ports(tmp_path: Path, text: str, is_told: bool) -> None:
    (tmp_path / "web.xml").write_text(text)
    ports, unread = guest_ports(tmp_path)
    assert ports == []
    assert [str(tmp_path / "web.xml") in each for each in unread] == [True] * is_told


def test_without_libvirt_there_are_none(tmp_path: Path) -> None:
    assert guest_ports(tmp_path / "nowhere") == ([], [])


def test_a_tap_that_the_named_process_has_not_open_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "web.xml").write_text(STATUS.format(pid=1))
    topology = loads("name: lab\nscope: host\nbridges: {br0: {engine: kernel}}", "lab.yaml")
    wanted = desired(topology)
    assert with_guests(topology, wanted, tmp_path) == wanted
