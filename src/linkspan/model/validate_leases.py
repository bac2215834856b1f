"""Checks of fixed leases: of nodes that are there and ask, of addresses that nobody else has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address

from linkspan.model.bridge import Bridge
from linkspan.model.flaw import Flaw, brief, label, names_of, resembling
from linkspan.model.offers import addresses_on, holder, holders
from linkspan.model.position import Path
from linkspan.model.segments import segment
from linkspan.model.topology import Topology
from linkspan.model.validate_dhcp import is_host_in, networks_of


def fixed_leases(topology: Topology) -> Iterator[Flaw]:
    """Fixed leases: of nodes that are there and ask, of addresses that nobody else has."""
    for name, bridge in topology.bridges.items():
        if bridge.dhcp is None:
            continue
        owners = {str(each.ip): node for node, each in addresses_on(topology, name)}
        joined = segment(topology, name)
        first: dict[str, Path] = {}
        for node, leases in bridge.dhcp.hosts.items():
            path: Path = ("bridges", name, "dhcp", "hosts", node)
            what = f"{label(path[:2])}: the fixed lease of {brief(node)}"
            if holder(topology, joined, node) is None:
                yield _nobody(path, what, topology, name, node)
            for index, lease in enumerate(leases):
                here: Path = (*path, index)
                yield from _lease(here, f"{what}, {lease},", bridge, lease, owners, leases[:index])
                earlier = first.setdefault(lease, here)
                if earlier[:-1] != path:
                    yield Flaw(
                        here,
                        f"{what}, {lease}, is that of {brief(str(earlier[-2]))} as well",
                        expected="an address of its own",
                        found="the other lease at {also}",
                        next_step="change one of the two",
                        also=earlier,
                    )


def _lease(
    path: Path,
    what: str,
    bridge: Bridge,
    lease: str,
    owners: Mapping[str, str],
    others: Sequence[str],
) -> Iterator[Flaw]:
    version = ip_address(lease).version
    networks = networks_of(bridge, version)
    if networks and not is_host_in(lease, networks):
        yield Flaw(
            path,
            f"{what} is in none of the bridge's networks",
            expected=names_of("an address in", map(str, networks)),
            next_step="correct the address",
            needs=((*path[:2], "address"),),
        )
    if lease in owners:
        yield Flaw(
            path,
            f"{what} is the address of {brief(owners[lease])} already",
            expected="an address of its own",
            next_step="change one of the two",
        )
    if any(ip_address(other).version == version for other in others):
        yield Flaw(
            path,
            f"{what} is one more of IPv{version}",
            expected="one of IPv4, one of IPv6, or one of each",
            next_step="remove one",
        )


def _nobody(path: Path, what: str, topology: Topology, bridge: str, node: str) -> Flaw:
    """The flaw of a lease that nobody would ask for."""
    declared = topology.nodes.get(node)
    known = [each for each, _, _ in holders(topology, bridge)]
    if declared is None:
        near = resembling(node, known)
        return Flaw(
            path,
            f"{what} is of no node of the file",
            expected=names_of("a node on the bridge without a fixed address", known),
            next_step=f"write {near}" if near else f"declare {brief(node)} under nodes",
            at_key=True,
            needs=(("nodes", node),),
        )
    ports = [each for each, port in declared.ports.items() if port.bridge == bridge]
    return Flaw(
        path,
        f"{what} is of a node that "
        + ("has a fixed address there" if ports else f"is not on bridge {brief(bridge)}"),
        expected=names_of("a node on the bridge without a fixed address", known),
        next_step=f"write `address: dhcp` at node {brief(node)}, port {brief(ports[0])}"
        if ports
        else f"give {brief(node)} a port on {brief(bridge)}, or remove the lease",
        at_key=True,
        needs=(("nodes", node, "ports"),),
    )
