"""What there should be: the values that one file declares, and the one place that describes them.

Every field stands here once, with its type, its limits and its description. The loader reads
files by these annotations (`model.load`), and the JSON Schema and `docs/file.md` are generated
from them (`model.schema`), so a field cannot be accepted without being described, nor described
without being checked.

A `Topology` is what the file says and no more: addresses and MACs are in canonical text, a MAC
that the file leaves out stays None until `names.with_macs` works it out. Keys in the file are the
field names with hyphens. What can be set on a bridge or a port stands in `model.options`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from linkspan.model.base import Engine as Engine
from linkspan.model.base import Value
from linkspan.model.bridge import HOST as HOST
from linkspan.model.bridge import Bridge as Bridge
from linkspan.model.bridge import Cache as Cache
from linkspan.model.bridge import SocketKind as SocketKind
from linkspan.model.bridge import SocketPort as SocketPort
from linkspan.model.bridge import StaticEntry as StaticEntry
from linkspan.model.bridge import UplinkPort as UplinkPort
from linkspan.model.link import AnyLink, VethEnd, VethLink
from linkspan.model.node import Node as Node
from linkspan.model.node import NodeKind as NodeKind
from linkspan.model.node import NodePort as NodePort
from linkspan.model.texts import InterfaceName, NodeName
from linkspan.model.vxlan import VxlanLink
from linkspan.model.wireguard import WireguardLink

MOST_PORTS: Final = 1023
"""Ports of one bridge: BR_MAX_PORTS is 1 << 10, and 0 is not used (net/bridge/br_private.h)."""


class Scope(enum.Enum):
    """Where the lab lives."""

    SANDBOX = "sandbox"
    HOST = "host"


LabName = Annotated[
    str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,30}$", extra={"shape": "lab"}, examples=["demo"])
]


class Topology(Value, frozen=True, kw_only=True):
    """Everything that one file declares: a lab."""

    name: Annotated[
        LabName, Meta(description="Name of the lab; the name of the file when left out.")
    ]
    scope: Annotated[
        Scope,
        Meta(
            description="Where the lab lives: `sandbox`, in network namespaces of its own; or "
            "`host`, where bridges and what hangs on them are in the machine's own namespace."
        ),
    ] = Scope.SANDBOX
    bridges: Annotated[dict[InterfaceName, Bridge], Meta(description="The bridges by name.")] = {}
    nodes: Annotated[
        dict[NodeName, Node],
        Meta(description="The nodes by name; `host` is there without being declared."),
    ] = {}
    links: Annotated[
        tuple[AnyLink, ...],
        Meta(description="Wires between nodes, such as `a:eth1 -- b:eth1`, and tunnels."),
    ] = ()

    def node_ports(self) -> Iterator[tuple[str, str, NodePort]]:
        """Every interface that is a port of a bridge: node, interface, port, in file order."""
        for node_name, node in self.nodes.items():
            for interface, port in node.ports.items():
                yield node_name, interface, port

    def wires(self) -> Iterator[tuple[int, VethLink]]:
        """Every link that is a veth pair with two ends, and its place in the list."""
        for number, link in enumerate(self.links):
            if isinstance(link, VethLink) and len(link.ends) == 2:
                yield number, link

    def tunnels(self) -> Iterator[tuple[int, VxlanLink]]:
        """Every link that is a VXLAN port of a bridge, and its place in the list."""
        for number, link in enumerate(self.links):
            if isinstance(link, VxlanLink):
                yield number, link

    def wireguards(self) -> Iterator[tuple[int, WireguardLink]]:
        """Every link that is a WireGuard interface, and its place in the list."""
        for number, link in enumerate(self.links):
            if isinstance(link, WireguardLink):
                yield number, link

    def wire_ends(self) -> Iterator[tuple[VethEnd, VethEnd, VethLink]]:
        """Every end of a wire with the one at its other side."""
        for _, link in self.wires():
            first, second = link.ends
            yield first, second, link
            yield second, first, link

    def stations(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Every interface that is no bridge's own: node, interface, fixed addresses."""
        for node, interface, port in self.node_ports():
            yield node, interface, port.fixed
        for end, _, _ in self.wire_ends():
            yield end.node, end.interface, end.address
        for _, link in self.wireguards():
            yield link.node, link.name, link.address

    def stations_by_node(self) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
        """The same, interface and addresses by node: one pass for who asks of every node."""
        found: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        for node, interface, addresses in self.stations():
            found.setdefault(node, []).append((interface, addresses))
        return found

    def uplinks(self) -> Iterator[tuple[str, Bridge, UplinkPort]]:
        """Every bridge with an uplink: its name, itself, the uplink."""
        for name, bridge in self.bridges.items():
            if bridge.uplink is not None:
                yield name, bridge, bridge.uplink

    def is_machine(self, node: str) -> bool:
        """Whether a node is a virtual machine, which has no namespace."""
        return node in self.nodes and self.nodes[node].kind is NodeKind.VM

    def mtu_of(self, port: NodePort) -> int:
        """The MTU of an interface in bytes: its own, or that of its bridge."""
        return self.bridges[port.bridge].mtu if port.mtu is None else port.mtu


def dump(topology: Topology) -> str:
    """The topology as a file that `load.loads` reads back to an equal value (JSON is YAML)."""
    return msgspec.json.format(msgspec.json.encode(topology), indent=2).decode()
