"""QEMU's command line for a machine: a PC with as little in it as a guest needs.

    disk        virtio-blk, its image's format always named
    ports       virtio-net, each with a tap or one of a pair of sockets, by descriptor
    console     the serial line, on a UNIX socket; the firmware speaks there as well. What is said
                goes to the machine's log, too
    control     QMP, on another one
    firmware    what it says is kept, see `firmware.py`

Sockets are named without their folder, which QEMU is started in: a path of a UNIX socket may have
107 bytes, and a lab's folder may be deep.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from linkspan.errors import Missing
from linkspan.model.state import Machine
from linkspan.sandbox.output import output_file
from linkspan.services import firmware
from linkspan.services.acceleration import TCG

PROGRAM: Final = "qemu-system-x86_64"
PACKAGE: Final = "qemu-system-x86"

USUAL_MTU: Final = 1500

EMULATED: Final = "no_timer_check tsc=unstable"
"""What a Linux kernel is told whose processor is emulated. On a machine with other work its boot
would else panic now and then (check_timer, arch/x86/kernel/apic/io_apic.c), and its clock run at a
multiple of its rate, since ten milliseconds are too short to measure what may not run for longer.
"""


def console_name(node: str) -> str:
    """The socket of a machine's console, in the lab's folder."""
    return f"{node}.console"


def control_name(node: str) -> str:
    """The socket of a machine's QMP, in the lab's folder."""
    return f"{node}.qmp"


def find_program() -> str:
    """The path of QEMU. Raises Missing when there is none for this machine."""
    architecture = os.uname().machine
    if architecture != "x86_64":
        raise Missing(
            f"virtual machines need a PC\n  expected: x86_64\n  found: {architecture}\n"
            "  next: run the lab on such a machine, or make the node a container"
        )
    path = shutil.which(PROGRAM)
    if path is None:
        raise Missing(
            f"virtual machines need {PROGRAM}, which is not installed\n"
            f"  next: install the package {PACKAGE} (Debian, Ubuntu)"
        )
    return path


def command(
    program: str,
    lab: str,
    node: str,
    machine: Machine,
    accelerator: str,
    ends: Mapping[str, tuple[int, bool]],
) -> list[str]:
    """The command line. `ends` are, by port, the descriptor and whether it is a tap."""
    words = [program, "-name", f"{lab}/{node}", "-nodefaults", "-no-user-config"]
    words += ["-machine", "pc,graphics=off", "-accel", accelerator, "-display", "none"]
    # Disks of today's distributions want more than QEMU's usual processor has (x86-64-v2, -v3).
    words += ["-cpu", "max"]
    words += ["-m", str(machine.memory), "-smp", str(machine.cpus)]
    words += ["-qmp", f"unix:{control_name(node)},server=on,wait=off"]
    # Appended, so that the log can be cut meanwhile.
    kept = f"logfile={output_file(Path(), node)},logappend=on"
    console = f"socket,id=console,path={console_name(node)},server=on,wait=off,{kept}"
    words += ["-chardev", console]
    words += ["-serial", "chardev:console", *firmware.arguments()]
    words += _boot(machine, accelerator)
    for number, (name, mac, mtu) in enumerate(machine.ports):
        descriptor, is_tap = ends[name]
        words += ["-netdev", _netdev(number, descriptor, is_tap)]
        words += ["-device", _nic(number, mac, mtu)]
    return words


def _boot(machine: Machine, accelerator: str) -> list[str]:
    words = []
    if machine.kernel is not None:
        told = [machine.append or "", EMULATED if accelerator == TCG else ""]
        words += ["-kernel", machine.kernel, "-append", " ".join(filter(None, told))]
    if machine.initrd is not None:
        words += ["-initrd", machine.initrd]
    if machine.disk is not None:
        # A comma in the name of a file is written twice (QEMU's invocation, "QemuOpts").
        file = machine.disk.replace(",", ",,")
        snapshot = "on" if machine.snapshot else "off"
        words += [
            "-drive",
            f"file={file},format={machine.disk_format},if=virtio,snapshot={snapshot}",
        ]
    return words


def _netdev(number: int, descriptor: int, is_tap: bool) -> str:
    if is_tap:
        return f"tap,id=net{number},fd={descriptor},vhost=off"
    return f"dgram,id=net{number},local.type=fd,local.str={descriptor}"


def _nic(number: int, mac: str, mtu: int) -> str:
    """Without the firmware's own driver, which would try to boot from the network."""
    told = "" if mtu == USUAL_MTU else f",host_mtu={mtu}"
    return f"virtio-net-pci,netdev=net{number},mac={mac},romfile={told}"
