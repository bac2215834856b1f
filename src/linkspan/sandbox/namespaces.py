"""Making a node's namespaces, and entering those that exist.

A node is a network, a mount and a UTS namespace: its own interfaces, its own host name, its own
/etc/hosts, /etc/resolv.conf and /sys. The process that makes nodes stands inside the lab's user,
PID and mount namespaces, makes one node after the other and returns to the lab's own each time.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

from linkspan.sandbox.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    end_with_parent,
    mount,
    setns,
    unshare,
)

NODE_KINDS: Final = ("mnt", "net", "uts")
"""A node's namespaces, in the order in which its descriptors are kept."""


def node_key(node: str) -> str:
    """The name under which a lab's init process holds a node's namespaces."""
    return f"node:{node}"


def open_namespaces(kinds: Sequence[str] = NODE_KINDS) -> list[int]:
    """Descriptors of the calling process's namespaces."""
    return [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]


def make_node(hostname: str, *folders: Path) -> list[int]:
    """Make the namespaces of a node and return their descriptors, in the order of `NODE_KINDS`.

    `folders` hold the node's `hosts` and `resolv.conf`, which are bound over those in /etc that
    the machine has; a folder that is not there holds none. The caller is in the lab's namespaces
    before and after. Raises OSError.
    """
    here = open_namespaces()
    try:
        unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS)
        socket.sethostname(hostname)
        # Addresses of one file are known to differ, and a router whose link-local address waits for
        # the outcome asks for no neighbour meanwhile (ndisc_solicit, net/ipv6/ndisc.c).
        with suppress(FileNotFoundError):
            Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
        mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        for file in [each for folder in folders if folder.is_dir() for each in folder.iterdir()]:
            target = Path("/etc") / file.name
            if target.exists():
                mount(str(file), str(target), "none", MS_BIND)
        return open_namespaces()
    finally:
        enter(here)
        close_all(here)


def enter(descriptors: Sequence[int]) -> None:
    """Enter namespaces one after the other; a user namespace comes first. Raises OSError."""
    for descriptor in descriptors:
        setns(descriptor)


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)


@contextmanager
def inside(network: int) -> Iterator[None]:
    """Stand in another network namespace for the length of a `with` block. Raises OSError."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(network, CLONE_NEWNET)
        yield
    finally:
        setns(here, CLONE_NEWNET)
        os.close(here)


def fork_inside(descriptors: Sequence[int], work: Callable[[], int]) -> int:
    """Fork a process that enters the namespaces, is a member of the PID namespace among them, and
    does `work`; returns its pid. `work` returns the exit status and never comes back here. It is
    killed when the calling process ends.
    """
    process = os.fork()
    if process == 0:
        _leave_with(lambda: _enter_and_work(descriptors, work))
    return process


def _enter_and_work(descriptors: Sequence[int], work: Callable[[], int]) -> int:
    enter(descriptors)
    end_with_parent()
    member = os.fork()  # setns(2): only children are put into the PID namespace
    if member == 0:
        end_with_parent()
        _leave_with(work)
    _, status = os.waitpid(member, 0)
    return os.waitstatus_to_exitcode(status)


def _leave_with(work: Callable[[], int]) -> NoReturn:
    status = 70
    try:
        status = work()
    finally:
        os._exit(status if status >= 0 else 128 - status)
