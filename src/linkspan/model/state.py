"""A lab as a flat table of facts: what there should be and what there is, in one vocabulary.

    State = {key: value}        AddressKey("web", "eth0", "10.0.0.2/24"): Address()

A key names one thing that can be made, changed and removed by itself; its value is everything that
can be said of it. A topology becomes a state (`plan.desired`), what was read becomes a state
(`plan.current`), and a plan is the difference of the two, entry by entry. Nothing refers to an
object: a port names its bridge, an address its interface; `parents` says what has to be there.

What the kernel or a switch chooses by itself (indices, port numbers, link-local addresses) is no
fact here. Options are sparse: a dictionary holds what differs from the default.
"""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

import msgspec

from linkspan.model.fact import Key, Value
from linkspan.model.fact import Options as Options
from linkspan.model.link_facts import Veth as Veth
from linkspan.model.link_facts import VethKey as VethKey
from linkspan.model.link_facts import Vxlan as Vxlan
from linkspan.model.link_facts import VxlanKey as VxlanKey
from linkspan.model.link_facts import Wireguard as Wireguard
from linkspan.model.link_facts import WireguardKey as WireguardKey
from linkspan.model.rules import Rules, RulesKey


class NodeKey(Key, frozen=True):
    """A node: a network, a mount and a UTS namespace; or the machine itself."""

    node: str


class Node(Value, frozen=True):
    kind: str


class SettingKey(Key, frozen=True):
    """A sysctl of a node, such as `net/ipv4/ip_forward`."""

    node: str
    name: str


class Setting(Value, frozen=True):
    text: str


def ipv6_switch(interface: str) -> str:
    """The setting that keeps IPv6 off an interface when it is 1; its addresses go then, too."""
    return f"net/ipv6/conf/{interface}/disable_ipv6"


def network_broadcast(address: str, peer: str | None) -> str:
    """The broadcast address that an address with its prefix length has unless one says otherwise:
    that of its network, empty where there is none.
    """
    interface = ipaddress.ip_interface(address)
    if interface.version == 6 or interface.network.prefixlen >= 31 or peer is not None:
        return ""
    return str(interface.network.broadcast_address)


class BridgeKey(Key, frozen=True):
    """A bridge. Its own interface on its node has its name."""

    bridge: str


class Bridge(Value, frozen=True):
    node: str
    engine: str
    """user or kernel."""
    mac: str
    mtu: int
    """Bytes."""
    cache: str = "off"
    """In-kernel cache of the user engine: auto or off."""
    options: Options = {}


class PortKey(Key, frozen=True):
    """An interface that linkspan makes in a node, and the port of a bridge at its other end."""

    node: str
    interface: str


class Port(Value, frozen=True):
    bridge: str
    engine: str
    mac: str
    """Of the node's interface; a machine's is its own (`Machine.ports`)."""
    mtu: int
    kind: str = "interface"
    """What is at the node's end: an interface in its namespace; or a machine, which has none."""
    options: Options = {}


class MachineKey(Key, frozen=True):
    """A virtual machine: a process of QEMU that has the tap or socket of each of its ports."""

    node: str


class Machine(Value, frozen=True):
    memory: int
    """MiB."""
    cpus: int
    ports: tuple[tuple[str, str, int], ...]
    """Name, MAC and MTU of each, in order."""
    kernel: str | None = None
    initrd: str | None = None
    append: str | None = None
    disk: str | None = None
    disk_format: str = "raw"
    snapshot: bool = False
    shutdown: int = 10
    """Seconds that the guest gets when the power button is pressed."""
    power: bool = True
    """Whether it runs; a guest that powers itself off stays off."""


class SocketKey(Key, frozen=True):
    """A UNIX socket that is a port of a bridge."""

    bridge: str
    name: str


class Socket(Value, frozen=True):
    kind: str
    """stream or dgram."""
    mtu: int
    options: Options = {}


class UplinkKey(Key, frozen=True):
    """An interface that was there before linkspan came, as a port of a bridge."""

    node: str
    interface: str


class Uplink(Value, frozen=True):
    bridge: str
    engine: str
    options: Options = {}


class EntryKey(Key, frozen=True):
    """A configured entry of a bridge's FDB."""

    bridge: str
    mac: str
    vlan: int = 0


class Entry(Value, frozen=True):
    port: str
    """Name of the port: `web.eth0`, a socket's name, or the uplink's."""
    sticky: bool = False


class AddressKey(Key, frozen=True):
    """An address of an interface, with its prefix length."""

    node: str
    interface: str
    address: str

    @property
    def place(self) -> tuple[str, str, str]:
        """What no other address can have beside this one: the kernel has an IPv6 address once on an
        interface, whatever its prefix length (ipv6_add_addr, net/ipv6/addrconf.c).
        """
        ip, _, _ = self.address.partition("/")
        return (self.node, self.interface, ip if ":" in ip else self.address)


class Address(Value, frozen=True):
    scope: str = "global"
    peer: str | None = None
    label: str | None = None
    metric: int = 0
    """Of the connected route; 0 is the kernel's choice."""
    connected_route: bool = True
    """Whether the kernel makes a route to the prefix (without IFA_F_NOPREFIXROUTE)."""
    broadcast: str = "network"
    """The broadcast address; `network` for that of its network, empty for none."""
    checked: bool = False
    """IPv6: whether it counts as checked for duplicates (without IFA_F_NODAD)."""
    flags: tuple[str, ...] = ()
    """IPv6: home and autojoin, by the names of ip(8)."""
    valid_until: float | None = None
    """Seconds since 1970-01-01 UTC; None for ever."""
    preferred_until: float | None = None


class UpKey(Key, frozen=True):
    """The administrative state of an interface."""

    node: str
    interface: str


class Up(Value, frozen=True):
    up: bool


class RouteKey(Key, frozen=True):
    """A route, by what the kernel tells routes apart by: `0.0.0.0/0` and `::/0` are default."""

    node: str
    destination: str
    metric: int = 0
    table: int = 254


class Route(Value, frozen=True):
    interface: str | None
    gateway: str | None = None
    source: str | None = None
    onlink: bool = False
    scope: str = "global"
    protocol: str = "static"
    kind: str = "unicast"
    preference: str = "medium"
    """IPv6: low, medium or high (RFC 4191)."""
    metrics: dict[str, int] = {}
    """mtu, advmss, … (RTAX_*), by the names of ip(8)."""


class ServiceKey(Key, frozen=True):
    """A program that serves an interface of a node, and runs as long as the lab does."""

    program: str
    """dnsmasq (DHCP and DNS for a bridge) or dhcpcd (asks for an interface's addresses)."""
    node: str
    interface: str


class Service(Value, frozen=True):
    text: str
    """Its configuration."""
    awaits: tuple[str, ...] = ()
    """What the interface has when the program has done its first work: an address without prefix
    length, or `ipv4` or `ipv6` for any of that family."""


AnyKey: TypeAlias = (
    NodeKey
    | SettingKey
    | BridgeKey
    | PortKey
    | SocketKey
    | UplinkKey
    | VethKey
    | VxlanKey
    | MachineKey
    | WireguardKey
    | EntryKey
    | AddressKey
    | UpKey
    | RouteKey
    | RulesKey
    | ServiceKey
)
AnyValue: TypeAlias = (
    Node
    | Setting
    | Bridge
    | Port
    | Socket
    | Uplink
    | Veth
    | Vxlan
    | Machine
    | Wireguard
    | Entry
    | Address
    | Up
    | Route
    | Rules
    | Service
)
State: TypeAlias = dict[AnyKey, AnyValue]


def parents(key: AnyKey, state: State) -> tuple[AnyKey, ...]:
    """What a thing of a state stands on, and ends with. An uplink is not among it: what is on a
    NIC stays when the NIC is released.
    """
    match key, state[key]:
        case BridgeKey(), Bridge(node=node):
            return (NodeKey(node),)
        case PortKey(), Port(bridge=name, kind="machine"):
            return (BridgeKey(name),)
        case MachineKey(node=node), Machine(ports=ports):
            own = (PortKey(node, interface) for interface, _, _ in ports)
            return tuple(port for port in own if port in state)
        case PortKey(node=node), Port(bridge=name):
            return (NodeKey(node), BridgeKey(name))
        case UplinkKey(node=node, interface=interface), Uplink(bridge=name):
            return (*_interface(node, interface, state), BridgeKey(name))
        case SocketKey(bridge=name), _:
            return (BridgeKey(name),)
        case VxlanKey(bridge=name), Vxlan(node=node, interface=str() as interface):
            return (BridgeKey(name), *_interface(node, interface, state))
        case WireguardKey(node=node), _:
            return (NodeKey(node),)
        case VxlanKey(bridge=name), _:
            return (BridgeKey(name),)
        case VethKey(node=node), Veth(peer_node=peer):
            return (NodeKey(node), NodeKey(peer)) if peer else (NodeKey(node),)
        case EntryKey(bridge=name), Entry(port=port):
            node, _, interface = port.partition(".")
            found = (PortKey(node, interface), SocketKey(name, port), VxlanKey(name, port))
            return (BridgeKey(name), *(parent for parent in found if parent in state))
        case ((AddressKey(node=node) | UpKey(node=node) | ServiceKey(node=node)), _):
            return _interface(node, key.interface, state)
        case RouteKey(node=node), Route(interface=str() as interface):
            return _interface(node, interface, state)
        case SettingKey(node=node, name=name), _:
            configured = interface_of_setting(name)
            return _interface(node, configured, state) if configured else (NodeKey(node),)
        case ((RouteKey(node=node) | RulesKey(node=node)), _):
            return (NodeKey(node),)
        case _:
            return ()


def interface_of_setting(setting: str) -> str | None:
    """The interface that a setting such as `net/ipv6/conf/eth0/accept_ra` is about."""
    match setting.split("/"):
        case ["net", "ipv4" | "ipv6", "conf", interface, _]:
            return None if interface in ("all", "default") else interface
        case _:
            return None


def _interface(node: str, interface: str, state: State) -> tuple[AnyKey, ...]:
    """The node, and what brings an interface of it along."""
    match state.get(BridgeKey(interface)):
        case Bridge(node=place) if place == node:
            return (NodeKey(node), BridgeKey(interface))
    brought: tuple[AnyKey, ...] = (
        PortKey(node, interface),
        VethKey(node, interface),
        WireguardKey(node, interface),
    )
    return (NodeKey(node), *(key for key in brought if key in state))


def encode(state: State) -> bytes:
    """A state as JSON: a list of pairs."""
    return msgspec.json.encode(list(state.items()))


def decode(data: bytes) -> State:
    """The state that was encoded. Raises msgspec.MsgspecError."""
    return dict(msgspec.json.decode(data, type=list[tuple[AnyKey, AnyValue]]))
