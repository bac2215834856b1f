"""The programs that services are: where they are, how they are called, what they need.

dnsmasq gives up root where there is another user to become; in an ordinary user's lab there is
none, and root there is nobody outside. Its files are named on the command line, since a path may
hold what its configuration file can't say.

dhcpcd separates privileges by several processes for each interface and a user of its own, which an
ordinary user's lab does not have. It leaves that when it finds no such user, hence the short
/etc/passwd. What it keeps in /run and /var/lib is for one interface of one node, hence a folder of
its own over each; the lease survives there when the process is killed.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkspan.errors import Missing
from linkspan.model.state import ServiceKey, State
from linkspan.plan.services import CLIENT, SERVER

PACKAGES: Final = {SERVER: "dnsmasq-base", CLIENT: "dhcpcd-base"}
"""Debian packages by program."""

_PLACES: Final = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where programs are that an ordinary user's PATH does not name."""

CONFIGURATION: Final = "configuration"
LEASES: Final = "leases"
READY: Final = "pid"
"""Names of files in a service's folder."""


@dataclass(frozen=True, slots=True)
class Call:
    """How a program is started."""

    arguments: tuple[str, ...]
    kinds: tuple[str, ...]
    """Namespaces of the node that it is in; the others are the lab's own."""
    mounts: tuple[tuple[str, str], ...] = ()


def find(program: str) -> str:
    """The path of a program. Raises Missing, naming the package that brings it."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_PLACES}")
    if path is None:
        raise Missing(
            f"{program} is not installed\n  next: apt install {PACKAGES[program]}, or what brings"
            f" {program} elsewhere"
        )
    return path


def require_programs(wanted: State) -> None:
    """Raise Missing when a program that a state needs is not there."""
    for program in {key.program for key in wanted if isinstance(key, ServiceKey)}:
        find(program)


def folder_of(lab: Path, key: ServiceKey) -> Path:
    """The folder of a service in its lab's folder."""
    return lab / "services" / f"{key.program}.{key.node}.{key.interface}"


def prepare(folder: Path, key: ServiceKey, text: str) -> Call:
    """Write what a program finds at its start; returns how it is called. What an earlier process
    of it left (leases) stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return (_dnsmasq if key.program == SERVER else _dhcpcd)(folder, key, text)


def _dnsmasq(folder: Path, key: ServiceKey, text: str) -> Call:
    (folder / CONFIGURATION).write_text(text)
    (folder / READY).unlink(missing_ok=True)
    return Call(
        (
            find(SERVER),
            "--keep-in-foreground",
            "--log-facility=-",
            f"--conf-file={folder / CONFIGURATION}",
            f"--dhcp-leasefile={folder / LEASES}",
            f"--pid-file={folder / READY}",
            *(() if _has_other_users() else ("--user=", "--group=")),
        ),
        kinds=("net",),
    )


def _has_other_users() -> bool:
    """Whether the user namespace has more than the one user who made it."""
    return Path("/proc/self/uid_map").read_text().split()[2:] != ["1"]


def _dhcpcd(folder: Path, key: ServiceKey, text: str) -> Call:
    run, kept, users = folder / "run", folder / "lib", folder / "passwd"
    for place in (run, kept):
        place.mkdir(exist_ok=True)
    users.write_text("root:x:0:0:root:/:/bin/sh\n")
    (run / CONFIGURATION).write_text(text)
    return Call(
        (find(CLIENT), "--nobackground", "--config", f"/run/{CONFIGURATION}", key.interface),
        kinds=("mnt", "net", "uts"),
        mounts=(
            (str(kept), "/var/lib/dhcpcd"),
            (str(users), "/etc/passwd"),
            (str(run), "/run"),
        ),
    )
