"""Checks that only the whole file allows: what refers to what, and what excludes what.

`validate` takes a topology whose single values are already right and returns flaws by path; it
knows nothing of files, so it serves topologies made in Python as well. `CHECKS` lists the checks;
each is a generator over one concern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from linkspan.model.flaw import MOST_FAULTS, Flaw, brief, label, names_of, resembling
from linkspan.model.position import Path
from linkspan.model.topology import HOST, MOST_PORTS, NodeKind, Topology
from linkspan.model.validate_addresses import addresses, gateways, macs
from linkspan.model.validate_containers import containers
from linkspan.model.validate_dhcp import dhcp_offers, name_servers
from linkspan.model.validate_fdb import static_entries
from linkspan.model.validate_leases import fixed_leases
from linkspan.model.validate_links import interfaces_of_links, settings, wires
from linkspan.model.validate_machines import machines, machines_on_links
from linkspan.model.validate_networks import forwards, published, router_settings, routes
from linkspan.model.validate_options import engines, options_of_engines, options_together
from linkspan.model.validate_stations import stations
from linkspan.model.validate_uplinks import uplinks
from linkspan.model.validate_vxlan import tunnels
from linkspan.model.validate_wireguard import wireguards


def validate(topology: Topology) -> list[Flaw]:
    """Everything that is wrong with a topology as a whole."""
    return [flaw for check in CHECKS for flaw in check(topology)]


def _something_to_build(topology: Topology) -> Iterator[Flaw]:
    if not topology.bridges and not topology.nodes:
        yield Flaw(
            (),
            "there is nothing to build",
            expected="at least one bridge or node",
            next_step="write `bridges` and `nodes`",
            needs=(("bridges",), ("nodes",)),
        )


def _references(topology: Topology) -> Iterator[Flaw]:
    """Bridges that ports name, nodes that bridges name."""
    meant: dict[str, str] = {}
    for node, interface, port in topology.node_ports():
        path: Path = ("nodes", node, "ports", interface, "bridge")
        if port.bridge not in topology.bridges:
            # One error shows no more of them, and looking for what was meant is slow.
            if port.bridge not in meant and len(meant) < MOST_FAULTS:
                meant[port.bridge] = resembling(port.bridge, topology.bridges)
            near = meant.get(port.bridge, "")
            yield Flaw(
                path,
                f"{label(path[:4])}: there is no bridge {brief(port.bridge)}",
                expected=names_of("a bridge of the file", topology.bridges),
                next_step=_declare(near, port.bridge, "bridges"),
                needs=(("bridges", port.bridge),),
            )
    for name, bridge in topology.bridges.items():
        carrier = topology.nodes.get(bridge.node)
        path = ("bridges", name, "node")
        if carrier is None and bridge.node != HOST:
            near = resembling(bridge.node, [HOST, *topology.nodes])
            yield Flaw(
                path,
                f"{label(path[:2])}: there is no node {brief(bridge.node)}",
                expected="host, or a node of kind host",
                next_step=_declare(near, bridge.node, "nodes"),
                needs=(("nodes", bridge.node),),
            )
        elif carrier is not None and carrier.kind is not NodeKind.HOST and bridge.node != HOST:
            yield Flaw(
                path,
                f"{label(path[:2])}: {brief(bridge.node)} is a {carrier.kind.value} and carries no "
                "bridges",
                expected="host, or a node of kind host",
                next_step=f"write `kind: host` at node {brief(bridge.node)}",
                needs=(("nodes", bridge.node, "kind"),),
            )


def _host_is_a_host(topology: Topology) -> Iterator[Flaw]:
    host = topology.nodes.get(HOST)
    if host is not None and host.kind is not NodeKind.HOST:
        yield Flaw(
            ("nodes", HOST),
            "node host: the name is that of the lab's own host, which is no container",
            expected="a node of kind host",
            next_step="write `kind: host`, or choose another name",
            at_key=True,
            needs=(("nodes", HOST, "kind"),),
        )


def _names_of_interfaces(topology: Topology) -> Iterator[Flaw]:
    """A bridge is an interface of its node too; labels of ports are unique on their bridge."""
    for node, interface, _ in topology.node_ports():
        bridge = topology.bridges.get(interface)
        if bridge is not None and bridge.node == node:
            yield Flaw(
                ("nodes", node, "ports", interface),
                f"{label(('nodes', node))}: port {brief(interface)} is called like a bridge there",
                expected="a name that no other interface of the node has",
                found="the bridge at {also}",
                next_step="rename one of the two",
                also=("bridges", interface),
                at_key=True,
            )
    labels = {
        (port.bridge, f"{node}.{interface}"): (node, interface)
        for node, interface, port in topology.node_ports()
    }
    for name, bridge in topology.bridges.items():
        for socket in bridge.ports:
            if taken := labels.get((name, socket)):
                yield Flaw(
                    ("bridges", name, "ports", socket),
                    f"{label(('bridges', name))}: port {brief(socket)} is called like a node's",
                    expected="a name that no other port of the bridge has",
                    found="the port at {also}",
                    next_step="rename the socket's port",
                    also=("nodes", taken[0], "ports", taken[1]),
                    at_key=True,
                )


def _number_of_ports(topology: Topology) -> Iterator[Flaw]:
    ports = {
        name: len(bridge.ports) + (bridge.uplink is not None)
        for name, bridge in topology.bridges.items()
    }
    for _, _, port in topology.node_ports():
        if port.bridge in ports:
            ports[port.bridge] += 1
    for _, tunnel in topology.tunnels():
        if tunnel.bridge in ports:
            ports[tunnel.bridge] += 1
    for name, number in ports.items():
        if number > MOST_PORTS:
            yield Flaw(
                ("bridges", name),
                f"{label(('bridges', name))} has too many ports",
                expected=f"at most {MOST_PORTS}, as on a bridge of the kernel",
                found=f"{number} ports",
                next_step="spread them over several bridges",
                at_key=True,
            )


def _declare(near: str, name: str, section: str) -> str:
    declare = f"declare {brief(name)} under {section}"
    return f"write {near}, or {declare}" if near else declare


CHECKS: Final[tuple[Callable[[Topology], Iterator[Flaw]], ...]] = (
    _something_to_build,
    _references,
    _host_is_a_host,
    _names_of_interfaces,
    _number_of_ports,
    macs,
    addresses,
    gateways,
    dhcp_offers,
    fixed_leases,
    stations,
    name_servers,
    static_entries,
    forwards,
    published,
    router_settings,
    routes,
    engines,
    options_of_engines,
    options_together,
    wires,
    tunnels,
    wireguards,
    interfaces_of_links,
    settings,
    uplinks,
    machines,
    machines_on_links,
    containers,
)
