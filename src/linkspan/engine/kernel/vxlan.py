"""VXLAN devices of the kernel as ports of its bridges.

A device is made without a far host of its own. The far hosts of a flood are entries of its FDB for
the address 00:00:00:00:00:00, one for each, as `bridge fdb append` makes them: one or many are the
same. A multicast group is what the device is made with.

Sources: drivers/net/vxlan/vxlan_core.c, include/uapi/linux/if_link.h (IFLA_VXLAN_*).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Final

from linkspan.engine.netlink import CREATE_EXCLUSIVELY, NEWLINK, Request
from linkspan.engine.packed import (
    IFLA_IFNAME,
    IFLA_MTU,
    Packed,
    attribute,
    link_message,
    nest,
    whole,
    words,
)
from linkspan.model.state import Vxlan

_LINKINFO, _KIND, _DATA = 18, 1, 2
_ID, _GROUP, _LINK, _LOCAL, _LEARNING, _PORT = 1, 2, 3, 4, 7, 15
_GROUP6, _LOCAL6 = 16, 17

_NEWNEIGH: Final = 28
_CREATE, _APPEND = 0x400, 0x800
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")
_AF_BRIDGE: Final = 7
_NUD_PERMANENT_NOARP, _NTF_SELF = 0xC0, 0x02
_NDA_DST, _NDA_LLADDR = 1, 2


def add_vxlan(name: str, wanted: Vxlan, underlay: int | None) -> Request:
    """A VXLAN device; `underlay` is the number of the interface that a group is heard on."""
    version = ipaddress.ip_address((*wanted.remotes, wanted.group)[0] or "").version
    group = wanted.group or ("0.0.0.0" if version == 4 else "::")
    data = [
        whole(_ID, wanted.vni),
        attribute(_GROUP if version == 4 else _GROUP6, _packed(group)),
        attribute(_LEARNING, bytes([wanted.learn_remotes])),
        attribute(_PORT, struct.pack("!H", wanted.port)),
    ]
    if wanted.local is not None:
        data.append(attribute(_LOCAL if version == 4 else _LOCAL6, _packed(wanted.local)))
    if underlay is not None:
        data.append(whole(_LINK, underlay))
    parts = (
        words(IFLA_IFNAME, name),
        whole(IFLA_MTU, wanted.mtu),
        nest(_LINKINFO, words(_KIND, "vxlan"), nest(_DATA, *data)),
    )
    message = link_message(NEWLINK, CREATE_EXCLUSIVELY, *parts)
    return Request(f"make the vxlan device {name}", message)


def add_remote(index: int, address: str) -> Request:
    """Have a device send what it floods to one more host."""
    header = _NEIGHBOUR.pack(_AF_BRIDGE, index, _NUD_PERMANENT_NOARP, _NTF_SELF, 0)
    body = header + attribute(_NDA_LLADDR, bytes(6)) + attribute(_NDA_DST, _packed(address))
    return Request(f"send what is flooded to {address}", Packed(_NEWNEIGH, _CREATE | _APPEND, body))


def _packed(address: str) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address)
