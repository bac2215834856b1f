"""Checks of VXLAN tunnels: where they begin and lead, and whether a packet fits what is below.

A packet on the underlay is 50 bytes longer than the one within (IPv4), or 70 (IPv6). Where the file
says by which interface of the node the far host is reached, and which MTU the bridge is to have,
the one has to hold the other. A bridge that says none gets one that fits (`model.mtus`).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface

from linkspan.model.base import Engine
from linkspan.model.flaw import Flaw, brief, label, names_of, resembling
from linkspan.model.mtus import underlays
from linkspan.model.position import Path
from linkspan.model.topology import Bridge, Scope, Topology
from linkspan.model.underlay import Station
from linkspan.model.vxlan import VxlanLink
from linkspan.model.wireguard_peers import all_stations

_ALL_LINKS: tuple[Path, ...] = (("links",),)


def tunnels(topology: Topology) -> Iterator[Flaw]:
    """Everything that can be wrong with a tunnel."""
    segments: dict[tuple[str, int, int], Path] = {}
    for number, link in topology.tunnels():
        path: Path = ("links", number)
        bridge = topology.bridges.get(link.bridge)
        if bridge is None:
            yield _no_bridge(topology, path, link)
            continue
        first = segments.setdefault((bridge.node, link.port, link.vni), path)
        if first is not path:
            yield Flaw(
                (*path, "vni"),
                f"{label(path)}: {brief(bridge.node)} has a tunnel of segment {link.vni} already",
                expected="a number of its own for each tunnel of a node",
                found=f"{label(first)} at {{also}}",
                next_step="list the hosts of both under one tunnel's remote, or change vni",
                also=first,
                needs=_ALL_LINKS,
            )
        yield from _ends(topology, path, link, bridge)
    yield from _one_port_each(topology)


def _one_port_each(topology: Topology) -> Iterator[Flaw]:
    """The kernel tells segments apart behind one UDP port, our own switch has one for each."""
    ports: dict[tuple[str, int], tuple[Path, Engine]] = {}
    for number, link in topology.tunnels():
        bridge = topology.bridges.get(link.bridge)
        if bridge is None:
            continue
        path: Path = ("links", number)
        first, engine = ports.setdefault((bridge.node, link.port), (path, bridge.engine))
        if first is not path and Engine.USER in (engine, bridge.engine):
            yield Flaw(
                (*path, "port"),
                f"{label(path)}: UDP port {link.port} of {brief(bridge.node)} has a tunnel already",
                expected="a UDP port for itself, for a tunnel of engine user",
                found=f"{label(first)} at {{also}}",
                next_step="write another `port` at both ends, or `engine: kernel` at both bridges",
                also=first,
                needs=_ALL_LINKS,
            )


def _no_bridge(topology: Topology, path: Path, link: VxlanLink) -> Flaw:
    near = resembling(link.bridge, topology.bridges)
    declare = f"declare {brief(link.bridge)} under bridges"
    return Flaw(
        (*path, "bridge"),
        f"{label(path)}: there is no bridge {brief(link.bridge)}",
        expected=names_of("a bridge of the file", topology.bridges),
        next_step=f"write {near}, or {declare}" if near else declare,
        needs=(*_ALL_LINKS, ("bridges", link.bridge)),
    )


def _ends(topology: Topology, path: Path, link: VxlanLink, bridge: Bridge) -> Iterator[Flaw]:
    own = all_stations(topology, bridge.node)
    if bool(link.remote) == (link.group is not None):
        yield Flaw(
            path,
            f"{label(path)}: it is not clear where the tunnel leads",
            expected="either remote or group",
            found="both" if link.group else "neither",
            next_step="write `remote: ` and the other host's address",
            needs=_ALL_LINKS,
        )
        return
    versions = {ip_address(each).version for each in (*link.everyone, link.local) if each}
    if len(versions) > 1:
        yield Flaw(
            path,
            f"{label(path)}: a tunnel is either of IPv4 or of IPv6",
            expected="addresses of one family in remote and local",
            next_step="leave those of the other family out",
            needs=_ALL_LINKS,
        )
        return
    yield from _group(path, link, bridge, own)
    addresses = {str(ip_interface(text).ip) for station in own for text in station.addresses}
    for index, remote in enumerate(link.remote):
        if remote in addresses:
            yield Flaw(
                (*path, "remote", index),
                f"{label(path)}: {remote} is the tunnel's own node",
                expected="the address of another host",
                next_step="correct the address",
                needs=_ALL_LINKS,
            )
    if link.local and topology.scope is Scope.SANDBOX and link.local not in addresses:
        yield Flaw(
            (*path, "local"),
            f"{label(path)}: {link.local} is no address of {brief(bridge.node)}",
            expected=names_of("one of its own", sorted(addresses)),
            next_step="correct the address, or leave local out",
            needs=_ALL_LINKS,
        )
    yield from _fit(topology, path, link, bridge)


def _group(path: Path, link: VxlanLink, bridge: Bridge, own: list[Station]) -> Iterator[Flaw]:
    if (link.group is None) != (link.interface is None):
        yield Flaw(
            path,
            f"{label(path)}: a group is heard on an interface, and an interface hears a group",
            expected="group and interface together",
            next_step="write both, or neither",
            needs=_ALL_LINKS,
        )
    elif link.interface is not None and link.interface not in [each.interface for each in own]:
        yield Flaw(
            (*path, "interface"),
            f"{label(path)}: {brief(bridge.node)} has no interface {brief(link.interface)}",
            expected=names_of("an interface of the node", [each.interface for each in own]),
            next_step="correct the name",
            needs=(*_ALL_LINKS, ("nodes", bridge.node)),
        )


def _fit(topology: Topology, path: Path, link: VxlanLink, bridge: Bridge) -> Iterator[Flaw]:
    for way, room in underlays(topology, link):
        if way is not None and way.mtu < bridge.mtu + room:
            yield Flaw(
                path,
                f"{label(path)}: packets of {brief(link.bridge)} do not fit through the tunnel",
                expected=f"an MTU of the bridge of at most {way.mtu - room}: that of "
                f"{way.interface} of {brief(bridge.node)}, {way.mtu}, less {room}",
                found=f"{bridge.mtu} bytes",
                next_step=f"write `mtu: {way.mtu - room}` at bridge {brief(link.bridge)}, or leave "
                "mtu out there",
                needs=(*_ALL_LINKS, ("bridges", link.bridge)),
            )
            return
