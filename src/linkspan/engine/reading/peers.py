"""Finding the interface at the other end of a veth: which namespace, which name.

The kernel tells an interface's far end by its index there and by a number that only this namespace
has for the other one. Both ends tell, so two interfaces that name each other's index are likely a
pair; whether they are is asked of the kernel: what does the one namespace call the other
(RTM_GETNSID)? Where many would fit, the far end's MAC, which the kernel tells without saying where
it is (IFLA_TARGET_NETNSID), picks the few that are asked about.

Sources: rtnl_net_getid in net/core/net_namespace.c, rtnl_getlink in net/core/rtnetlink.c.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from linkspan.engine.reading.dump import Dumps, attributes
from linkspan.model.host_snapshot import FarEnd, Interface, NamespaceSnapshot
from linkspan.sandbox.namespaces import inside
from linkspan.types import format_mac

_GETLINK, _GETNSID = 18, 90
_NETNSA_NSID, _NETNSA_FD, _TARGET_NETNSID, _ADDRESS = 1, 3, 46, 1

_End = tuple[int, int]
"""Namespace and index."""


def with_far_ends(
    namespaces: Sequence[NamespaceSnapshot], descriptors: Mapping[int, int]
) -> list[NamespaceSnapshot]:
    """The namespaces with the far ends found that lie in others of them.

    `descriptors` are those of the namespaces, by inode; the calling thread may enter them.
    """
    ends = {
        (namespace.id, interface.index): interface
        for namespace in namespaces
        for interface in namespace.interfaces
        if interface.peer is not None and interface.peer.netnsid is not None
    }
    pairs = _pairs(namespaces, ends, descriptors)
    return [_told(namespace, pairs, ends) for namespace in namespaces]


def _pairs(
    namespaces: Sequence[NamespaceSnapshot],
    ends: Mapping[_End, Interface],
    descriptors: Mapping[int, int],
) -> dict[_End, _End]:
    likely: dict[tuple[int, int], list[int]] = {}
    """Namespaces, by index of an end in it and of its far end."""
    for (number, index), interface in ends.items():
        if interface.peer is not None:
            likely.setdefault((index, interface.peer.index), []).append(number)
    pairs: dict[_End, _End] = {}
    # A namespace with many ends is entered once for all of them; the others then have theirs.
    for namespace in sorted(namespaces, key=lambda each: -len(each.interfaces)):
        waiting = [
            interface
            for interface in namespace.interfaces
            if (namespace.id, interface.index) in ends
            and (namespace.id, interface.index) not in pairs
        ]
        if not waiting or namespace.id not in descriptors:
            continue
        with contextlib.suppress(OSError), inside(descriptors[namespace.id]), Dumps() as dumps:
            asked = _Asked(dumps, descriptors)
            for interface in waiting:
                for far in _found(namespace.id, interface, likely, ends, asked):
                    pairs[namespace.id, interface.index] = far
                    pairs[far] = (namespace.id, interface.index)
    return pairs


class _Asked:
    """What a namespace calls others, each asked once."""

    def __init__(self, dumps: Dumps, descriptors: Mapping[int, int]) -> None:
        self._dumps = dumps
        self._descriptors = descriptors
        self._netnsids: dict[int, int | None] = {}

    def netnsid(self, namespace: int) -> int | None:
        """What this namespace calls the other one; None when it has no name for it."""
        if namespace not in self._netnsids:
            self._netnsids[namespace] = self._ask(self._descriptors[namespace])
        return self._netnsids[namespace]

    def _ask(self, descriptor: int) -> int | None:
        body = struct.pack("=BxxxHHI", 0, 8, _NETNSA_FD, descriptor)
        answer = attributes(self._dumps.ask(_GETNSID, body) or b"", 4)
        if _NETNSA_NSID not in answer:
            return None
        number: int = struct.unpack("=i", answer[_NETNSA_NSID])[0]
        return None if number < 0 else number

    def mac(self, far: FarEnd) -> str | None:
        """The MAC of a far end; None when the kernel does not tell it."""
        header = struct.pack("=BxHiII", 0, 0, far.index, 0, 0)
        target = struct.pack("=HHi", 8, _TARGET_NETNSID, far.netnsid)
        answer = attributes(self._dumps.ask(_GETLINK, header + target) or b"", 16)
        return format_mac(answer[_ADDRESS]) if answer.get(_ADDRESS) else None


_FEW: Final = 4


def _found(
    namespace: int,
    interface: Interface,
    likely: Mapping[tuple[int, int], list[int]],
    ends: Mapping[_End, Interface],
    asked: _Asked,
) -> Iterator[_End]:
    """The far end of an interface, if it is among the ends."""
    far = interface.peer
    if far is None:
        return
    candidates = [
        each for each in likely.get((far.index, interface.index), ()) if each != namespace
    ]
    if len(candidates) > _FEW and (mac := asked.mac(far)) is not None:
        candidates = [each for each in candidates if ends[each, far.index].mac == mac]
    for each in candidates:
        if asked.netnsid(each) == far.netnsid:
            yield each, far.index
            return


def _told(
    namespace: NamespaceSnapshot, pairs: Mapping[_End, _End], ends: Mapping[_End, Interface]
) -> NamespaceSnapshot:
    def told(interface: Interface) -> Interface:
        far = pairs.get((namespace.id, interface.index))
        if far is None or interface.peer is None:
            return interface
        peer = replace(interface.peer, namespace=far[0], interface=ends[far].name)
        return replace(interface, peer=peer)

    return replace(namespace, interfaces=tuple(map(told, namespace.interfaces)))
