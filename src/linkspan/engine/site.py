"""Where engines work: a lab's init process, and a netlink socket in each of its nodes.

A netlink socket serves the namespace that it was opened in, whoever uses it and from where. So it
is opened once for each node, and a thousand nodes are configured without going from one namespace
to the next all the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from linkspan.control.client import Client
from linkspan.control.descriptors import close_all
from linkspan.engine.netlink import Netlink
from linkspan.model.topology import Scope
from linkspan.sandbox.namespaces import NODE_KINDS, inside, node_key
from linkspan.sandbox.syscalls import raise_descriptor_limit

_AT_ONCE: Final = 200
"""Descriptors asked for in one request; the kernel sends 253 in one message."""


class Site:
    """One lab, for the time of one piece of work by one process inside the lab's namespaces."""

    def __init__(self, lab: str, folder: Path, init: Client, scope: Scope) -> None:
        raise_descriptor_limit()
        self.lab = lab
        self.folder = folder
        self.init = init
        self.scope = scope
        self.own = Netlink()
        """In the lab's own namespace: in a sandbox one that holds the switch's ends of veths."""
        self._networks: dict[str, int] = {}
        self._sockets: dict[str, Netlink] = {}

    def nodes(self) -> list[str]:
        """The nodes that the lab has."""
        held = self.init.call("status")["held"]
        prefix = node_key("")
        return [name.removeprefix(prefix) for name in held if name.startswith(prefix)]

    def find_networks(self, nodes: Sequence[str]) -> None:
        """Have the descriptors of many nodes' namespaces at hand, as `network` gives them, for a
        few requests and not one for each. Raises Refusal when the lab lacks one of the nodes.
        """
        missing = [node for node in nodes if node not in self._networks]
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            _, descriptors = self.init.call_for_descriptors(
                "fetch-each",
                names=[node_key(node) for node in some],
                place=NODE_KINDS.index("net"),
            )
            self._networks |= zip(some, descriptors, strict=True)

    def network(self, node: str) -> int:
        """A descriptor of a node's network namespace, which stays the site's.

        Raises Refusal when the lab has no such node.
        """
        if node not in self._networks:
            _, descriptors = self.init.call_for_descriptors("fetch", name=node_key(node))
            self._networks[node] = descriptors.pop(NODE_KINDS.index("net"))
            close_all(descriptors)
        return self._networks[node]

    def netlink(self, node: str) -> Netlink:
        """A netlink socket of a node, which stays the site's. Raises Refusal or OSError."""
        if node not in self._sockets:
            with inside(self.network(node)):
                self._sockets[node] = Netlink()
        return self._sockets[node]

    def add(self, node: str, network: int) -> None:
        """A node was made; its descriptor passes to the site."""
        self._networks[node] = network

    def forget(self, node: str) -> None:
        """A node was removed."""
        if node in self._sockets:
            self._sockets.pop(node).close()
        if node in self._networks:
            close_all([self._networks.pop(node)])

    def close(self) -> None:
        """Let go of every descriptor; the lab's init process holds its own."""
        for node in list(self._networks):
            self.forget(node)
        self.own.close()
