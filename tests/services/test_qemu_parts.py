"""Parts of how a machine is run: QEMU's command line, its protocol, the test of accelerators."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.guests import require_qemu

from linkspan.errors import Missing, Refusal
from linkspan.model.load import loads
from linkspan.model.state import Machine
from linkspan.plan.machines import command_line
from linkspan.services.acceleration import TCG, accelerator, has_kvm, runs_guest
from linkspan.services.firmware import why_not_booted
from linkspan.services.qemu import command, find_program
from linkspan.services.qmp import Qmp

PORTS = (("eth0", "52:54:00:00:00:01", 1500), ("eth1", "52:54:00:00:00:02", 9000))
ENDS = {"eth0": (7, True), "eth1": (8, False)}


def test_a_machine_on_the_command_line_of_qemu() -> None:
    machine = Machine(
        memory=256,
        cpus=2,
        ports=PORTS,
        kernel="/k",
        initrd="/i",
        append="console=ttyS0",
        disk="/a,b.qcow2",
        disk_format="qcow2",
        snapshot=True,
    )
    words = command("qemu", "lab", "vm1", machine, "tcg", ENDS)
    pairs = list(itertools.pairwise(words))
    for pair in (
        ("-name", "lab/vm1"),
        ("-accel", "tcg"),
        ("-m", "256"),
        ("-smp", "2"),
        ("-cpu", "max"),
        ("-kernel", "/k"),
        ("-initrd", "/i"),
        ("-append", "console=ttyS0 no_timer_check tsc=unstable"),
        ("-drive", "file=/a,,b.qcow2,format=qcow2,if=virtio,snapshot=on"),
        ("-netdev", "tap,id=net0,fd=7,vhost=off"),
        ("-device", "virtio-net-pci,netdev=net0,mac=52:54:00:00:00:01,romfile="),
        ("-netdev", "dgram,id=net1,local.type=fd,local.str=8"),
        ("-device", "virtio-net-pci,netdev=net1,mac=52:54:00:00:00:02,romfile=,host_mtu=9000"),
        ("-qmp", "unix:vm1.qmp,server=on,wait=off"),
        (
            "-chardev",
            "socket,id=console,path=vm1.console,server=on,wait=off,"
            "logfile=logs/vm1.log,logappend=on",
        ),
    ):
        assert pair in pairs
    assert "console=ttyS0" in command("qemu", "lab", "vm1", machine, "kvm", ENDS)


def test_a_kernel_is_told_the_addresses_of_the_file() -> None:
    text = """
    name: lab
    bridges: {br0: , br1: }
    nodes:
      vm1:
        kind: vm
        kernel: k
        append: quiet
        gateway: 10.1.1.1
        ports:
          eth0: {bridge: br0, address: [10.1.1.2/24, "fd00::2/64"]}
          eth1: {bridge: br1, address: 10.2.0.2/16}
          eth2: br1
          eth3: {bridge: br1, address: dhcp}
    """
    node = loads(text, "lab.yaml").nodes["vm1"]
    assert command_line("vm1", node, node.gateway) == (
        "quiet ip=10.1.1.2::10.1.1.1:255.255.255.0:vm1:eth0:off"
        " ip=10.2.0.2:::255.255.0.0:vm1:eth1:off"
        " ip=::::vm1:eth3:dhcp"
    )
    own = loads(text.replace("quiet", "quiet ip=dhcp"), "lab.yaml").nodes["vm1"]
    assert command_line("vm1", own, own.gateway) == "quiet ip=dhcp"


def serve(path: Path, answer: Callable[[socket.socket], None]) -> threading.Thread:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def run() -> None:
        with listening, listening.accept()[0] as peer:
            answer(peer)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_answers_are_told_from_events(tmp_path: Path) -> None:
    def answer(peer: socket.socket) -> None:
        peer.sendall(b'{"QMP": {}}\r\n')
        for line in peer.makefile("rb"):
            request = json.loads(line)
            peer.sendall(b'{"event": "RESET"}\r\n')
            said = {"return": {"status": "running"}, "id": request["id"]}
            if request["execute"] == "no-such":
                said = {"error": {"desc": "not known"}, "id": request["id"]}
            peer.sendall(json.dumps(said).encode() + b"\r\n")

    thread = serve(tmp_path / "vm1.qmp", answer)
    with Qmp(tmp_path / "vm1.qmp") as qmp:
        assert qmp.call("query-status") == {"status": "running"}
        assert qmp.pid > 0
        with pytest.raises(Refusal, match="refuses no-such: not known"):
            qmp.call("no-such")
    thread.join()


@pytest.mark.parametrize("said", [b"", b"no JSON\n", b"[]\n"], ids=["nothing", "noise", "a-list"])
def test_what_is_no_qemu_is_refused(tmp_path: Path, said: bytes) -> None:
    thread = serve(tmp_path / "vm1.qmp", lambda peer: peer.sendall(said))
    with pytest.raises(Refusal, match="does not answer"):
        Qmp(tmp_path / "vm1.qmp", timeout=5)
    thread.join()


def test_nobody_who_listens_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        Qmp(tmp_path / "vm1.qmp")


SEABIOS = """\
SeaBIOS (version 1.16.2-debian-1.16.2-1)
enter handle_19:
  NULL
Booting from Hard Disk...
Boot failed: not a bootable disk

enter handle_18:
  NULL
Booting from Floppy...
Boot failed: could not read the boot disk

enter handle_18:
  NULL
No bootable device.
"""


def test_a_firmware_that_gave_up_says_why() -> None:
    assert why_not_booted(SEABIOS) == "not a bootable disk"
    assert why_not_booted(SEABIOS[-40:]) == "no bootable device"
    assert why_not_booted(SEABIOS.partition("enter handle_18")[0]) == ""
    again = SEABIOS + "enter handle_19:\n  NULL\nBooting from Hard Disk...\n"
    assert why_not_booted(again) == "", "somebody has pressed the reset button since"
    assert (
        why_not_booted(again + "Boot failed: \x1b[2J\nNo bootable device.") == "no bootable device"
    )
    assert why_not_booted("") == ""


def test_an_accelerator_is_tried_and_the_answer_kept(tmp_path: Path) -> None:
    require_qemu()
    program = find_program()
    assert runs_guest(program, TCG, 20)
    assert not runs_guest(program, "no-such", 20)
    found = accelerator(program, tmp_path)
    assert found == ("kvm" if has_kvm(program) else "tcg")
    assert accelerator("/no/such/program", tmp_path) == found


def test_a_guest_that_gets_nowhere_is_given_up(tmp_path: Path) -> None:
    program = tmp_path / "hangs"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    assert not runs_guest(str(program), TCG, 0.1)


def test_no_qemu_is_missing_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Missing, match="install the package qemu-system-x86"):
        find_program()
