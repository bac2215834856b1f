"""A bridge as a file declares it, and the ports that are its own."""

from __future__ import annotations

import enum
from typing import Annotated, Final

from msgspec import Meta

from linkspan.model.base import LARGEST_U32, Engine, Value
from linkspan.model.bridge_options import BridgeOptions
from linkspan.model.dhcp import Dhcp, Dns
from linkspan.model.network import Forward
from linkspan.model.port_options import PortOptions
from linkspan.model.publish import PublishText
from linkspan.model.texts import (
    AddressText,
    InterfaceName,
    MacText,
    Mtu,
    Reference,
    StationText,
)

HOST: Final = "host"
"""The node that every lab has without declaring it."""


class Cache(enum.Enum):
    """Whether established flows are forwarded by the kernel."""

    AUTO = "auto"
    OFF = "off"


AccountNumber = Annotated[int, Meta(ge=0, le=LARGEST_U32 - 1)]
"""Of a user or a group; one more stands for none (include/linux/uidgid.h)."""


class SocketKind(enum.Enum):
    """How frames come from a program: by QEMU's `-netdev stream` or `dgram`, or by a tap."""

    STREAM = "stream"
    DGRAM = "dgram"
    TAP = "tap"


class SocketPort(PortOptions, frozen=True, kw_only=True):
    """A port of a bridge for a program such as QEMU: a UNIX socket, or a tap that stays."""

    kind: Annotated[
        SocketKind,
        Meta(
            description="A `tap` of the port's name on the bridge's node; of engine user also a "
            "socket with the framing of QEMU's `-netdev stream` or `dgram`."
        ),
    ]
    owner: Annotated[
        AccountNumber | None, Meta(description="Of a `tap`: number of the user that may open it.")
    ] = None
    group: Annotated[
        AccountNumber | None, Meta(description="Of a `tap`: number of the group that may open it.")
    ] = None
    multi_queue: Annotated[
        bool, Meta(description="Of a `tap`: whether it is opened several times, a queue each.")
    ] = False

    @property
    def is_tap(self) -> bool:
        """Whether it is an interface of the bridge's node, and no socket."""
        return self.kind is SocketKind.TAP


class UplinkPort(PortOptions, frozen=True, kw_only=True):
    """An interface that is there without the bridge, as a port of it: the way out."""

    interface: Annotated[
        InterfaceName,
        Meta(
            description="An interface of the bridge's node. Its addresses and routes move to the "
            "bridge, which gets its MAC and MTU; they come back when it is released."
        ),
    ]


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
    forward_ipv6: Annotated[
        Forward | None,
        Meta(
            description="The same of IPv6 alone, where it differs: `routed` beside `forward: nat` "
            "is for a network with a prefix of its own that others have a route to."
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
        Meta(description="Further ports: sockets and taps for programs such as QEMU."),
    ] = {}
    fdb: Annotated[
        dict[StationText, StaticEntry],
        Meta(
            description="Static entries of the FDB by MAC address; `52:54:00:12:34:56: web.eth0` "
            "is short for `52:54:00:12:34:56: {port: web.eth0}`."
        ),
    ] = {}

    def forward_of(self, version: int) -> Forward | None:
        """What becomes of packets of an IP version."""
        return self.forward_ipv6 if version == 6 and self.forward_ipv6 else self.forward
