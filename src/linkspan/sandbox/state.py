"""A lab's folder under /run, and the lock that says whether the lab is alive.

`/run/linkspan/LAB/` for root, `$XDG_RUNTIME_DIR/linkspan/LAB/` for others, holds what a later
command needs: the lock, the control sockets, the applied topology, the log. The lab's init process
holds the lock (flock(2)) as long as it lives, so that a folder whose lock is free is what a crash
or a reboot left behind, and may be removed. Nothing else decides that: no pid is trusted, since
pids are used again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linkspan.errors import Missing, Refusal

LOCK: Final = "lock"
INIT_SOCKET: Final = "init.sock"
TOPOLOGY: Final = "topology.json"
LOG: Final = "log"
HOSTS: Final = "etc/hosts"
"""What all nodes of the lab have as /etc/hosts."""
NODE_FILES: Final = "nodes"
"""By its name, what each node has as /etc/resolv.conf; only processes inside the lab see them."""


_OF_ROOT: Final = Path("/run/linkspan")


def root() -> Path:
    """The folder of all labs of this user. Raises Missing when no safe one can be had."""
    if os.geteuid() == 0:
        return _OF_ROOT
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    if runtime.is_absolute() and os.access(runtime, os.W_OK):
        return runtime / "linkspan"
    return _private(Path(f"/tmp/linkspan-{os.geteuid()}"))


def _private(folder: Path) -> Path:
    """A folder of ours in a place where anybody may write: refuse what another user put there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise Missing(
            f"{folder} is not a private folder of yours (owner {found.st_uid}, mode"
            f" {stat.S_IMODE(found.st_mode):o}); remove it, or set XDG_RUNTIME_DIR"
        )
    return folder


def folder(lab: str) -> Path:
    """The folder of one lab."""
    return root() / lab


def bridge_socket(place: Path, bridge: str) -> Path:
    """The control socket of the switch process of a bridge."""
    return place / f"bridge-{bridge}.sock"


def labs() -> list[str]:
    """Names of all labs that have a folder, alive or not."""
    try:
        return sorted(entry.name for entry in root().iterdir() if entry.is_dir())
    except OSError:
        return []


def labs_of_others() -> Iterator[tuple[str, str]]:
    """Labs of other users and the users' names, as far as we may look."""
    roots = [_OF_ROOT, *Path("/run/user").glob("*/linkspan")]
    for other in (each for each in roots if each != root()):
        with contextlib.suppress(OSError):
            for entry in sorted(other.iterdir()):
                yield entry.name, _user(entry.stat().st_uid)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"  # as sudo(8) takes it


def is_alive(place: Path) -> bool:
    """Whether somebody holds the lock of the lab whose folder this is."""
    return is_locked(place / LOCK)


def is_locked(lock: Path) -> bool:
    """Whether a process holds the lock of a file (flock(2))."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def take(place: Path) -> int | None:
    """Make a lab's folder and take its lock.

    Returns the lock's descriptor, or None when another process holds it. What a dead lab left in
    the folder is still there.
    """
    while True:
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # removed between the two by a `down`
        except OSError as error:
            raise Refusal(f"cannot make the lab's folder {place}: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if is_still(place / LOCK, descriptor):
            return descriptor
        os.close(descriptor)


def is_still(path: Path, descriptor: int) -> bool:
    """Whether `path` is the file that was locked, not one made after that was removed."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def empty(place: Path) -> None:
    """Remove all that is in a lab's folder but the lock."""
    for entry in place.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != LOCK:
            entry.unlink(missing_ok=True)


def clear(place: Path) -> bool:
    """Remove what a dead lab left in its folder; False when the lab is alive."""
    try:
        descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return not place.exists()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(place, descriptor)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def remove(place: Path, lock: int) -> None:
    """Remove a lab's folder, the lock last; and the folder of all labs when it is empty.

    The caller holds `lock`. A folder with another lock belongs to a later lab of the same name
    and stays.
    """
    if not is_still(place / LOCK, lock):
        return
    empty(place)
    (place / LOCK).unlink(missing_ok=True)
    for folder in (place, place.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()
