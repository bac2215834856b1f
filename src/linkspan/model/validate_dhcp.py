"""Checks of what bridges give away by DHCP and DNS: addresses that exist, each to one node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from linkspan.model.dhcp import NONE, AnyAddress, Dhcp, size, span
from linkspan.model.flaw import Flaw, label, names_of
from linkspan.model.offers import (
    holder,
    ipv4_networks,
    ipv6_networks,
    pool,
)
from linkspan.model.position import Path
from linkspan.model.segments import segment
from linkspan.model.topology import Bridge, Topology

SMALLEST_NETWORK = 30
"""Prefix length of the smallest IPv4 network with an address beside the bridge's own."""

ADVERTISED = 64
"""Prefix length that stateless configuration needs (RFC 4862, 5.5.3; RFC 4291, 2.5.1)."""


def dhcp_offers(topology: Topology) -> Iterator[Flaw]:
    """Ranges and options that suit the bridge's networks, and enough addresses for the nodes."""
    for name, bridge in topology.bridges.items():
        if bridge.dhcp is not None:
            path: Path = ("bridges", name, "dhcp")
            yield from _networks(path, bridge, bridge.dhcp)
            yield from _ranges(path, bridge, bridge.dhcp)
            yield from _options(path, bridge, bridge.dhcp)
            yield from _enough(path, topology, name)


def _networks(path: Path, bridge: Bridge, dhcp: Dhcp) -> Iterator[Flaw]:
    what = label(path[:2])
    needs: tuple[Path, ...] = ((*path[:2], "address"), path)
    networks = ipv4_networks(bridge)
    if not networks and (dhcp.ipv4_ranges or dhcp.leases):
        yield Flaw(
            path,
            f"{what}: DHCP gives IPv4 addresses away, and the bridge has none itself",
            expected="an IPv4 address of the bridge, in whose network the ranges are",
            next_step="write for instance `address: 192.168.122.1/24`",
            at_key=True,
            needs=needs,
        )
    elif not dhcp.range and not dhcp.leases and not ipv6_networks(bridge):
        yield Flaw(
            path,
            f"{what}: DHCP has nothing to give away",
            expected="a range, fixed leases, or an IPv6 address of the bridge",
            next_step="write for instance `range: 192.168.122.2-192.168.122.254`",
            at_key=True,
            needs=(*needs, (*path, "range", 0)),
        )
    if not bridge.up:
        yield Flaw(
            path,
            f"{what}: DHCP is on the bridge's own interface, which is to be down",
            expected="an interface that is up",
            next_step="leave `up: false` out, or leave dhcp out",
            at_key=True,
        )
    if not ipv6_networks(bridge) and (dhcp.ipv6_ranges or dhcp.ipv6_leases):
        yield Flaw(
            path,
            f"{what}: DHCP gives IPv6 addresses away, and the bridge has none itself",
            expected="an IPv6 address of the bridge, in whose network the ranges are",
            next_step='write for instance `address: "fd00:122::1/64"`',
            at_key=True,
            needs=needs,
        )
    for network in ipv6_networks(bridge):
        if network.prefixlen != ADVERTISED:
            yield Flaw(
                path,
                f"{what}: {network} can't be advertised to the network",
                expected=f"an IPv6 prefix length of {ADVERTISED} (RFC 4862, 5.5.3)",
                next_step=f"give the bridge an address with /{ADVERTISED}, or leave dhcp out",
                at_key=True,
                needs=needs,
            )


def _ranges(path: Path, bridge: Bridge, dhcp: Dhcp) -> Iterator[Flaw]:
    needs: tuple[Path, ...] = ((*path[:2], "address"),)
    for index, text in enumerate(dhcp.range):
        first, last = span(text)
        networks = networks_of(bridge, first.version)
        if not networks:
            continue
        here: Path = (*path, "range", index)
        around = next((one for one in networks if first in one and last in one), None)
        if around is None:
            yield Flaw(
                here,
                f"{label(path[:2])}: the range {text} is in none of the bridge's networks",
                expected=names_of("addresses of", map(str, networks)),
                next_step="correct the range, or the bridge's address",
                needs=needs,
            )
        elif around.version == 4 and around.prefixlen > SMALLEST_NETWORK:
            yield Flaw(
                here,
                f"{label(path[:2])}: {around} is too small to give addresses away",
                expected=f"a prefix length of at most {SMALLEST_NETWORK}",
                next_step="give the bridge an address with a shorter prefix",
                needs=needs,
            )
        elif not is_host_in(str(first), [around]) or not is_host_in(str(last), [around]):
            end = around[-2] if around.version == 4 else around[-1]
            yield Flaw(
                here,
                f"{label(path[:2])}: the range {text} holds an address that is nobody's",
                expected=f"addresses of hosts, {around[1]}-{end}",
                next_step="leave out the network's own address and its broadcast address",
                needs=needs,
            )
        for other, earlier in enumerate(dhcp.range[:index]):
            begin, until = span(earlier)
            if begin.version == first.version and _overlap((begin, until), (first, last)):
                yield Flaw(
                    here,
                    f"{label(path[:2])}: the range {text} overlaps {earlier}",
                    expected="ranges apart from each other",
                    found="the other one at {also}",
                    next_step="join the two, or shorten one",
                    also=(*path, "range", other),
                )


def _options(path: Path, bridge: Bridge, dhcp: Dhcp) -> Iterator[Flaw]:
    networks = networks_of(bridge, 4)
    if dhcp.gateway not in (None, NONE) and not is_host_in(dhcp.gateway, networks):
        yield Flaw(
            (*path, "gateway"),
            f"{label(path[:2])}: the gateway {dhcp.gateway} is in none of the bridge's networks",
            expected=names_of("an address in", map(str, networks)),
            next_step="correct the gateway, or leave it out: it is the bridge's address then",
            needs=((*path[:2], "address"),),
        )
    if dhcp.mtu is not None and dhcp.mtu > bridge.mtu:
        yield Flaw(
            (*path, "mtu"),
            f"{label(path[:2])}: DHCP is to tell of an MTU that the bridge does not forward",
            expected=f"at most {bridge.mtu}, the bridge's",
            found=str(dhcp.mtu),
            next_step="lower it, or raise the bridge's mtu",
            needs=((*path[:2], "mtu"),),
        )


def _enough(path: Path, topology: Topology, name: str) -> Iterator[Flaw]:
    dhcp = topology.bridges[name].dhcp
    assert dhcp is not None
    joined = segment(topology, name)
    asking = [
        (node, interface)
        for node, interface, port in topology.node_ports()
        if port.bridge in joined and port.asks
    ]
    leased = {
        (node, holder(topology, joined, node)) for node in dhcp.hosts if dhcp.lease_of(node, 4)
    }
    wanted = [each for each in asking if each not in leased]
    free = size(pool(topology, name))
    if dhcp.ipv4_ranges and len(wanted) > free:
        yield Flaw(
            (*path, "range"),
            f"{label(path[:2])}: the ranges have too few addresses for the nodes",
            expected=f"at least {len(wanted)} addresses beside fixed ones",
            found=f"{free}",
            next_step="widen the range",
            needs=(path,),
        )


def name_servers(topology: Topology) -> Iterator[Flaw]:
    """A name server needs an address, and may not ask itself."""
    for name, bridge in topology.bridges.items():
        if bridge.dns is None:
            continue
        path: Path = ("bridges", name, "dns")
        if not bridge.address:
            yield Flaw(
                path,
                f"{label(path[:2])}: the name server has no address to be asked at",
                expected="an address of the bridge",
                next_step="write for instance `address: 192.168.122.1/24`",
                at_key=True,
                needs=((*path[:2], "address"),),
            )
        own = {text.partition("/")[0] for text in bridge.address}
        for index, address in enumerate(bridge.dns.upstream):
            if address in own:
                yield Flaw(
                    (*path, "upstream", index),
                    f"{label(path[:2])}: the name server {address} is to ask itself",
                    expected="a name server elsewhere",
                    next_step="correct the address, or leave it out",
                )


def networks_of(bridge: Bridge, version: int) -> list[IPv4Network | IPv6Network]:
    """A bridge's networks of one family."""
    if version == 6:
        return [*ipv6_networks(bridge)]
    return [each.network for each in ipv4_networks(bridge)]


def _overlap(one: tuple[AnyAddress, AnyAddress], other: tuple[AnyAddress, AnyAddress]) -> bool:
    return int(one[0]) <= int(other[1]) and int(other[0]) <= int(one[1])


def is_host_in(text: str | None, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is that of a host in one of the networks."""
    address = ip_address(text or "0.0.0.0")
    return any(
        address in network
        and (
            (address.version == 4 and network.prefixlen > SMALLEST_NETWORK)
            or address not in (network.network_address, _broadcast(network))
        )
        for network in networks
    )


def _broadcast(network: IPv4Network | IPv6Network) -> AnyAddress | None:
    return network.broadcast_address if network.version == 4 else None
