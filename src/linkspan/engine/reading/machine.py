"""A whole machine as it is: every network namespace that can be found and entered.

A forked process does the reading, since it enters one namespace after the other and opens all of
them at once, neither of which a program that uses linkspan should see happen to itself. Root
enters every namespace; an ordinary user those that belong to a user namespace of his, by entering
that first, in a further process. What remains is named and not read.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from linkspan.engine.reading import firewall
from linkspan.engine.reading.namespace import read_all_of_it
from linkspan.engine.reading.peers import with_far_ends
from linkspan.engine.reading.processes import Found, Processes, look
from linkspan.engine.reading.taps import with_holders
from linkspan.errors import LinkspanError
from linkspan.model.host_snapshot import HostSnapshot, NamespaceSnapshot
from linkspan.sandbox.namespaces import inside
from linkspan.sandbox.syscalls import raise_descriptor_limit
from linkspan.sandbox.worker import run_inside

_NS_GET_USERNS: Final = 0xB701
"""ioctl_ns(2)"""


def read_machine() -> HostSnapshot:
    """All network namespaces of the machine; the first is that of the calling thread.

    Raises LinkspanError when not even that one can be read.
    """
    return msgspec.msgpack.decode(run_inside((), _read_encoded), type=HostSnapshot)


def _read_encoded() -> bytes:
    # Values of one kind are many here: msgspec packs them ten times as fast as pickle does.
    return msgspec.msgpack.encode(_read())


def _read() -> HostSnapshot:
    raise_descriptor_limit()
    seen = look()
    with_nft = firewall.may_be_asked()
    descriptors = {number: found.descriptor for number, found in seen.namespaces.items()}
    read = _read_group(descriptors, seen.home, with_nft)
    for owner, group in _by_owner(descriptors, read).items():
        read |= _read_as_owner(owner, group, with_nft)
    namespaces = [
        _described(read.get(number) or _closed(number), found)
        for number, found in seen.namespaces.items()
    ]
    return HostSnapshot(
        namespaces=tuple(with_holders(namespaces, seen.taps)), unread=tuple(_unread(seen))
    )


def _unread(seen: Processes) -> Iterator[str]:
    if seen.closed:
        yield f"processes that may not be looked into ({seen.closed})"
    if seen.beyond:
        yield f"namespaces beyond the limit of open files, ulimit -n ({len(seen.beyond)})"


def _read_group(
    descriptors: Mapping[int, int], home: int | None, with_nft: bool
) -> dict[int, NamespaceSnapshot]:
    """Those of the namespaces that may be entered from here, with far ends among each other."""
    found: dict[int, NamespaceSnapshot] = {}
    for number, descriptor in descriptors.items():
        if number == home:
            found[number] = replace(read_all_of_it(with_nft), id=number)
            continue
        try:
            with inside(descriptor):
                found[number] = replace(read_all_of_it(with_nft), id=number)
        except OSError:
            continue  # it may belong to a user namespace that we can enter first
    return {each.id: each for each in with_far_ends(list(found.values()), descriptors)}


def _by_owner(
    descriptors: Mapping[int, int], read: Mapping[int, NamespaceSnapshot]
) -> dict[int, dict[int, int]]:
    """The namespaces that are left, by a descriptor of the user namespace that owns them."""
    owners: dict[int, int] = {}
    groups: dict[int, dict[int, int]] = {}
    for number, descriptor in descriptors.items():
        if number in read:
            continue
        try:
            owner = fcntl.ioctl(descriptor, _NS_GET_USERNS)
        except OSError:
            continue  # it belongs to somebody above us
        place = owners.setdefault(os.fstat(owner).st_ino, owner)
        if place != owner:
            os.close(owner)
        groups.setdefault(place, {})[number] = descriptor
    return groups


def _read_as_owner(
    owner: int, group: Mapping[int, int], with_nft: bool
) -> dict[int, NamespaceSnapshot]:
    """What can be read of the namespaces from inside the user namespace that owns them."""

    def work() -> bytes:
        return msgspec.msgpack.encode(list(_read_group(group, None, with_nft).values()))

    try:
        found = msgspec.msgpack.decode(run_inside([owner], work), type=Sequence[NamespaceSnapshot])
    except LinkspanError:
        return {}
    return {each.id: each for each in found}


def _closed(number: int) -> NamespaceSnapshot:
    return NamespaceSnapshot(id=number, unread=("everything: it may not be entered",))


def _described(snapshot: NamespaceSnapshot, found: Found) -> NamespaceSnapshot:
    return replace(
        snapshot,
        names=tuple(sorted(found.names)),
        processes=found.processes,
        process_examples=tuple(found.examples),
        held_by=tuple(found.held_by),
    )
