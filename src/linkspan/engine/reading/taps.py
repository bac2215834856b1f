"""Which tap a descriptor of another process stands for.

The kernel shows the tap's name beside the descriptor, but not its namespace, and a name may be
there in several. With the privilege for it, a duplicate of the descriptor is asked
(pidfd_getfd(2), TUNGETDEVNETNS in drivers/net/tun.c); it is closed at once, and shares nothing
with the holder that reading could change. Without it, a name counts where only one namespace that
could be read has it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from linkspan.engine.reading.guests import guest_of
from linkspan.engine.reading.processes import OpenTap
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface, TapHolder

_PIDFD_GETFD: Final = 438
_TUNGETDEVNETNS: Final = 0x54E3

_libc = ctypes.CDLL(None, use_errno=True)


def with_holders(
    namespaces: Sequence[NamespaceSnapshot], taps: Sequence[OpenTap]
) -> list[NamespaceSnapshot]:
    """The namespaces with the processes that have their taps open."""
    places: dict[str, list[int]] = {}
    for namespace in namespaces:
        for interface in namespace.interfaces:
            if interface.kind in ("tap", "tun"):
                places.setdefault(interface.name, []).append(namespace.id)
    holders: dict[tuple[int, str], list[TapHolder]] = {}
    for tap in taps:
        number = namespace_of(tap)
        if number is None and len(places.get(tap.interface, ())) == 1:
            (number,) = places[tap.interface]
        if number is not None:
            holders.setdefault((number, tap.interface), []).append(
                TapHolder(
                    pid=tap.process.pid,
                    command=tap.process.command,
                    descriptor=tap.descriptor,
                    guest=guest_of(tap.process.pid),
                )
            )
    return [_held(namespace, holders) for namespace in namespaces]


def _held(
    namespace: NamespaceSnapshot, holders: Mapping[tuple[int, str], list[TapHolder]]
) -> NamespaceSnapshot:
    def held(interface: Interface) -> Interface:
        found = holders.get((namespace.id, interface.name))
        return replace(interface, holders=tuple(found)) if found else interface

    return replace(namespace, interfaces=tuple(map(held, namespace.interfaces)))


def namespace_of(tap: OpenTap) -> int | None:
    """Inode of the namespace that the tap is in; None when we may not know, or it is gone."""
    try:
        process = os.pidfd_open(tap.process.pid)
    except OSError:
        return None
    try:
        duplicate = _libc.syscall(_PIDFD_GETFD, process, tap.descriptor, 0)
    finally:
        os.close(process)
    if duplicate < 0:
        return None
    try:
        network = fcntl.ioctl(duplicate, _TUNGETDEVNETNS)
    except OSError:
        return None  # it may not be a tap any more
    finally:
        os.close(duplicate)
    try:
        return os.fstat(network).st_ino
    finally:
        os.close(network)
