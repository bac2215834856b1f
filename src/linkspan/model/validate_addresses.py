"""Checks of addresses: each on its bridge once, networks and gateways that routing can follow.

Equal addresses are compared as numbers, and every check is one pass over sorted or hashed values,
since the largest lab has a thousand nodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import ip_address

import msgspec

from linkspan.model.address_shapes import Interface, parse_interface
from linkspan.model.dhcp import BY_DHCP
from linkspan.model.flaw import Flaw, brief, label, names_of
from linkspan.model.position import Path
from linkspan.model.segments import network_names
from linkspan.model.texts import IPV6_MTU
from linkspan.model.topology import Topology


def macs(topology: Topology) -> Iterator[Flaw]:
    """One bridge or wire, one owner of each MAC; the bridge's own counts."""
    owners: dict[tuple[str, str], Path] = {}
    declared: list[tuple[str, str, Path]] = [
        (_on(name), bridge.mac, ("bridges", name, "mac"))
        for name, bridge in topology.bridges.items()
        if bridge.mac
    ]
    for node, interface, port in topology.node_ports():
        if port.mac:
            path: Path = ("nodes", node, "ports", interface, "mac")
            declared.append((_on(port.bridge), port.mac, path))
    for number, link in topology.wires():
        for place, end in enumerate(link.ends):
            if end.mac:
                path = ("links", number, "ends", place, "mac")
                declared.append((label(path[:2]), end.mac, path))
    for segment, mac, path in declared:
        first = owners.setdefault((segment, mac), path)
        if first is not path:
            yield Flaw(
                path,
                f"{label(path[:-1])}: {mac} is on {segment} already",
                expected="an address of its own",
                found=f"{label(first[:-1])} has it at {{also}}",
                next_step="change one of the two, or leave mac out",
                also=first,
            )


class _Addressed(msgspec.Struct, frozen=True):
    """One address of one interface: on which stack and on which segment it is."""

    address: Interface
    node: str
    segment: str
    """The bridge or the link, in words."""
    path: Path
    mtu: int


def _addressed(topology: Topology) -> Iterator[_Addressed]:
    names = network_names(topology)
    for name, bridge in topology.bridges.items():
        for index, text in enumerate(bridge.address):
            path: Path = ("bridges", name, "address", index)
            yield _Addressed(
                parse_interface(text), bridge.node, _on(names.get(name, name)), path, bridge.mtu
            )
    for node, interface, port in topology.node_ports():
        carrier = topology.bridges.get(port.bridge)
        mtu = port.mtu or (carrier.mtu if carrier else IPV6_MTU)
        for index, text in enumerate(port.address):
            if text == BY_DHCP:
                continue
            path = ("nodes", node, "ports", interface, "address", index)
            yield _Addressed(
                parse_interface(text), node, _on(names.get(port.bridge, port.bridge)), path, mtu
            )
    for number, link in topology.wires():
        for place, end in enumerate(link.ends):
            for index, text in enumerate(end.address):
                path = ("links", number, "ends", place, "address", index)
                on = label(path[:2])
                yield _Addressed(parse_interface(text), end.node, on, path, link.mtu)


def _on(bridge: str) -> str:
    return f"bridge {brief(bridge)}"


def addresses(topology: Topology) -> Iterator[Flaw]:
    """Duplicates on a bridge, networks that overlap on a stack, IPv6 on too small an MTU."""
    owners: dict[tuple[str, int, int], Path] = {}
    stacks: defaultdict[tuple[str, int], list[_Addressed]] = defaultdict(list)
    for entry in _addressed(topology):
        version = entry.address.version
        first = owners.setdefault((entry.segment, version, int(entry.address.ip)), entry.path)
        if first is not entry.path and not _are_parts(first, entry.path):
            yield Flaw(
                entry.path,
                f"{_owner(entry.path)}: {entry.address.ip} is on {entry.segment} already",
                expected="an address of its own",
                found=f"{_owner(first)} has it at {{also}}",
                next_step="change one of the two",
                also=first,
            )
        if version == 6 and entry.mtu < IPV6_MTU:
            yield Flaw(
                entry.path,
                f"{_owner(entry.path)}: IPv6 does not fit an MTU of {entry.mtu}",
                expected=f"an MTU of at least {IPV6_MTU} (RFC 8200, clause 5)",
                next_step="raise mtu, or remove the address",
            )
        stacks[entry.node, version].append(entry)
    for entries in stacks.values():
        yield from _overlaps(entries)


def _are_parts(one: Path, other: Path) -> bool:
    """Whether two parts of a stretched bridge have the address: a gateway may be on all."""
    return one[0] == other[0] == "bridges" and one[1] != other[1]


def _overlaps(entries: list[_Addressed]) -> Iterator[Flaw]:
    """Networks of one stack that overlap though they are on different bridges or links.

    Prefixes nest or are disjoint; sorted by begin and size, `around` holds those that the
    present one is inside of.
    """
    around: list[_Addressed] = []
    for entry in sorted(entries, key=_by_network):
        network = entry.address.network
        while around and int(around[-1].address.network.broadcast_address) < int(
            network.network_address
        ):
            around.pop()
        other = next((outer for outer in around if outer.segment != entry.segment), None)
        if other is not None:
            yield Flaw(
                entry.path,
                f"{_owner(entry.path)}: {network} overlaps {other.address.network} on node "
                f"{brief(entry.node)}",
                expected="networks of their own on different segments, so that routes are clear",
                found=f"{other.address} of {_owner(other.path)} at {{also}}",
                next_step="choose another network for one of the two",
                also=other.path,
            )
        around.append(entry)


def _by_network(entry: _Addressed) -> tuple[int, int, bool]:
    network = entry.address.network
    # Of equal networks, the bridge's own comes first: the fault belongs to what was added to it.
    return int(network.network_address), network.prefixlen, entry.path[0] != "bridges"


def gateways(topology: Topology) -> Iterator[Flaw]:
    """A next hop is a neighbour: in a network of the node, not the node itself, one per family."""
    stations = topology.stations_by_node()
    for name, node in topology.nodes.items():
        if not node.gateway:
            continue
        own = [
            parse_interface(text) for _, addresses in stations.get(name, []) for text in addresses
        ]
        own += [
            parse_interface(text)
            for bridge in topology.bridges.values()
            if bridge.node == name
            for text in bridge.address
        ]
        first: dict[int, Path] = {}
        needs: tuple[Path, ...] = (
            ("links",),
            *(("nodes", name, "ports", interface, "address") for interface in node.ports),
        )
        for index, text in enumerate(node.gateway):
            gateway = ip_address(text)
            path: Path = ("nodes", name, "gateway", index)
            if first.setdefault(gateway.version, path) is not path:
                yield Flaw(
                    path,
                    f"{label(path[:2])}: {text} is a second gateway for IPv{gateway.version}",
                    expected="one default route per address family",
                    found="the first one at {also}",
                    next_step="remove one of the two",
                    also=first[gateway.version],
                )
            if not any(gateway in interface.network for interface in own):
                networks = [str(interface.network) for interface in own]
                yield Flaw(
                    path,
                    f"{label(path[:2])}: the gateway {text} is in none of the node's networks",
                    expected=names_of("an address in", networks),
                    next_step="correct the gateway, or give the node an address in its network",
                    needs=needs,
                )
            elif any(gateway == interface.ip for interface in own):
                yield Flaw(
                    path,
                    f"{label(path[:2])}: the gateway {text} is the node itself",
                    expected="the address of a neighbour",
                    next_step="correct the gateway",
                )


def _owner(path: Path) -> str:
    return label(path[:-2])
