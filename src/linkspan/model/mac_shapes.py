"""MAC addresses as a file has them: canonical, and such that somebody can have them."""

from __future__ import annotations

from typing import Final

from linkspan.model.unfit import UnfitError
from linkspan.types import NO_MAC, format_mac, is_group, parse_mac

_GROUP_PREFIX: Final = b"\x01\x80\xc2\x00\x00"


_GROUPS_TAKEN: Final = (1, 2, 3)
"""PAUSE, LACP, port authentication."""


def mac(text: str) -> str:
    """A MAC address that an interface can have: neither a group's nor zero."""
    return _of_a_station(text, "leave mac out")


def station(text: str) -> str:
    """A MAC address that somebody behind a port can have."""
    return _of_a_station(text, "remove the entry")


def _of_a_station(text: str, otherwise: str) -> str:
    try:
        value = parse_mac(text)
    except ValueError:
        raise UnfitError(
            "is not a MAC address",
            "six bytes such as 52:54:00:12:34:56",
            f"correct the address, or {otherwise}",
        ) from None
    if value == NO_MAC:
        raise UnfitError(
            "is no interface's address",
            "six bytes that are not all zero",
            f"choose another address, or {otherwise}",
        )
    if is_group(value):
        raise UnfitError(
            "is a group address, which no interface can have",
            "an even first byte (IEEE 802-2014, 8.4)",
            f"write {format_mac(bytes([value[0] & 0xFE]) + value[1:])}, or {otherwise}",
        )
    return format_mac(value)


def group_address(text: str) -> str:
    """A bridge group address (br_changelink, net/bridge/br_netlink.c)."""
    try:
        value = parse_mac(text)
    except ValueError:
        value = NO_MAC
    if value[:5] != _GROUP_PREFIX or value[5] > 0x0F or value[5] in _GROUPS_TAKEN:
        raise UnfitError(
            "is not an address for a group of bridges",
            "01:80:c2:00:00:00, or 01:80:c2:00:00:04 to 01:80:c2:00:00:0f",
            "choose another address, or leave group-address out",
        )
    return format_mac(value)
