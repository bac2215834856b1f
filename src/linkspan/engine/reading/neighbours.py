"""Neighbours and forwarding databases: RTM_GETNEIGH's answers as values.

Sources: include/uapi/linux/neighbour.h; net/bridge/br_fdb.c for what the flags say of an entry.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from linkspan.engine.reading.dump import Dumps, attributes, internet, names_of, native
from linkspan.model.host_snapshot import FdbEntry, Neighbour
from linkspan.types import format_mac

_GETNEIGH: Final = 30
_AF_BRIDGE: Final = 7
_PROXY: Final = 0x08
_HEADER: Final = struct.Struct("=BxxxiHBB")
_PERMANENT, _NOARP = 0x80, 0x40
_TICKS: Final = 100

STATES: Final = {
    0x00: "none",
    0x01: "incomplete",
    0x02: "reachable",
    0x04: "stale",
    0x08: "delay",
    0x10: "probe",
    0x20: "failed",
    0x40: "noarp",
    0x80: "permanent",
}
_FLAGS: Final = {
    0x01: "use",
    0x02: "self",
    0x04: "master",
    0x08: "proxy",
    0x10: "extern_learn",
    0x20: "offloaded",
    0x40: "sticky",
    0x80: "router",
}


def read_neighbours(dumps: Dumps, names: Mapping[int, str]) -> list[Neighbour]:
    """The ARP and neighbour-discovery caches, then what is answered for others (proxy).

    Raises OSError.
    """
    messages = dumps.entries(_GETNEIGH, _HEADER.pack(0, 0, 0, 0, 0))
    messages += dumps.entries(_GETNEIGH, _HEADER.pack(0, 0, 0, _PROXY, 0))
    found: list[Neighbour] = []
    for data in messages:
        _, index, state, flags, _ = _HEADER.unpack_from(data)
        attrs = attributes(data, 12)
        if len(attrs.get(1, b"")) not in (4, 16):
            continue
        used, updated = _ages(attrs.get(3))
        found.append(
            Neighbour(
                address=internet(attrs[1]),
                index=index,
                interface=names.get(index, str(index)),
                mac=format_mac(attrs[2]) if attrs.get(2) else None,
                state=STATES.get(state, str(state)),
                flags=names_of(flags, _FLAGS),
                used=used,
                updated=updated,
            )
        )
    return found


def read_fdb(dumps: Dumps, names: Mapping[int, str]) -> list[FdbEntry]:
    """Where bridges and devices believe MAC addresses to be. Raises OSError."""
    found: list[FdbEntry] = []
    for data in dumps.entries(_GETNEIGH, _HEADER.pack(_AF_BRIDGE, 0, 0, 0, 0)):
        _, index, state, flags, _ = _HEADER.unpack_from(data)
        attrs = attributes(data, 12)
        if 2 not in attrs:
            continue
        used, updated = _ages(attrs.get(3))
        master = native(attrs[9]) if 9 in attrs else None
        kinds = names_of(flags, _FLAGS)
        if state & _PERMANENT:
            kinds += ("permanent",)
        elif state & _NOARP:
            kinds += ("static",)
        remote = attrs.get(1, b"")
        found.append(
            FdbEntry(
                mac=format_mac(attrs[2]),
                index=index,
                port=names.get(index, str(index)),
                bridge=None if master is None else names.get(master, str(master)),
                vlan=native(attrs[5]) if 5 in attrs else None,
                flags=kinds,
                remote=internet(remote) if len(remote) in (4, 16) else None,
                used=used,
                updated=updated,
            )
        )
    return found


def _ages(data: bytes | None) -> tuple[float, float]:
    """Used and updated, in seconds (struct nda_cacheinfo, in USER_HZ)."""
    if data is None or len(data) < 12:
        return 0, 0
    _, used, updated = struct.unpack_from("=III", data)
    return used / _TICKS, updated / _TICKS
