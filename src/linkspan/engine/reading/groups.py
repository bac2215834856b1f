"""Members of multicast groups, and where multicast routers are: RTM_GETMDB's answers as values.

Sources: include/uapi/linux/if_bridge.h (MDBA_*, struct br_mdb_entry), net/bridge/br_mdb.c.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from linkspan.engine.reading.dump import (
    Dumps,
    attribute_list,
    attributes,
    internet,
    names_of,
)
from linkspan.model.host_snapshot import GroupEntry
from linkspan.types import format_mac

_GETMDB: Final = 86
_AF_BRIDGE: Final = 7
_HEADER: Final = struct.Struct("=BxxxI")
_ENTRY: Final = struct.Struct("=IBBH16s2s")
_MDB, _ROUTER, _ENTRY_OF, _INFO, _ROUTER_PORT = 1, 2, 1, 1, 1
_PERMANENT: Final = 1
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_FLAGS: Final = {1: "offload", 2: "fast_leave", 4: "star_excl", 8: "blocked"}


def read_groups(dumps: Dumps, names: Mapping[int, str]) -> tuple[list[GroupEntry], list[str]]:
    """The entries of all bridges, and the ports with multicast routers. Raises OSError."""
    entries: list[GroupEntry] = []
    routers: list[str] = []
    for data in dumps.entries(_GETMDB, _HEADER.pack(_AF_BRIDGE, 0)):
        _, bridge = _HEADER.unpack_from(data)
        attrs = attributes(data, _HEADER.size)
        routers += [
            names.get(index, str(index))
            for number, value in attribute_list(attrs.get(_ROUTER, b""))
            if number == _ROUTER_PORT
            for (index,) in (struct.unpack_from("=I", value),)
        ]
        entries += [
            _entry(info, names.get(bridge, str(bridge)), names)
            for number, value in attribute_list(attrs.get(_MDB, b""))
            if number == _ENTRY_OF
            for kind, info in attribute_list(value)
            if kind == _INFO
        ]
    return entries, routers


def _entry(data: bytes, bridge: str, names: Mapping[int, str]) -> GroupEntry:
    index, state, flags, vlan, address, protocol = _ENTRY.unpack_from(data)
    if protocol == _IPV4:
        group = internet(address[:4])
    else:
        group = internet(address) if protocol == _IPV6 else format_mac(address[:6])
    return GroupEntry(
        group=group,
        bridge=bridge,
        index=index,
        port=names.get(index, str(index)),
        vlan=vlan or None,
        permanent=bool(state & _PERMANENT),
        flags=names_of(flags, _FLAGS),
    )
