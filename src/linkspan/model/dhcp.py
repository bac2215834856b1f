"""What a bridge offers to its network by DHCP and DNS, and which addresses it has to give away.

The addresses of the ranges are given away, less those that a node or the bridge has by the file.
IPv6 needs no range: a bridge with an IPv6 address advertises its network (RFC 4861), and whoever
asks gets an address of a block there that holds no address of the file (RFC 8415). A range of IPv6
stands in the place of that block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Annotated, Final, TypeVar

from msgspec import Meta

from linkspan.model.base import Value
from linkspan.model.station import Station
from linkspan.model.texts import NodeName

BY_DHCP: Final = "dhcp"
"""Stands in the place of an address that the network gives."""

NONE: Final = "none"
"""In the place of a router: there is to be none."""

SHORTEST_LEASE: Final = 120
"""Seconds; dnsmasq makes every shorter one as long as that (dnsmasq(8), --dhcp-range)."""

LONGEST_LEASE: Final = 31_536_000
"""Seconds: a year."""

IPV6_BLOCK: Final = 0x1000
"""Addresses in a block of IPv6 addresses to give away, and the number of the first one."""

RangeText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F.:]+ *- *[0-9a-fA-F.:]+$",
        extra={"shape": "range"},
        examples=["192.168.122.2-192.168.122.254", "fd00:122::100-fd00:122::1ff"],
    ),
]
LeaseText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F.:]+$",
        extra={"shape": "host"},
        examples=["192.168.122.10", "fd00:122::10"],
    ),
]
RouterText = Annotated[
    str,
    Meta(pattern="^([0-9.]+|none)$", extra={"shape": "router"}, examples=["192.168.122.1", "none"]),
]
ServerText = Annotated[
    str,
    Meta(pattern="^[0-9a-fA-F.:]+$", extra={"shape": "gateway"}, examples=["192.0.2.53"]),
]
DomainText = Annotated[
    str,
    Meta(
        pattern="^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
        extra={"shape": "domain"},
        examples=["lab"],
    ),
]
HolderName = Annotated[str, Meta(min_length=1, extra={"shape": "reference"})]
"""The name of a node that has a fixed lease."""

Address = TypeVar("Address", IPv4Address, IPv6Address)
AnyAddress = IPv4Address | IPv6Address

Span = tuple[IPv4Address, IPv4Address]
"""The first and the last of some addresses that follow each other."""
Ipv6Span = tuple[IPv6Address, IPv6Address]


class Dhcp(Value, frozen=True, kw_only=True):
    """What a bridge's DHCP server gives away. It advertises the bridge's IPv6 networks too."""

    range: Annotated[
        tuple[RangeText, ...],
        Meta(
            description="Addresses to give away: the first and the last of each range. IPv6 needs "
            "none: a block of the bridge's network is taken then."
        ),
    ] = ()
    hosts: Annotated[
        dict[HolderName, tuple[LeaseText, ...]],
        Meta(
            description="Fixed leases: by the name of a node, the address that it always gets, of "
            "IPv4, IPv6 or each."
        ),
    ] = {}
    stations: Annotated[
        dict[NodeName, Station],
        Meta(description="Fixed leases, by name, of those who are no nodes of the file."),
    ] = {}
    lease_time: Annotated[
        int,
        Meta(
            ge=SHORTEST_LEASE, le=LONGEST_LEASE, description="Seconds that an address is lent for."
        ),
    ] = 3600
    gateway: Annotated[
        RouterText | None,
        Meta(
            description="Default route to tell of; `none` tells of none. The bridge's own address "
            "when left out."
        ),
    ] = None
    mtu: Annotated[
        Annotated[int, Meta(ge=1280, le=65521)] | None,
        Meta(description="Largest packet in bytes to tell of; the bridge's when left out."),
    ] = None

    @property
    def ipv4_ranges(self) -> list[Span]:
        """The ranges of IPv4."""
        found = (span(text) for text in self.range)
        return [
            (first, last)
            for first, last in found
            if isinstance(first, IPv4Address) and isinstance(last, IPv4Address)
        ]

    @property
    def ipv6_ranges(self) -> list[Ipv6Span]:
        """The ranges of IPv6."""
        found = (span(text) for text in self.range)
        return [
            (first, last)
            for first, last in found
            if isinstance(first, IPv6Address) and isinstance(last, IPv6Address)
        ]

    @property
    def leases(self) -> tuple[str, ...]:
        """The IPv4 addresses of all fixed leases."""
        nodes = (self.lease_of(node, 4) for node in self.hosts)
        return (*filter(None, nodes), *(each.address for each in self.stations.values()))

    @property
    def ipv6_leases(self) -> tuple[str, ...]:
        """The IPv6 addresses of all fixed leases."""
        return tuple(filter(None, (self.lease_of(node, 6) for node in self.hosts)))

    def lease_of(self, node: str, version: int) -> str | None:
        """The fixed lease of a node in a family."""
        found = (ip_address(text) for text in self.hosts.get(node, ()))
        return next((str(each) for each in found if each.version == version), None)


class Dns(Value, frozen=True, kw_only=True):
    """A name server on a bridge, which knows the nodes by name."""

    domain: Annotated[DomainText, Meta(description="The domain that the nodes' names are in.")] = (
        "lab"
    )
    upstream: Annotated[
        tuple[ServerText, ...],
        Meta(
            description="Name servers to ask for all other names. When left out, in scope host "
            "those of the machine, in a sandbox nobody."
        ),
    ] = ()


def span(text: str) -> tuple[AnyAddress, AnyAddress]:
    """The addresses of a range in canonical form, both of one family."""
    first, _, last = text.partition("-")
    return ip_address(first), ip_address(last)


def without(
    spans: Iterable[tuple[Address, Address]], taken: Iterable[Address]
) -> Iterator[tuple[Address, Address]]:
    """What is left of ranges when single addresses are taken out of them, in order."""
    apart = sorted(set(taken))
    for first, last in spans:
        begin = first
        for address in apart:
            if begin <= address <= last:
                if begin < address:
                    yield begin, _next(address, -1)
                begin = _next(address, 1)
        if begin <= last:
            yield begin, last


def _next(address: Address, step: int) -> Address:
    return type(address)(int(address) + step)


def size(spans: Iterable[tuple[Address, Address]]) -> int:
    """How many addresses ranges hold that do not overlap."""
    return sum(int(last) - int(first) + 1 for first, last in spans)


def ipv6_block(
    network: IPv6Network, taken: Iterable[IPv6Address]
) -> tuple[IPv6Address, IPv6Address]:
    """The first and the last address of a block of a /64 that holds none of those taken."""
    blocks = {(int(address) - int(network.network_address)) // IPV6_BLOCK for address in taken}
    free = next(number for number in range(1, len(blocks) + 2) if number not in blocks)
    first = network.network_address + free * IPV6_BLOCK
    return first, first + (IPV6_BLOCK - 1)
