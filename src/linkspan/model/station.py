"""Somebody on a bridge's network who is no node of the file, and yet is to have an address there:
a guest of libvirt's, a printer behind the uplink.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from linkspan.model.base import Value
from linkspan.model.texts import MacText

Ipv4Text = Annotated[
    str,
    Meta(pattern="^[0-9.]+$", extra={"shape": "ipv4"}, examples=["192.168.122.10"]),
]


class Station(Value, frozen=True, kw_only=True):
    """A fixed lease by MAC address."""

    mac: Annotated[MacText, Meta(description="The MAC address that it asks from.")]
    address: Annotated[Ipv4Text, Meta(description="The IPv4 address that it always gets.")]
