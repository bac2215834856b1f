"""Checks of links: ends that exist, names that are free."""

from __future__ import annotations

from collections.abc import Iterator

from linkspan.model.flaw import Flaw, brief, label, names_of, resembling
from linkspan.model.link import VethLink
from linkspan.model.position import Path
from linkspan.model.topology import HOST, Scope, Topology
from linkspan.model.vxlan import VxlanLink
from linkspan.model.wireguard import WireguardLink

_ALL_LINKS: tuple[Path, ...] = (("links",),)


def wires(topology: Topology) -> Iterator[Flaw]:
    """A wire has two ends, each on a node that there is."""
    for number, link in enumerate(topology.links):
        if not isinstance(link, VethLink):
            continue
        path: Path = ("links", number)
        if len(link.ends) != 2:
            yield Flaw(
                (*path, "ends"),
                f"{label(path)}: a wire has two ends",
                expected="two ends, such as [a:eth1, b:eth1]",
                found=f"{len(link.ends)}",
                next_step="write the two interfaces that the wire is to join",
                needs=_ALL_LINKS,
            )
        for place, end in enumerate(link.ends):
            if end.node != HOST and end.node not in topology.nodes:
                near = resembling(end.node, [HOST, *topology.nodes])
                declare = f"declare {brief(end.node)} under nodes"
                yield Flaw(
                    (*path, "ends", place, "node"),
                    f"{label(path)}: there is no node {brief(end.node)}",
                    expected=names_of("a node of the file", [HOST, *topology.nodes]),
                    next_step=f"write {near}, or {declare}" if near else declare,
                    needs=(*_ALL_LINKS, ("nodes", end.node)),
                )


def interfaces_of_links(topology: Topology) -> Iterator[Flaw]:
    """What a link brings into a node has a name that nothing else there has."""
    taken: dict[tuple[str, str], Path] = {
        (bridge.node, name): ("bridges", name) for name, bridge in topology.bridges.items()
    }
    for node, interface, _ in topology.node_ports():
        taken.setdefault((node, interface), ("nodes", node, "ports", interface))
    for path, node, interface in _interfaces(topology):
        first = taken.setdefault((node, interface), path)
        if first is not path:
            yield Flaw(
                path,
                f"{label(path[:2])}: {brief(node)} has an interface {brief(interface)} already",
                expected="a name that no other interface of the node has",
                found=f"{label(first)} at {{also}}",
                next_step="rename one of the two",
                also=first,
                needs=_ALL_LINKS,
            )


def _interfaces(topology: Topology) -> Iterator[tuple[Path, str, str]]:
    """Path, node and name of the interfaces that links and taps bring."""
    for name, bridge in topology.bridges.items():
        for tap in (each for each, port in bridge.ports.items() if port.is_tap):
            yield ("bridges", name, "ports", tap), bridge.node, tap
    for number, link in enumerate(topology.links):
        match link:
            case VethLink(ends=ends):
                for place, end in enumerate(ends):
                    path: Path = ("links", number, "ends", place, "interface")
                    yield path, end.node, end.interface
            case WireguardLink():
                yield ("links", number, "name"), link.node, link.name
            case VxlanLink() if link.bridge in topology.bridges:
                yield ("links", number, "name"), topology.bridges[link.bridge].node, link.port_name


def settings(topology: Topology) -> Iterator[Flaw]:
    """The machine's own settings are nobody's to change."""
    host = topology.nodes.get(HOST)
    if topology.scope is Scope.HOST and host is not None and host.sysctls:
        yield Flaw(
            ("nodes", HOST, "sysctls"),
            "node host: in scope host its settings are the machine's own",
            expected="sysctls of containers",
            next_step="set them in /etc/sysctl.d, or leave sysctls out",
            at_key=True,
        )
