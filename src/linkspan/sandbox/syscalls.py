"""The system calls that Python 3.11 does not have, with errors as OSError.

Sources: unshare(2), setns(2), mount(2), prctl(2) and their constants in include/uapi/linux.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import struct
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REMOUNT: Final = 0x20
MS_NOATIME: Final = 0x400
MS_NODIRATIME: Final = 0x800
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x40000
MS_RELATIME: Final = 0x200000

_OPEN_TREE, _MOVE_MOUNT = 428, 429
"""Numbers that all architectures share (include/uapi/asm-generic/unistd.h); Linux 5.2."""

_AT_FDCWD: Final = -100
_OPEN_TREE_CLONE, _AT_RECURSIVE, _MOVE_FROM_DESCRIPTOR = 0x1, 0x8000, 0x4
_MNT_DETACH: Final = 0x2

_TUNSETCARRIER: Final = 0x400454E2

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    """Give the calling process new namespaces. Raises OSError."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int = 0) -> None:
    """Enter the namespace that `descriptor` refers to. Raises OSError."""
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Mount. Raises OSError."""
    result = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode(),
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    _check(result, target)


def copy_of_mount(path: str) -> int:
    """A descriptor of a folder or file and the mounts below it, as a copy that is mounted nowhere
    yet (open_tree(2)). Raises OSError.
    """
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    result: int = _libc.syscall(_OPEN_TREE, _AT_FDCWD, path.encode(), flags)
    _check(result, path)
    return result


def mount_copy(copy: int, target: str) -> None:
    """Mount what `copy_of_mount` gave, in whichever mount namespace we are now (move_mount(2)).
    Raises OSError.
    """
    flags = _MOVE_FROM_DESCRIPTOR
    _check(_libc.syscall(_MOVE_MOUNT, copy, b"", _AT_FDCWD, target.encode(), flags), target)


def unmount(target: str) -> None:
    """Unmount what was mounted last at a path, though it is in use. Raises OSError."""
    _check(_libc.umount2(target.encode(), _MNT_DETACH), target)


def set_process_name(name: str) -> None:
    """Name this process in ps and top; the kernel keeps the first 15 bytes."""
    _check(_libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0), "prctl")


def end_with_parent() -> None:
    """Have this process killed when the one that forked it ends. A change of credentials, such as
    entering a user namespace, undoes it (prctl(2), PR_SET_PDEATHSIG).
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl")


def set_carrier(tap: int, on: bool) -> None:
    """Let a tap have a carrier or none (drivers/net/tun.c, `tun_net_change_carrier`). Raises
    OSError, also when it is no tap.
    """
    fcntl.ioctl(tap, _TUNSETCARRIER, struct.pack("i", on))


def raise_descriptor_limit() -> None:
    """Allow as many open files as the system lets us: a lab of 1,000 nodes needs some 5,000."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
