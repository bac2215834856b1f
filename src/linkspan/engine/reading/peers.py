"""Finding the interface at the other end, in another namespace: which namespace, which name.

The kernel tells an interface's far end by its index there and by a number that only this namespace
has for the other one. Both ends tell, so two interfaces that name each other's index are likely a
pair; whether they are is asked of the kernel: what does the one namespace call the other
(RTM_GETNSID)? Where many would fit, the far end's MAC, which the kernel tells without saying where
it is (IFLA_TARGET_NETNSID), picks the few that are asked about. A device that stands on another
one (a macvlan in a container, on a card of the host) is not named by it: all that have an
interface of that index are asked about, the host first.

Sources: rtnl_net_getid in net/core/net_namespace.c, rtnl_getlink in net/core/rtnetlink.c.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from linkspan.engine.reading.dump import Dumps, attributes
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.interface_snapshot import FarEnd, Interface
from linkspan.sandbox.namespaces import inside
from linkspan.types import format_mac

_GETLINK, _GETNSID = 18, 90
_NETNSA_NSID, _NETNSA_FD, _TARGET_NETNSID, _ADDRESS = 1, 3, 46, 1

_PAIRED: Final = ("veth", "netkit")
"""Kinds of interface that come in pairs, of which each names the other."""

_FEW: Final = 4
"""Namespaces that are asked about without a look at the MAC."""

_End = tuple[int, int]
"""Namespace and index."""


def with_far_ends(
    namespaces: Sequence[NamespaceSnapshot], descriptors: Mapping[int, int]
) -> list[NamespaceSnapshot]:
    """The namespaces with the far ends found that lie in others of them.

    `descriptors` are those of the namespaces, by inode; the calling thread may enter them.
    """
    known = {
        (namespace.id, interface.index): interface
        for namespace in namespaces
        for interface in namespace.interfaces
    }
    pairs = _pairs(namespaces, known, descriptors)
    return [_told(namespace, pairs, known) for namespace in namespaces]


def _pairs(
    namespaces: Sequence[NamespaceSnapshot],
    known: Mapping[_End, Interface],
    descriptors: Mapping[int, int],
) -> dict[_End, _End]:
    candidates = _Candidates(known)
    pairs: dict[_End, _End] = {}
    # A namespace with many ends is entered once for all of them; the others then have theirs.
    for namespace in sorted(namespaces, key=lambda each: -len(each.interfaces)):
        waiting = [
            (interface, interface.peer)
            for interface in namespace.interfaces
            if interface.peer is not None
            and interface.peer.netnsid is not None
            and (namespace.id, interface.index) not in pairs
        ]
        if not waiting or namespace.id not in descriptors:
            continue
        with contextlib.suppress(OSError), inside(descriptors[namespace.id]), Dumps() as dumps:
            asked = _Asked(dumps, descriptors)
            for interface, peer in waiting:
                for each in candidates.of(namespace.id, interface, peer, asked):
                    if asked.netnsid(each) == peer.netnsid:
                        pairs[namespace.id, interface.index] = each, peer.index
                        if interface.kind in _PAIRED:
                            pairs[each, peer.index] = namespace.id, interface.index
                        break
    return pairs


class _Candidates:
    """Namespaces in which a far end may be."""

    def __init__(self, known: Mapping[_End, Interface]) -> None:
        self._known = known
        self._naming: dict[tuple[int, int], list[int]] = {}
        """By the index of an end and of the far end that it names."""
        self._having: dict[int, list[int]] = {}
        """By the index of any interface."""
        for (number, index), interface in known.items():
            self._having.setdefault(index, []).append(number)
            if interface.peer is not None and interface.peer.netnsid is not None:
                self._naming.setdefault((index, interface.peer.index), []).append(number)

    def of(self, namespace: int, interface: Interface, far: FarEnd, asked: _Asked) -> list[int]:
        """Those for the far end of an interface."""
        if interface.kind not in _PAIRED:
            return [each for each in self._having.get(far.index, ()) if each != namespace]
        naming = self._naming.get((far.index, interface.index), ())
        found = [each for each in naming if each != namespace]
        if len(found) > _FEW and (mac := asked.mac(far)) is not None:
            return [each for each in found if self._known[each, far.index].mac == mac]
        return found


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


def _told(
    namespace: NamespaceSnapshot, pairs: Mapping[_End, _End], known: Mapping[_End, Interface]
) -> NamespaceSnapshot:
    def told(interface: Interface) -> Interface:
        far = pairs.get((namespace.id, interface.index))
        if far is None or interface.peer is None:
            return interface
        peer = replace(interface.peer, namespace=far[0], interface=known[far].name)
        return replace(interface, peer=peer)

    return replace(namespace, interfaces=tuple(map(told, namespace.interfaces)))
