"""Checks of networks with a way out: what `forward` needs, where published ports lead, routes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import msgspec

from linkspan.model.address_shapes import parse_interface
from linkspan.model.flaw import Flaw, brief, label, names_of, resembling
from linkspan.model.network import FORWARDING_SETTINGS, Forward
from linkspan.model.position import Path
from linkspan.model.publish import Publish, parse_publish
from linkspan.model.targets import targets
from linkspan.model.topology import Bridge, Topology


def forwards(topology: Topology) -> Iterator[Flaw]:
    """A network that others are to reach, or be reached from, has an address to begin with."""
    for name, bridge in topology.bridges.items():
        path: Path = ("bridges", name)
        if bridge.forward in (Forward.NAT, Forward.ROUTED) and not bridge.address:
            yield Flaw(
                (*path, "forward"),
                f"{label(path)}: forward {bridge.forward.value} without an address",
                expected="an address of the bridge, which its network takes for the gateway",
                next_step="write for instance `address: 192.168.122.1/24`",
                needs=((*path, "address"),),
            )
        if bridge.forward_ipv6 is not None and bridge.forward is None:
            yield Flaw(
                (*path, "forward-ipv6"),
                f"{label(path)}: forward-ipv6 says where IPv6 differs, and there is no forward",
                expected="forward beside it",
                next_step="write `forward: ` and what IPv4 is to do, or leave it out",
                at_key=True,
                needs=((*path, "forward"),),
            )
        if bridge.publish and bridge.forward not in (Forward.NAT, Forward.ROUTED):
            said = "no forward" if bridge.forward is None else f"forward {bridge.forward.value}"
            yield Flaw(
                (*path, "publish"),
                f"{label(path)}: published ports lead into a network that nothing is let into",
                expected="forward nat or routed",
                found=said,
                next_step="write `forward: nat`, or leave publish out",
                at_key=True,
                needs=((*path, "forward"),),
            )


def router_settings(topology: Topology) -> Iterator[Flaw]:
    """Nothing that a node sets by itself switches off what one of its networks needs."""
    for name, bridge in topology.bridges.items():
        node = topology.nodes.get(bridge.node)
        if node is None or bridge.forward not in (Forward.NAT, Forward.ROUTED):
            continue
        for setting in FORWARDING_SETTINGS:
            if str(node.sysctls.get(setting, 1)) != "1":
                yield Flaw(
                    ("nodes", bridge.node, "sysctls", setting),
                    f"{label(('nodes', bridge.node))}: {setting} is switched off",
                    expected=f"1, as bridge {brief(name)} with its forward needs it",
                    next_step="leave the setting out",
                )


class _Published(msgspec.Struct, frozen=True):
    """One published range, in the file's order."""

    forward: Publish
    path: Path

    def overlaps(self, other: _Published) -> bool:
        one, two = self.forward, other.forward
        if one.protocol != two.protocol or one.last < two.first or two.last < one.first:
            return False
        if one.listen_version and two.listen_version and one.listen_version != two.listen_version:
            return False
        return one.listens_to_all or two.listens_to_all or one.listen == two.listen


def published(topology: Topology) -> Iterator[Flaw]:
    """Targets that are there, on the network; every port of a node once."""
    carried: defaultdict[str, list[_Published]] = defaultdict(list)
    for name, bridge in topology.bridges.items():
        for index, text in enumerate(bridge.publish):
            entry = _Published(parse_publish(text), ("bridges", name, "publish", index))
            yield from _target(topology, name, entry)
            carried[bridge.node].append(entry)
    for entries in carried.values():
        yield from _twice(entries)


def _twice(entries: list[_Published]) -> Iterator[Flaw]:
    """Ranges that overlap an earlier one: sorted by their first port, so that only those are
    compared that reach into each other.
    """
    order = {entry.path: number for number, entry in enumerate(entries)}
    open_ones: list[_Published] = []
    for entry in sorted(entries, key=lambda each: each.forward.first):
        open_ones = [each for each in open_ones if each.forward.last >= entry.forward.first]
        first = next((each for each in open_ones if each.overlaps(entry)), None)
        open_ones.append(entry)
        if first is not None:
            earlier, later = sorted((first, entry), key=lambda each: order[each.path])
            yield Flaw(
                later.path,
                f"{label(later.path[:2])}: {_ports(later.forward)} is published already",
                expected="a port of its own",
                found=f"{earlier.forward} at {{also}}",
                next_step="choose another port, or remove one of the two",
                also=earlier.path,
            )


def _ports(forward: Publish) -> str:
    range_ = str(forward.first) + (f"-{forward.last}" if forward.last > forward.first else "")
    return f"{range_}/{forward.protocol}"


def _target(topology: Topology, name: str, entry: _Published) -> Iterator[Flaw]:
    bridge, forward = topology.bridges[name], entry.forward
    networks = [parse_interface(text).network for text in bridge.address]
    where, address = label(entry.path[:2]), forward.address
    versions: list[int]
    if address is not None:
        if not any(address in network for network in networks):
            yield Flaw(
                entry.path,
                f"{where}: {address} is not on its network",
                expected=names_of("a node's name, or an address in", map(str, networks)),
                next_step="correct the address",
                needs=(("bridges", name, "address"),),
            )
        versions = [address.version]
    elif forward.target not in topology.nodes:
        near = resembling(forward.target, topology.nodes)
        yield Flaw(
            entry.path,
            f"{where}: there is no node {brief(forward.target)} to lead a published port to",
            expected=names_of("a node on the bridge, or an address", _on(topology, name)),
            next_step=f"write {near}" if near else "correct the name",
            needs=(("nodes", forward.target),),
        )
        return
    else:
        versions = list(targets(topology, name, forward))
        if not versions:
            ports = topology.nodes[forward.target].ports
            yield Flaw(
                entry.path,
                f"{where}: node {brief(forward.target)} has no address on it that is known",
                expected="a node with an address on the bridge or a fixed lease, or an address",
                next_step="give the node's port an address or a fixed lease, or correct the name",
                needs=tuple(("nodes", forward.target, "ports", each) for each in ports),
            )
            return
    if forward.listen_version is not None and forward.listen_version not in versions:
        yield Flaw(
            entry.path,
            f"{where}: {forward.listen} is IPv{forward.listen_version}, and "
            f"{brief(forward.target)} has no such address",
            expected="both of one address family, since nothing is translated between them",
            next_step="correct the address, or give the target one of that family",
        )


def _on(topology: Topology, bridge: str) -> Iterator[str]:
    return (node for node, _, port in topology.node_ports() if port.bridge == bridge)


def routes(topology: Topology) -> Iterator[Flaw]:
    """A route's next hop is a neighbour, of the family of its destination, each route once."""
    stations = topology.stations_by_node()
    for name, node in topology.nodes.items():
        own = [parse_interface(text) for _, texts in stations.get(name, []) for text in texts]
        own += [
            parse_interface(text) for bridge in _carried(topology, name) for text in bridge.address
        ]
        first: dict[tuple[str, int | None], Path] = {}
        for index, text in enumerate(node.gateway):
            default = "0.0.0.0/0" if ip_address(text).version == 4 else "::/0"
            first[default, None] = ("nodes", name, "gateway", index)
        for index, route in enumerate(node.routes):
            path: Path = ("nodes", name, "routes", index)
            where = label(path[:2])
            via, destination = ip_address(route.via), ip_network(route.destination)
            earlier = first.setdefault((route.destination, route.metric), path)
            if earlier is not path:
                yield Flaw(
                    (*path, "destination"),
                    f"{where}: there is a route to {destination} already",
                    expected="one route for a network and a metric",
                    found="the first one at {also}",
                    next_step="remove one of the two, or give it another metric",
                    also=earlier,
                )
            if via.version != destination.version:
                yield Flaw(
                    (*path, "via"),
                    f"{where}: {via} is no next hop to {destination}",
                    expected=f"an IPv{destination.version} address",
                    next_step="correct one of the two",
                )
            elif not any(via in each.network for each in own):
                yield Flaw(
                    (*path, "via"),
                    f"{where}: the next hop {via} is in none of the node's networks",
                    expected=names_of("an address in", [str(each.network) for each in own]),
                    next_step="correct via, or give the node an address in its network",
                    needs=(
                        *(("nodes", name, "ports", each, "address") for each in node.ports),
                        ("links",),
                    ),
                )
            elif any(via == each.ip for each in own):
                yield Flaw(
                    (*path, "via"),
                    f"{where}: the next hop {via} is the node itself",
                    expected="the address of a neighbour",
                    next_step="correct via",
                )


def _carried(topology: Topology, node: str) -> list[Bridge]:
    return [bridge for bridge in topology.bridges.values() if bridge.node == node]
