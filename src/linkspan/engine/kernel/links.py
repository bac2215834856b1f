"""One interface as the kernel engine has to know it before it changes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from linkspan.engine.netlink import Netlink
from linkspan.engine.packed import INTERFACE
from linkspan.engine.reading.dump import attributes, native, text
from linkspan.errors import Refusal
from linkspan.types import format_mac

_MAC, _NAME, _MTU, _LINK, _MASTER, _LINKINFO, _ALIAS = 1, 3, 4, 5, 10, 18, 20
_KIND: Final = 1


@dataclass(frozen=True, slots=True)
class Link:
    """An interface: what it is, whose, and of what it is a part."""

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    alias: str | None
    master: int | None
    """Number of the bridge that it is a port of."""
    peer: int | None
    """Of a veth: the number of its other end, in that one's namespace."""


def look(netlink: Netlink, which: str | int) -> Link | None:
    """The interface of that name or number in the socket's namespace; None if there is none."""
    try:
        answer = netlink.link(which)
    except Refusal:
        return None
    found = attributes(answer, INTERFACE.size)
    info = attributes(found.get(_LINKINFO, b""))
    return Link(
        index=INTERFACE.unpack_from(answer)[3],
        name=text(found[_NAME]),
        kind=text(info.get(_KIND, b"")),
        mac=format_mac(found.get(_MAC, bytes(6))),
        mtu=native(found[_MTU]),
        alias=text(found[_ALIAS]) if _ALIAS in found else None,
        master=native(found[_MASTER]) if _MASTER in found else None,
        peer=native(found[_LINK]) if _LINK in found else None,
    )
