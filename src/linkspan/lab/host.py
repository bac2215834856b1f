"""Reading the machine as it is, and telling which of its namespaces are nodes of labs."""

from __future__ import annotations

import os
from collections.abc import Collection

from msgspec.structs import replace

from linkspan.control.descriptors import close_all
from linkspan.engine.reading.machine import read_machine
from linkspan.errors import LinkspanError
from linkspan.lab.confirm import pending
from linkspan.lab.find import Place, places
from linkspan.model.host_snapshot import HostSnapshot, LabMention, NamespaceSnapshot
from linkspan.sandbox import holder
from linkspan.sandbox.namespaces import node_key

_NODE: str = node_key("")
_LAB = "lab"
"""Under this name a lab's init process holds the lab's own namespaces."""


def observe_host() -> HostSnapshot:
    """Everything that there is on the machine, whoever made it. Raises LinkspanError when not
    even the namespace that we stand in can be read.
    """
    read = read_machine()
    found: list[Place] = []
    try:
        found = places()
    except LinkspanError as error:
        read = replace(read, unread=(*read.unread, f"labs: {error}"))
    known = {namespace.id for namespace in read.namespaces}
    owners: dict[int, tuple[str, str | None]] = {}
    for place in found:
        owners |= _namespaces_of(place, known)
    return replace(
        read,
        namespaces=tuple(_owned(namespace, owners) for namespace in read.namespaces),
        labs=tuple(
            LabMention(
                name=place.name,
                state="running" if place.is_alive else "stale",
                pending=pending(place),
            )
            for place in found
        ),
    )


def _owned(
    namespace: NamespaceSnapshot, owners: dict[int, tuple[str, str | None]]
) -> NamespaceSnapshot:
    if namespace.id not in owners:
        return namespace
    lab, node = owners[namespace.id]
    return replace(namespace, lab=lab, node=node)


def _namespaces_of(place: Place, known: Collection[int]) -> dict[int, tuple[str, str | None]]:
    """Lab and node by the inode of the node's namespace; nothing of a lab that does not answer."""
    owners: dict[int, tuple[str, str | None]] = {}
    try:
        with holder.connect(place.folder) as init:
            for name in init.call("status")["held"]:
                if name != _LAB and not name.startswith(_NODE):
                    continue
                node = name.removeprefix(_NODE) if name.startswith(_NODE) else None
                _, descriptors = init.call_for_descriptors("fetch", name=name)
                numbers = {os.fstat(descriptor).st_ino for descriptor in descriptors}
                close_all(descriptors)
                owners |= dict.fromkeys(numbers & set(known), (place.name, node))
    except (LinkspanError, OSError):
        return owners  # it is being brought up or down
    return owners
