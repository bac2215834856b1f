"""Become the QEMU of one machine: started by the lab's init process with what QEMU is to inherit.

    python -m linkspan.services.start_machine DESCRIPTOR

DESCRIPTOR is a file with a `MachineConfiguration` as JSON; the descriptors of the ports are open
already, and QEMU is told their numbers.
"""

from __future__ import annotations

import fcntl
import os
import sys

import msgspec

from linkspan.model.state import Machine
from linkspan.services.qemu import command

_TUNGETIFF, _IFREQ_BYTES = 0x800454D2, 40


class MachineConfiguration(msgspec.Struct, frozen=True):
    """One machine. `descriptors` is filled in by the lab's init process."""

    lab: str
    node: str
    folder: str
    """Of the lab: where the sockets are."""
    program: str
    accelerator: str
    machine: Machine
    ends: dict[str, str]
    """The names under which init holds the machine's ends, by port."""
    descriptors: dict[str, list[int]] = {}


def main(arguments: list[str]) -> None:
    """Be replaced by QEMU. Raises OSError."""
    with open(int(arguments[0]), "rb") as file:
        configuration = msgspec.json.decode(file.read(), type=MachineConfiguration)
    ends = {}
    for port, key in configuration.ends.items():
        (descriptor,) = configuration.descriptors[key]
        ends[port] = (descriptor, is_tap(descriptor))
    os.chdir(configuration.folder)
    os.umask(0o077)
    words = command(
        configuration.program,
        configuration.lab,
        configuration.node,
        configuration.machine,
        configuration.accelerator,
        ends,
    )
    os.execv(words[0], words)


def is_tap(descriptor: int) -> bool:
    """Whether a descriptor is of a tap (TUNGETIFF, drivers/net/tun.c)."""
    try:
        fcntl.ioctl(descriptor, _TUNGETIFF, bytes(_IFREQ_BYTES))
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
