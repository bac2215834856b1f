"""Names and addresses that linkspan makes up itself, and the mark on what it owns.

Everything here is a function of the lab alone, so that a lab brought up again tomorrow has the
same MACs (leases, neighbour caches and captures stay valid), and a crashed one is recognised.

MACs are locally administered (IEEE 802-2014, 8.4.2) and come from a hash of lab, owner and
interface. A hash that is taken, by the file or by an earlier owner, is hashed again with a
counter; owners are visited in sorted order, so the order of the file does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec.structs import replace

from linkspan.model.link import AnyLink, VethLink
from linkspan.model.topology import Topology
from linkspan.types import Mac, format_mac

MARK_PREFIX: Final = "linkspan"
"""Begin of the alias (IFLA_IFALIAS) of every interface that a lab owns."""

INTERFACE_NAME_BYTES: Final = 15
"""IFNAMSIZ - 1 (include/uapi/linux/if.h)."""

HASH_LETTERS: Final = 6
"""Hexadecimal letters behind the `~` of a shortened name."""


class Mark(msgspec.Struct, frozen=True):
    """Who owns an interface: the lab, and what it is there (a bridge or "node.interface")."""

    lab: str
    id: str

    def __str__(self) -> str:
        return f"{MARK_PREFIX}:{self.lab}:{self.id}"


def parse_mark(alias: str | None) -> Mark | None:
    """The mark in an interface's alias; None for interfaces that are not ours."""
    prefix, _, rest = (alias or "").partition(":")
    lab, _, identity = rest.partition(":")
    return Mark(lab, identity) if prefix == MARK_PREFIX and lab and identity else None


def port_name(node: str, interface: str) -> str:
    """Name of a node's interface as a port of its bridge: `web.eth0`."""
    return f"{node}.{interface}"


LINK_PREFIX: Final = "link:"
"""Begin of what marks the ends of a wire; no name of a node, bridge or interface holds a colon."""

TAP_PREFIXES: Final = {"kernel": "tap:", "user": "switch-tap:"}
"""Begin of what marks a tap that the file declares as a port, by the engine of its bridge: the
bridge and the port follow."""


def wire_name(first: tuple[str, str], second: tuple[str, str]) -> str:
    """What marks both ends of a wire, each named by node and interface: `link:a.eth1:b.eth1`."""
    ends = sorted([first, second])
    return LINK_PREFIX + ":".join(port_name(node, interface) for node, interface in ends)


def with_macs(topology: Topology) -> Topology:
    """The topology with a MAC address for every bridge and every interface."""
    taken = {bridge.mac for bridge in topology.bridges.values()}
    taken |= {port.mac for _, _, port in topology.node_ports()}
    taken |= {end.mac for end, _, _ in topology.wire_ends()}

    def free_mac(*owner: str) -> str:
        attempt = 0
        while (text := format_mac(hashed_mac(topology.name, *owner, str(attempt)))) in taken:
            attempt += 1
        taken.add(text)
        return text

    bridges = {
        name: free_mac("bridge", name)
        for name in sorted(topology.bridges)
        if topology.bridges[name].mac is None
    }
    ports = {
        (node, interface): free_mac("port", node, interface)
        for node, interface, port in sorted(topology.node_ports(), key=lambda link: link[:2])
        if port.mac is None
    }
    ends = {
        (node, interface): free_mac("link", node, interface)
        for node, interface in sorted(
            (end.node, end.interface) for end, _, _ in topology.wire_ends() if end.mac is None
        )
    }
    return replace(
        topology,
        links=tuple(_with_macs(link, ends) for link in topology.links),
        bridges={
            name: replace(bridge, mac=bridges.get(name, bridge.mac))
            for name, bridge in topology.bridges.items()
        },
        nodes={
            name: replace(
                node,
                ports={
                    interface: replace(port, mac=ports.get((name, interface), port.mac))
                    for interface, port in node.ports.items()
                },
            )
            for name, node in topology.nodes.items()
        },
    )


def _with_macs(link: AnyLink, macs: Mapping[tuple[str, str], str]) -> AnyLink:
    if not isinstance(link, VethLink):
        return link
    return replace(
        link,
        ends=tuple(
            replace(end, mac=macs.get((end.node, end.interface), end.mac)) for end in link.ends
        ),
    )


def hashed_mac(*owner: str) -> Mac:
    """A locally administered unicast MAC (02:…) for an owner."""
    return Mac(b"\x02" + blake2b("\0".join(owner).encode(), digest_size=5).digest())


def switch_side_names(
    ports: Iterable[tuple[str, str]], bridges: Iterable[str], lab: str = ""
) -> dict[tuple[str, str], str]:
    """Names for the switch's end of nodes' ports, by node and interface.

    `web.eth0` where that fits an interface name and nothing else is called so, otherwise its
    beginning, `~` and a hash. Unique in the lab, also against bridges and interfaces of nodes,
    since the switch's end may come to stand beside any of them; and on the machine, if `lab` is
    given, which then always makes a part of the hash.
    """
    wanted = sorted(ports)
    taken = {*bridges, *(interface for _, interface in wanted)}
    names: dict[tuple[str, str], str] = {}
    for node, interface in wanted:
        whole, attempt = port_name(node, interface), 0
        name = _shortened(whole, f"{lab}\0{whole}") if lab else whole
        while name in taken or len(name.encode()) > INTERFACE_NAME_BYTES:
            name = _shortened(whole, f"{lab}\0{whole}\0{attempt}")
            attempt += 1
        taken.add(name)
        names[node, interface] = name
    return names


def _shortened(name: str, hashed: str) -> str:
    digest = blake2b(hashed.encode(), digest_size=HASH_LETTERS // 2).hexdigest()
    room = INTERFACE_NAME_BYTES - HASH_LETTERS - 1
    return f"{name.encode()[:room].decode(errors='ignore')}~{digest}"
