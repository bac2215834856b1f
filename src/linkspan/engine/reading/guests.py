"""Guests of QEMU that others run: their names, and on which bridge libvirt means to have them.

QEMU's own command line names its guest (`-name guest=web,…`, qemu(1)), whoever started it. On which
bridge a tap belongs when it is on none is known to libvirt alone: the status file of a running
domain (/run/libvirt/qemu/NAME.xml, what libvirtd itself reads when it is started again) has each
interface with its bridge and its tap. These files are private to libvirt, so a tap counts only if
the process that they name has it open; what can't be read is passed over and told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkspan.errors import Mistake
from linkspan.model.xml_reader import Element, read_xml

STATUS: Final = Path("/run/libvirt/qemu")
"""Of the system's libvirtd or virtqemud; for users' own see `session_guests`."""

_BRIDGED: Final = ("bridge", "network")
"""Types of interface whose tap libvirt makes a port of a bridge."""


@dataclass(frozen=True, slots=True)
class GuestPort:
    """A port that a guest of libvirt's should have."""

    guest: str
    pid: int
    """QEMU's process."""
    tap: str
    bridge: str
    isolated: bool = False


def guest_name(command: Sequence[str]) -> str | None:
    """The guest's name by QEMU's command line; None for other programs and a guest without one."""
    program = command[0].rpartition("/")[2] if command else ""
    if not program.startswith(("qemu", "kvm")) or "-name" not in command[:-1]:
        return None
    value = command[command.index("-name") + 1].replace(",,", "\0")
    for option in value.split(","):
        key, is_said, text = option.partition("=")
        if not is_said or key == "guest":
            return (text if is_said else key).replace("\0", ",") or None
    return None


def guest_of(pid: int) -> str | None:
    """The name of the guest that a process runs; None if it runs none, or has ended."""
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return guest_name(os.fsdecode(data).encode(errors="replace").decode().split("\0"))


def guest_ports(folder: Path = STATUS) -> tuple[list[GuestPort], list[str]]:
    """Ports of libvirt's running guests, as it means them; and the files that can't be read."""
    found: list[GuestPort] = []
    unread: list[str] = []
    try:
        files = sorted(folder.glob("*.xml"))
    except OSError:
        files = []
    for file in files:
        try:
            found += ports_of(read_xml(file.read_bytes(), str(file)))
        except FileNotFoundError:
            continue  # the guest has just ended
        except (OSError, Mistake) as error:
            unread.append(f"{file}: {str(error).partition(chr(10))[0]}")
    return found, unread


def ports_of(status: Element) -> Iterator[GuestPort]:
    """The ports that the status of a running domain speaks of."""
    pid = status.attributes.get("pid", "")
    names = status.find("domain", "name")
    if status.tag != "domstatus" or not pid.isdecimal() or not names:
        return
    for interface in status.find("domain", "devices", "interface"):
        kind = interface.attributes.get("type")
        sources = [*interface.find("actual", "source"), *interface.find("source")]
        bridges = [each.attributes["bridge"] for each in sources if "bridge" in each.attributes]
        targets = [each.attributes.get("dev", "") for each in interface.find("target")]
        is_ours = not [*interface.find("virtualport"), *interface.find("actual", "virtualport")]
        if kind in _BRIDGED and bridges and any(targets) and is_ours:
            ports = [*interface.find("port"), *interface.find("actual", "port")]
            yield GuestPort(
                guest=names[0].text,
                pid=int(pid),
                tap=targets[0],
                bridge=bridges[0],
                isolated=any(each.attributes.get("isolated") == "yes" for each in ports),
            )
