"""The files that the nodes of a lab have in their /etc: `hosts` is one for the whole lab,
`resolv.conf` each node's own.
"""

from __future__ import annotations

from pathlib import Path

from linkspan.model.segments import segment
from linkspan.model.topology import HOST, Topology
from linkspan.plan.name_servers import domains
from linkspan.sandbox.state import HOSTS, NODE_FILES

MOST_SERVERS = 3
"""Name servers that a resolver takes from its file (MAXNS, resolv.conf(5))."""

_NO_SERVER = "# linkspan: no bridge of this node has a name server\n"


def write_files(folder: Path, topology: Topology) -> None:
    """Write the nodes' /etc/hosts and /etc/resolv.conf into a lab's folder, by a process inside the
    lab. They are written in place, since running nodes have them mounted.
    """
    (folder / HOSTS).write_text(hosts(topology))
    for node in {HOST, *topology.nodes}:
        (folder / NODE_FILES / node).write_text(resolv_conf(topology, node))


def hosts(topology: Topology) -> str:
    """The text of /etc/hosts: every fixed address of every node, and of the bridges for theirs."""
    owned = [
        (address, bridge.node) for bridge in topology.bridges.values() for address in bridge.address
    ]
    owned += [(each, node) for node, _, addresses in topology.stations() for each in addresses]
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address.partition('/')[0]} {node}" for address, node in owned]
    return "\n".join(lines) + "\n"


def resolv_conf(topology: Topology, node: str) -> str:
    """The text of /etc/resolv.conf: the name server of the first bridge that the node is on, or
    that is on the node, and that has one.

    One bridge's alone, since a resolver takes the first answer and would not ask the others.
    """
    for name in _bridges_of(topology, node):
        bridge = topology.bridges[name]
        if bridge.dns and bridge.address:
            servers = [address.partition("/")[0] for address in bridge.address][:MOST_SERVERS]
            lines = [
                f"search {' '.join(domains(topology, name))}",
                *(f"nameserver {one}" for one in servers),
            ]
            return "\n".join(lines) + "\n"
    return _NO_SERVER


def _bridges_of(topology: Topology, node: str) -> list[str]:
    declared = topology.nodes.get(node)
    ports = declared.ports.values() if declared else ()
    return [
        *(each for port in ports for each in segment(topology, port.bridge)),
        *(name for name, bridge in topology.bridges.items() if bridge.node == node),
    ]
