"""What a dnsmasq has lent: its file of leases, line by line.

    1795286495 8e:c4:5f:c0:a0:01 192.168.122.75 web 01:8e:c4:5f:c0:a0:01
    duid 00:01:00:01:32:94:94:4f:36:f2:63:4d:a8:6a
    1795286497 1606459393 fd00:122::1bd web 00:03:00:01:8e:c4:5f:c0:a0:01

An IPv4 lease names the MAC, an IPv6 lease the client's DUID, which holds a MAC when it is of a kind
made from one (RFC 8415, clause 11: DUID-LLT and DUID-LL). `*` is a name that nobody has. Source:
`lease_update_file`, src/lease.c of dnsmasq 2.90.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import msgspec

_DUID_PREFIXES: Final = {"00:01:00:01": 8, "00:03:00:01": 4}
"""DUIDs that end in a MAC of Ethernet: their first bytes, and how many come before the MAC."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """One address that is lent."""

    address: str
    mac: str | None
    """None where an IPv6 client does not tell it."""
    name: str | None
    expires: float | None
    """Seconds since 1970-01-01 UTC; None for never."""

    @property
    def order(self) -> tuple[int, int]:
        """IPv4 before IPv6, then by address."""
        address = ip_address(self.address)
        return address.version, int(address)


def read_leases(file: Path) -> list[Lease]:
    """The leases in a file; none when it is not there."""
    try:
        return list(parse_leases(file.read_text(errors="replace")))
    except OSError:
        return []


def parse_leases(text: str) -> Iterator[Lease]:
    """The leases in a file's text. A line that is none, such as the server's own DUID, or one that
    is not written to its end yet, is passed over.
    """
    for line in text.splitlines():
        match line.split():
            case [expires, identity, address, name, client] if expires.isdecimal():
                yield Lease(
                    address=address,
                    mac=_mac_in(client) if ":" in address else identity.rpartition("-")[2],
                    name=None if name == "*" else name,
                    expires=float(expires) or None,
                )


def _mac_in(duid: str) -> str | None:
    before = _DUID_PREFIXES.get(duid[:11])
    octets = duid.split(":")
    return ":".join(octets[before:]) if before and len(octets) == before + 6 else None
