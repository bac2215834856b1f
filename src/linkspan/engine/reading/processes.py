"""Who is in, and who holds, which network namespace; who has which tap open: /proc, read once.

A namespace lives as long as a process is in it, a file is mounted on it (`ip netns`, Docker) or a
descriptor of it is open (a lab's nodes). All three are looked for. Each namespace that is found
is opened at once, since its last process may end while the others are read; processes that end
meanwhile are passed over, and those of others that may not be looked into are counted.

Sources: proc(5), namespaces(7); for the line `iff:` in a tap's fdinfo, `tun_chr_show_fdinfo` in
drivers/net/tun.c.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from linkspan.model.host_snapshot import Process

MOST_EXAMPLES: Final = 4
"""Processes of a namespace that are named; all are counted."""

_RESERVED: Final = 16
"""Descriptors that reading needs besides those of the namespaces."""

_NAMESPACE: Final = re.compile(r"net:\[(\d+)\]")
_NETNS_FOLDER: Final = "/run/netns"
_TUN: Final = "/dev/net/tun"
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@dataclass
class Found:
    """A namespace that was found: an open descriptor of it, and how it was found."""

    id: int
    descriptor: int
    names: list[str] = field(default_factory=list)
    processes: int = 0
    examples: list[Process] = field(default_factory=list)
    held_by: list[Process] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OpenTap:
    """A descriptor of a process through which it has a tap or tun open."""

    process: Process
    descriptor: int
    interface: str


@dataclass
class Processes:
    """What /proc shows."""

    home: int
    """The namespace that we are in."""
    namespaces: dict[int, Found] = field(default_factory=dict)
    taps: list[OpenTap] = field(default_factory=list)
    closed: int = 0
    """Processes that may not be looked into."""
    room: int = 0
    """Namespaces that may be open at once."""
    beyond: set[int] = field(default_factory=set)
    """Namespaces for which there was no room."""

    def close(self) -> None:
        """Close the descriptors."""
        for found in self.namespaces.values():
            os.close(found.descriptor)


def look() -> Processes:
    """Look through /proc, but for the calling process, which only looks, and its parent. The
    caller closes what comes back.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    seen = Processes(os.fstat(home).st_ino, room=limit - home - _RESERVED)
    seen.namespaces[seen.home] = Found(seen.home, home)
    mounts: dict[int, int] = {}
    ourselves = (os.getpid(), os.getppid())
    for pid in sorted(
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()
    ):
        if pid in ourselves:
            continue
        folder = Path(f"/proc/{pid}")
        try:
            (folder / "exe").readlink()  # a thread of the kernel has none, a zombie no longer
            number = (folder / "ns/net").stat().st_ino
            mounts.setdefault((folder / "ns/mnt").stat().st_ino, pid)
        except PermissionError:
            seen.closed += 1
            continue
        except OSError:
            continue  # it has ended
        _note_member(seen, pid, number)
        _note_descriptors(seen, pid)
    ours = Path("/proc/self/ns/mnt").stat().st_ino
    for number, pid in {ours: os.getpid(), **mounts}.items():
        _note_mounts(seen, pid, number == ours)
    return seen


def _note_member(seen: Processes, pid: int, number: int) -> None:
    found = _found(seen, number, f"/proc/{pid}/ns/net")
    if found is None:
        return
    found.processes += 1
    if len(found.examples) < MOST_EXAMPLES and (command := _command(pid)) is not None:
        found.examples.append(Process(pid=pid, command=command))


def _note_descriptors(seen: Processes, pid: int) -> None:
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for path in descriptors:
        try:
            target = os.fspath(path.readlink())
        except OSError:
            continue
        if target == _TUN:
            seen.taps += _taps(pid, path.name)
        elif match := _NAMESPACE.fullmatch(target):
            _note_holder(seen, pid, int(match[1]), str(path))


def _note_holder(seen: Processes, pid: int, number: int, path: str) -> None:
    found = _found(seen, number, path)
    if found is None or any(each.pid == pid for each in found.held_by):
        return
    if len(found.held_by) < MOST_EXAMPLES and (command := _command(pid)) is not None:
        found.held_by.append(Process(pid=pid, command=command))


def open_taps() -> Iterator[OpenTap]:
    """Every tap and tun that a process has open which we may look into."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            yield from taps_of(int(entry.name))


def taps_of(pid: int) -> list[OpenTap]:
    """The taps and tuns that a process has open; none if it has ended, or is not ours to see."""
    found: list[OpenTap] = []
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.fspath(path.readlink()) == _TUN:
                    found += _taps(pid, path.name)
    return found


def _taps(pid: int, descriptor: str) -> Iterator[OpenTap]:
    """The tap that a descriptor of /dev/net/tun is of; nothing for one that is of none yet."""
    try:
        data = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_bytes()
    except OSError:
        return
    command = _command(pid)
    for line in data.split(b"\n"):
        key, _, value = line.partition(b"\t")
        if key == b"iff:" and value and command is not None:
            name = value.decode(errors="backslashreplace")
            yield OpenTap(Process(pid=pid, command=command), int(descriptor), name)


def _note_mounts(seen: Processes, pid: int, is_ours: bool) -> None:
    for number, point in _mounted(pid):
        if is_ours:
            found = _found(seen, number, point)
            if found is not None:
                found.names.append(_name(point))
        else:
            _note_holder(seen, pid, number, f"/proc/{pid}/root{point}")


def _mounted(pid: int) -> Iterator[tuple[int, str]]:
    """Inodes and places of the network namespaces that are mounted, as a process sees them."""
    try:
        text = Path(f"/proc/{pid}/mountinfo").read_bytes().decode(errors="surrogateescape")
    except OSError:
        return
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if (
            after.startswith("nsfs ")
            and len(fields) > 4
            and (match := _NAMESPACE.fullmatch(fields[3]))
        ):
            yield int(match[1]), _OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4])


def _name(point: str) -> str:
    """What `ip netns` calls a namespace that is mounted there, or where that is."""
    name = point.removeprefix(f"{_NETNS_FOLDER}/") if point.count("/") == 3 else point
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _found(seen: Processes, number: int, path: str) -> Found | None:
    """The namespace of that inode, opened by `path` if it is new; None when it is gone."""
    if number not in seen.namespaces:
        if len(seen.namespaces) >= seen.room:
            seen.beyond.add(number)
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        if os.fstat(descriptor).st_ino != number:  # the number belongs to another process by now
            os.close(descriptor)
            return None
        seen.namespaces[number] = Found(number, descriptor)
    return seen.namespaces[number]


def _command(pid: int) -> str | None:
    """The name of a process's program, of which the kernel keeps 15 bytes; None if it ended."""
    try:
        data = Path(f"/proc/{pid}/comm").read_bytes()
    except OSError:
        return None
    return data.rstrip(b"\n").decode(errors="backslashreplace")
