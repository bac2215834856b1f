"""Guests of users' own libvirt (qemu:///session), and the bridges that they may be on.

Their taps are made by qemu-bridge-helper, a program of QEMU's with the privilege for it, on the
bridges that the administrator lets users have: /etc/qemu/bridge.conf. On which bridge a tap belongs
is said by the same status files as of the system's libvirt, but everybody can write such a file. So
a port is believed only if a process of the very user runs that guest, the file is that user's, and
the helper would make the port for that user now. Who calls checks that the process has the tap.

Source: qemu-bridge-helper.c of QEMU; virGetUserRuntimeDirectory, src/util/virutil.c of libvirt.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linkspan.engine.reading.guests import GuestPort, guest_of, ports_of
from linkspan.errors import Mistake
from linkspan.model.xml_reader import read_xml

ALLOWED: Final = Path("/etc/qemu/bridge.conf")
"""Which bridges the helper makes ports of, and for whom."""

_DEEPEST: Final = 8
"""Files that include each other."""

_MOST_BYTES: Final = 4 << 20
"""Of a status file; libvirt's have some 10 KiB."""


def session_ports(proc: Path = Path("/proc")) -> list[GuestPort]:
    """Ports that running guests of users' own libvirt should have."""
    found: list[GuestPort] = []
    for entry in proc.iterdir():
        with contextlib.suppress(OSError, Mistake):
            user = entry.stat().st_uid
            if user == 0 or not entry.name.isdecimal():
                continue
            guest = guest_of(int(entry.name))
            if guest is not None and "/" not in guest:
                found += [
                    port
                    for port in _ports(user, guest)
                    if port.pid == int(entry.name) and is_allowed(user, port.bridge)
                ]
    return found


def _ports(user: int, guest: str) -> Iterator[GuestPort]:
    known = _known(user)
    homes = [Path(known.pw_dir, ".cache/libvirt")] if known is not None else []
    for folder in (Path(f"/run/user/{user}/libvirt"), *homes):
        file = folder / "qemu/run" / f"{guest}.xml"
        with contextlib.suppress(FileNotFoundError, PermissionError):
            yield from ports_of(read_xml(_read_own(file, user), str(file)))


def _read_own(file: Path, user: int) -> bytes:
    """A user's own file. Raises OSError when it is something else."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != user:
            raise PermissionError(f"{file} is no file of the user {user}")
        return opened.read(_MOST_BYTES)


def is_allowed(user: int, bridge: str, file: Path = ALLOWED) -> bool:
    """Whether qemu-bridge-helper makes a port of a bridge for a user: some rule allows it and none
    denies it.
    """
    rules = set(_rules(user, file, 0))
    allows = rules & {("allow", bridge), ("allow", "all")}
    return bool(allows) and not rules & {("deny", bridge), ("deny", "all")}


def _rules(user: int, file: Path, depth: int) -> Iterator[tuple[str, str]]:
    """The rules of a file and of those that it includes, as far as the user may read them: that is
    how a rule is given to some users alone.
    """
    try:
        text = file.read_text(errors="replace") if _may_read(file.stat(), user) else ""
    except OSError:
        return
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and words[0] == "include" and depth < _DEEPEST:
            yield from _rules(user, Path(words[1]), depth + 1)
        elif len(words) == 2:
            yield words[0], words[1]


def _may_read(found: os.stat_result, user: int) -> bool:
    if found.st_uid == user:
        return bool(found.st_mode & stat.S_IRUSR)
    if found.st_gid in _groups(user):
        return bool(found.st_mode & stat.S_IRGRP)
    return bool(found.st_mode & stat.S_IROTH)


def _groups(user: int) -> list[int]:
    known = _known(user)
    return os.getgrouplist(known.pw_name, known.pw_gid) if known is not None else []


def _known(user: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(user)
    except KeyError:
        return None
