"""Making the namespaces of nodes, of many side by side.

A node is a network, a mount and a UTS namespace: its own interfaces, its own host name, its own
/etc/hosts, /etc/resolv.conf and /sys. The process that makes nodes stands inside the lab's user,
PID and mount namespaces and stays there: threads go in, for a thread has namespaces of its own
(unshare(2); a mount namespace gives it a root directory of its own, too). Half a millisecond of the
kernel's work for each node, nearly all of it without a lock, so two threads take half the time.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Final

from linkspan.control.descriptors import close_all
from linkspan.sandbox.namespaces import open_namespaces
from linkspan.sandbox.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    mount,
    setns,
    unshare,
)

_THREADS: Final = 2
"""More wait for one another in the kernel, where the interfaces `lo` are registered."""

_ACCEPT_DAD: Final = "/proc/sys/net/ipv6/conf/default/accept_dad"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A node that is to be made."""

    name: str
    files: Mapping[str, Path]
    """By path in /etc what is bound over it, where the machine has it."""


@dataclass(slots=True)
class _Share:
    """What one thread has to make, and has made."""

    recipes: Sequence[Recipe]
    made: dict[str, list[int]] = field(default_factory=dict)
    error: OSError | None = None


def make_nodes(recipes: Sequence[Recipe]) -> dict[str, list[int]]:
    """Make nodes; their descriptors, in the order of `NODE_KINDS`, by name. Raises OSError: then
    there is none of them.
    """
    shares = [_Share(recipes[start::_THREADS]) for start in range(min(_THREADS, len(recipes)))]
    threads = [Thread(target=_make_share, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = {name: descriptors for share in shares for name, descriptors in share.made.items()}
    for share in shares:
        if share.error is not None:
            close_all([each for descriptors in made.values() for each in descriptors])
            raise share.error
    return {recipe.name: made[recipe.name] for recipe in recipes}


def _make_share(share: _Share) -> None:
    """Make nodes by a thread of its own, whose namespaces end with it."""
    try:
        (lab,) = open_namespaces(("mnt",))
        try:
            for recipe in share.recipes:
                share.made[recipe.name] = _make(recipe)
                setns(lab, CLONE_NEWNS)  # what is mounted in one node is none of the next one's
        finally:
            os.close(lab)
    except OSError as error:
        share.error = error


def _make(recipe: Recipe) -> list[int]:
    unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS)
    socket.sethostname(recipe.name)
    # Addresses of one file are known to differ, and a router whose link-local address waits for
    # the outcome asks for no neighbour meanwhile (ndisc_solicit, net/ipv6/ndisc.c).
    with suppress(FileNotFoundError), open(_ACCEPT_DAD, "wb", buffering=0) as setting:
        setting.write(b"0")
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for target, file in recipe.files.items():
        with suppress(FileNotFoundError):
            mount(str(file), target, "none", MS_BIND)
    return open_namespaces()
