"""Folders and files of the machine in nodes: mounted, unmounted, and found again.

What is to be seen in a node is copied in the lab's mount namespace, where its path means what it
means on the machine, and mounted in the node's, which may have something else there. Both happen
while the node runs; whoever is in it sees it at once.

Nothing in a mount says by which path it was found. So the mount of a path that somebody declares is
read as that of a source if the two are the same file; mounts that nobody declared are not ours.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkspan.control.descriptors import close_all
from linkspan.engine.site import Site
from linkspan.model.state import Mount, MountKey, State
from linkspan.plan.change import Change
from linkspan.sandbox.namespaces import NODE_KINDS, node_key, open_namespaces
from linkspan.sandbox.syscalls import (
    CLONE_NEWNS,
    MS_BIND,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_RELATIME,
    MS_REMOUNT,
    copy_of_mount,
    mount,
    mount_copy,
    setns,
    unmount,
)

_FLAGS: Final = {
    "ro": MS_RDONLY,
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "noatime": MS_NOATIME,
    "nodiratime": MS_NODIRATIME,
    "relatime": MS_RELATIME,
}
"""What a mount keeps when it is made read-only, by the words of /proc/PID/mountinfo (proc(5))."""

_OCTAL: Final = re.compile(r"\\([0-7]{3})")


class Mounts:
    """Carries out changes of mounts."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def carry_out(self, change: Change) -> None:
        """Mount, unmount, or do one after the other. Raises Refusal or OSError."""
        key = change.key
        assert isinstance(key, MountKey)
        copy = copy_of_mount(change.after.source) if isinstance(change.after, Mount) else None
        try:
            with _mounts_of(self._site, key.node):
                if change.before is not None:
                    unmount(key.path)
                if copy is not None:
                    mount_copy(copy, key.path)
                    if isinstance(change.after, Mount) and change.after.read_only:
                        _make_read_only(key.path)
        finally:
            if copy is not None:
                os.close(copy)


def _make_read_only(path: str) -> None:
    """Make the mount that came last at a path, and those on it, read-only; a mount in a user
    namespace must keep whatever else it has (mount_namespaces(7)).
    """
    rows = list(_mountinfo())
    concerned = {next(row.number for row in reversed(rows) if row.path == path)}
    for row in rows:  # what stands on another mount comes after it
        if row.number in concerned or row.parent in concerned:
            concerned.add(row.number)
            kept = [_FLAGS[word] for word in row.options if word in _FLAGS and word != "ro"]
            mount("none", row.path, "none", MS_REMOUNT | MS_BIND | MS_RDONLY | sum(kept))


def read_mounts(site: Site, states: Iterable[State]) -> Iterator[tuple[MountKey, Mount]]:
    """What there is of the mounts that somebody declares. Raises Refusal or OSError."""
    sources: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for state in states:
        for key, value in state.items():
            if isinstance(key, MountKey) and isinstance(value, Mount):
                sources[key.node][key.path].append(value.source)
    there = set(site.nodes()) if sources else set()
    for node, paths in sources.items():
        if node not in there:
            continue
        identities = {source: _identity(source) for several in paths.values() for source in several}
        with _mounts_of(site, node):
            options = {row.path: row.options for row in _mountinfo()}
            found = {path: _identity(path) for path in paths if path in options}
        for path, identity in found.items():
            known = [each for each in paths[path] if identity and identities[each] == identity]
            source = known[0] if known else ""
            yield MountKey(node, path), Mount(source=source, read_only="ro" in options[path])


def _identity(path: str) -> tuple[int, int] | None:
    """What tells a file from every other one; None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@dataclass(frozen=True, slots=True)
class _Row:
    """A mount."""

    number: str
    parent: str
    path: str
    options: list[str]


def _mountinfo() -> Iterator[_Row]:
    """The mounts of the calling process's namespace, the last made last (proc(5))."""
    with open("/proc/thread-self/mountinfo") as file:
        for line in file:
            words = line.split(" ")
            path = _OCTAL.sub(lambda found: chr(int(found[1], 8)), words[4])
            yield _Row(words[0], words[1], path, words[5].split(","))


@contextlib.contextmanager
def _mounts_of(site: Site, node: str) -> Iterator[None]:
    """Stand in a node's mount namespace for the length of a `with` block. Raises OSError."""
    _, own = site.init.call_for_descriptors("fetch", name=node_key(node))
    here = open_namespaces(("mnt",))
    folder = Path.cwd()
    try:
        setns(own[NODE_KINDS.index("mnt")], CLONE_NEWNS)
        yield
    finally:
        setns(here[0], CLONE_NEWNS)
        with contextlib.suppress(OSError):
            os.chdir(folder)
        close_all([*own, *here])
