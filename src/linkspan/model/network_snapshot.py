"""What there is of the services of a bridge's network: part of a lab's snapshot."""

from __future__ import annotations

import msgspec


class PublishedSnapshot(msgspec.Struct, frozen=True):
    """Ports of a bridge's node that lead to somebody on its network."""

    protocol: str
    """tcp or udp."""
    listen: str
    """An address of the node; 0.0.0.0 and :: are all of a family."""
    first: int
    last: int
    target: str
    """An address on the network."""
    to: int
    """The target's port for `first`; the others follow."""
    node: str | None
    """The node that has the address, where the file says so."""


class DhcpSnapshot(msgspec.Struct, frozen=True):
    """What a bridge lends."""

    ranges: list[str]
    """Of both families, less what the file gives to somebody: first and last address."""
    fixed: dict[str, list[str]]
    """Fixed leases by node."""
    lent: int
    """Leases of both families that there are now."""
    free: int | None
    """IPv4 addresses of the ranges that nobody has now; None without such a range."""
    lease_time: int
    """Seconds."""
    gateway: str | None
    """What clients are told beside the bridge's own address."""
    mtu: int
    """What clients are told, in bytes."""


class DnsSnapshot(msgspec.Struct, frozen=True):
    """The name server of a bridge."""

    addresses: list[str]
    """At which it is asked."""
    domain: str
    upstream: list[str]
    asks: list[str]
    """Other bridges of the lab whose name servers it asks."""


class NetworkSnapshot(msgspec.Struct, frozen=True):
    """The services of one bridge's network."""

    forward: str | None
    """none, nat or routed, and what else IPv6 is; None where no rules are written."""
    published: list[PublishedSnapshot]
    dhcp: DhcpSnapshot | None
    dns: DnsSnapshot | None
    server: int | None
    """How often dnsmasq was started again; None when there is none, or none runs."""
