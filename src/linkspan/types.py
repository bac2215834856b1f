"""The field's smallest values: MAC addresses, VLAN identifiers, port numbers, interface names.

A MAC address is six plain bytes, so that a slice of a frame *is* an address and needs no
conversion on the way to a dictionary. Everything else that has a shape is checked where it
enters the program (`model.load`) and is trusted afterwards.
"""

from __future__ import annotations

import re
from typing import Final, NewType

Mac = NewType("Mac", bytes)
"""Six bytes, in the order of transmission."""

Vlan = NewType("Vlan", int)
"""A VLAN identifier, 1 to 4094; 0 stands for "the bridge does not look at VLANs"."""

PortNumber = NewType("PortNumber", int)
"""A port of one bridge, 1 and up; `HOST_PORT` is the bridge's own port towards the host's stack."""

NO_VLAN: Final = Vlan(0)
HOST_PORT: Final = PortNumber(0)
BROADCAST: Final = Mac(b"\xff" * 6)
NO_MAC: Final = Mac(bytes(6))

INTERFACE_NAME_BYTES: Final = 15
"""Longest interface name in bytes (IFNAMSIZ less the final zero, include/uapi/linux/if.h)."""

_MAC_TEXT = re.compile(r"[0-9a-f]{2}([:-]?[0-9a-f]{2}){5}", re.IGNORECASE)


def parse_mac(text: str) -> Mac:
    """Read `52:54:00:12:34:56`, also with `-` or without separators.

    Raises ValueError when the text is not six hexadecimal bytes.
    """
    if not _MAC_TEXT.fullmatch(text):
        raise ValueError(f"{text!r} is not a MAC address such as 52:54:00:12:34:56")
    return Mac(bytes.fromhex(text.replace(":", "").replace("-", "")))


def format_mac(mac: bytes) -> str:
    """Write a MAC address the way `ip` and `bridge` do: lower case, colons."""
    return mac.hex(":")


def is_group(mac: bytes) -> bool:
    """Whether the address names a group: multicast or broadcast (IEEE 802-2014, 8.4)."""
    return bool(mac[0] & 1)


def is_valid_interface_name(name: str) -> bool:
    """Whether the kernel takes the name (`dev_valid_name`, net/core/dev.c)."""
    return (
        0 < len(name.encode()) <= INTERFACE_NAME_BYTES
        and name not in (".", "..")
        and not any(char in "/:" or char.isspace() for char in name)
    )
