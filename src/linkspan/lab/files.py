"""The files that the nodes of a lab have in their /etc: one copy for the whole lab."""

from __future__ import annotations

from pathlib import Path

from linkspan.model.topology import Topology


def write_files(folder: Path, topology: Topology) -> None:
    """Write the nodes' /etc/hosts and /etc/resolv.conf into a folder that exists. They are
    written in place, since running nodes have them mounted.
    """
    (folder / "hosts").write_text(hosts(topology))
    (folder / "resolv.conf").write_text("# linkspan: this lab has no name server\n")


def hosts(topology: Topology) -> str:
    """The text of /etc/hosts: every address of every node, and of the bridges for theirs."""
    owned = [
        (address, bridge.node) for bridge in topology.bridges.values() for address in bridge.address
    ]
    owned += [(each, node) for node, _, addresses in topology.stations() for each in addresses]
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address.partition('/')[0]} {node}" for address, node in owned]
    return "\n".join(lines) + "\n"
