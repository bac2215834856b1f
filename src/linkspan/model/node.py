"""A node as a file declares it, and its interfaces."""

from __future__ import annotations

import enum
from typing import Annotated

from msgspec import Meta

from linkspan.model.container import ContainerFields
from linkspan.model.dhcp import BY_DHCP
from linkspan.model.network import NodeRoute
from linkspan.model.shaping import ShapedOptions
from linkspan.model.texts import (
    GatewayText,
    InterfaceName,
    MacText,
    Mtu,
    PortAddressText,
    Reference,
    SettingName,
    SettingText,
)


class NodeKind(enum.Enum):
    """What a node is."""

    CONTAINER = "container"
    HOST = "host"
    VM = "vm"


class NodePort(ShapedOptions, frozen=True, kw_only=True):
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


class Node(ContainerFields, frozen=True, kw_only=True):
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
