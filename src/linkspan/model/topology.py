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

from linkspan.model.base import Engine, Value
from linkspan.model.bridge_options import BridgeOptions
from linkspan.model.dhcp import BY_DHCP, Dhcp, Dns
from linkspan.model.link import AnyLink, VethEnd, VethLink
from linkspan.model.machine import MachineFields
from linkspan.model.network import Forward, NodeRoute
from linkspan.model.port_options import PortOptions
from linkspan.model.publish import PublishText
from linkspan.model.texts import (
    AddressText,
    GatewayText,
    InterfaceName,
    MacText,
    Mtu,
    NodeName,
    PortAddressText,
    Reference,
    SettingName,
    SettingText,
    StationText,
)
from linkspan.model.vxlan import VxlanLink
from linkspan.model.wireguard import WireguardLink

HOST: Final = "host"
"""The node that every lab has without declaring it."""

MOST_PORTS: Final = 1023
"""Ports of one bridge: BR_MAX_PORTS is 1 << 10, and 0 is not used (net/bridge/br_private.h)."""


class Cache(enum.Enum):
    """Whether established flows are forwarded by the kernel."""

    AUTO = "auto"
    OFF = "off"


class Scope(enum.Enum):
    """Where the lab lives."""

    SANDBOX = "sandbox"
    HOST = "host"


class NodeKind(enum.Enum):
    """What a node is."""

    CONTAINER = "container"
    HOST = "host"
    VM = "vm"


class SocketKind(enum.Enum):
    """How frames cross a socket: QEMU's `-netdev stream` or `-netdev dgram`."""

    STREAM = "stream"
    DGRAM = "dgram"


LabName = Annotated[
    str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,30}$", extra={"shape": "lab"}, examples=["demo"])
]


class SocketPort(PortOptions, frozen=True, kw_only=True):
    """A port of a bridge that is a UNIX socket, for a program such as QEMU."""

    kind: Annotated[
        SocketKind,
        Meta(description="Framing of the socket: that of QEMU's `-netdev stream` or `dgram`."),
    ]


class UplinkPort(PortOptions, frozen=True, kw_only=True):
    """An interface that is there without the bridge, as a port of it: the way out."""

    interface: Annotated[
        InterfaceName,
        Meta(
            description="An interface of the bridge's node. Its addresses and routes move to the "
            "bridge, which gets its MAC and MTU; they come back when it is released."
        ),
    ]


class NodePort(PortOptions, frozen=True, kw_only=True):
    """An interface of a node, which is a port of a bridge."""

    bridge: Annotated[Reference, Meta(description="The bridge that the interface is on.")]
    address: Annotated[
        tuple[PortAddressText, ...],
        Meta(
            description="IPv4 and IPv6 addresses of the interface, each with its prefix length; "
            "`dhcp` has the network give it some: by DHCP, and in IPv6 also by router "
            "advertisement. A `vm` sets them itself: these are the ones that it is known by."
        ),
    ] = ()
    mac: Annotated[
        MacText | None,
        Meta(description="MAC address; worked out from lab, node and interface when left out."),
    ] = None
    mtu: Annotated[
        Mtu | None,
        Meta(description="Largest packet in bytes; that of the bridge when left out."),
    ] = None

    @property
    def fixed(self) -> tuple[str, ...]:
        """The addresses that the file gives it."""
        return tuple(text for text in self.address if text != BY_DHCP)

    @property
    def asks(self) -> bool:
        """Whether it gets addresses from the network."""
        return BY_DHCP in self.address


class StaticEntry(Value, frozen=True, kw_only=True):
    """An entry of a bridge's FDB that was not learned, and does not age."""

    port: Annotated[
        Reference,
        Meta(
            description="The port that the address is behind: `NODE.INTERFACE`, or the name of "
            "one of the bridge's own `ports`."
        ),
    ]
    sticky: Annotated[
        bool,
        Meta(description="Keep the entry where it is when a frame from it comes in elsewhere."),
    ] = False


class Bridge(BridgeOptions, frozen=True, kw_only=True):
    """A switch."""

    engine: Annotated[
        Engine,
        Meta(
            description="Who switches the frames: `user`, our own switch; `kernel`, the bridge of "
            "Linux; `auto`, the kernel where it is permitted and has what the file asks for, else "
            "our own."
        ),
    ] = Engine.AUTO
    cache: Annotated[
        Cache,
        Meta(
            description="In-kernel cache of the switch's decisions: `auto` uses it where kernel "
            "and privilege allow it, `off` sends every frame through the switch process."
        ),
    ] = Cache.AUTO
    node: Annotated[
        Reference,
        Meta(description="The node that the bridge lives on: `host` or a node of kind `host`."),
    ] = HOST
    mac: Annotated[
        MacText | None,
        Meta(description="MAC address of the bridge itself; worked out from lab and name."),
    ] = None
    address: Annotated[
        tuple[AddressText, ...],
        Meta(
            description="Addresses of the bridge itself, each with its prefix length; "
            "none makes a bridge of pure layer 2."
        ),
    ] = ()
    forward: Annotated[
        Forward | None,
        Meta(
            description="Packets between the bridge's network and others: `none` lets none pass, "
            "`nat` lets the network's own connections out under the node's address, `routed` lets "
            "all pass as they are. Left out, the bridge has no rules and its node is no router."
        ),
    ] = None
    publish: Annotated[
        tuple[PublishText, ...],
        Meta(
            description="Ports of the bridge's node that lead to a node or an address on the "
            "network: `[ADDRESS:]PORTS:TARGET:PORTS[/tcp|/udp]`."
        ),
    ] = ()
    up: Annotated[
        bool, Meta(description="Whether the bridge's own interface on its node is up.")
    ] = True
    mtu: Annotated[
        Mtu,
        Meta(
            description="Largest packet in bytes, also of ports that say nothing else. Left out, "
            "1500, or what fits through the bridge's VXLAN tunnels."
        ),
    ] = 1500
    dhcp: Annotated[
        Dhcp | None, Meta(description="Addresses that the bridge gives away; none: no DHCP server.")
    ] = None
    dns: Annotated[
        Dns | None, Meta(description="Name server on the bridge; none: no name server.")
    ] = None
    uplink: Annotated[
        UplinkPort | None,
        Meta(
            description="An interface of the bridge's node that becomes a port of the bridge; "
            "`uplink: eth0` is short for `uplink: {interface: eth0}`."
        ),
    ] = None
    ports: Annotated[
        dict[InterfaceName, SocketPort],
        Meta(description="Further ports: sockets that programs such as QEMU connect to."),
    ] = {}
    fdb: Annotated[
        dict[StationText, StaticEntry],
        Meta(
            description="Static entries of the FDB by MAC address; `52:54:00:12:34:56: web.eth0` "
            "is short for `52:54:00:12:34:56: {port: web.eth0}`."
        ),
    ] = {}


class Node(MachineFields, frozen=True, kw_only=True):
    """A network namespace with a stack of its own, or a virtual machine."""

    kind: Annotated[
        NodeKind,
        Meta(
            description="`container`; `host`, which may carry bridges of its own; or `vm`, a "
            "virtual machine of QEMU."
        ),
    ] = NodeKind.CONTAINER
    ports: Annotated[
        dict[InterfaceName, NodePort],
        Meta(description="Interfaces by name; `eth0: br0` is short for `eth0: {bridge: br0}`."),
    ] = {}
    gateway: Annotated[
        tuple[GatewayText, ...],
        Meta(
            description="Next hop of the default route, at most one per address family. Left out, "
            "a container on a bridge with `forward: nat` or `routed` takes the bridge's address."
        ),
    ] = ()
    sysctls: Annotated[
        dict[SettingName, int | SettingText],
        Meta(description="Settings of the node's network, such as `net.ipv4.ip_forward: 1`."),
    ] = {}
    routes: Annotated[tuple[NodeRoute, ...], Meta(description="Static routes.")] = ()


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
