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

from typing import TypeAlias

import msgspec

from linkspan.model.bridge_facts import Bridge as Bridge
from linkspan.model.bridge_facts import BridgeKey as BridgeKey
from linkspan.model.bridge_facts import Entry as Entry
from linkspan.model.bridge_facts import EntryKey as EntryKey
from linkspan.model.bridge_facts import Port as Port
from linkspan.model.bridge_facts import PortKey as PortKey
from linkspan.model.bridge_facts import Socket as Socket
from linkspan.model.bridge_facts import SocketKey as SocketKey
from linkspan.model.bridge_facts import Tap as Tap
from linkspan.model.bridge_facts import TapKey as TapKey
from linkspan.model.bridge_facts import Uplink as Uplink
from linkspan.model.bridge_facts import UplinkKey as UplinkKey
from linkspan.model.container_facts import Command as Command
from linkspan.model.container_facts import CommandKey as CommandKey
from linkspan.model.container_facts import Mount as Mount
from linkspan.model.container_facts import MountKey as MountKey
from linkspan.model.fact import Key, Value
from linkspan.model.fact import Options as Options
from linkspan.model.guest_facts import Guest as Guest
from linkspan.model.guest_facts import GuestKey as GuestKey
from linkspan.model.link_facts import Veth as Veth
from linkspan.model.link_facts import VethKey as VethKey
from linkspan.model.link_facts import Vxlan as Vxlan
from linkspan.model.link_facts import VxlanKey as VxlanKey
from linkspan.model.link_facts import Wireguard as Wireguard
from linkspan.model.link_facts import WireguardKey as WireguardKey
from linkspan.model.network_facts import Address as Address
from linkspan.model.network_facts import AddressKey as AddressKey
from linkspan.model.network_facts import Route as Route
from linkspan.model.network_facts import RouteKey as RouteKey
from linkspan.model.network_facts import Setting as Setting
from linkspan.model.network_facts import SettingKey as SettingKey
from linkspan.model.network_facts import Up as Up
from linkspan.model.network_facts import UpKey as UpKey
from linkspan.model.network_facts import interface_of_setting as interface_of_setting
from linkspan.model.network_facts import ipv6_switch as ipv6_switch
from linkspan.model.network_facts import network_broadcast as network_broadcast
from linkspan.model.program_facts import Machine as Machine
from linkspan.model.program_facts import MachineKey as MachineKey
from linkspan.model.program_facts import Service as Service
from linkspan.model.program_facts import ServiceKey as ServiceKey
from linkspan.model.rules import Pass, PassKey, Rules, RulesKey
from linkspan.model.shaping import Shaping as Shaping
from linkspan.model.shaping import ShapingKey as ShapingKey


class NodeKey(Key, frozen=True):
    """A node: a network, a mount and a UTS namespace; or the machine itself."""

    node: str


class Node(Value, frozen=True):
    kind: str


AnyKey: TypeAlias = (
    NodeKey
    | SettingKey
    | BridgeKey
    | PortKey
    | SocketKey
    | TapKey
    | UplinkKey
    | GuestKey
    | VethKey
    | VxlanKey
    | MachineKey
    | WireguardKey
    | EntryKey
    | AddressKey
    | UpKey
    | RouteKey
    | RulesKey
    | PassKey
    | ServiceKey
    | MountKey
    | CommandKey
    | ShapingKey
)
AnyValue: TypeAlias = (
    Node
    | Setting
    | Bridge
    | Port
    | Socket
    | Tap
    | Uplink
    | Guest
    | Veth
    | Vxlan
    | Machine
    | Wireguard
    | Entry
    | Address
    | Up
    | Route
    | Rules
    | Pass
    | Service
    | Mount
    | Command
    | Shaping
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
        case GuestKey(node=node), Guest(bridge=name):
            return (NodeKey(node), BridgeKey(name))
        case ((SocketKey(bridge=name) | TapKey(bridge=name)), _):
            return (BridgeKey(name),)
        case ShapingKey(node=node, interface=interface), _:
            return tuple(one for one in (PortKey(node, interface),) if one in state)
        case VxlanKey(bridge=name), Vxlan(node=node, interface=str() as interface):
            return (BridgeKey(name), *_interface(node, interface, state))
        case ((WireguardKey(node=node) | CommandKey(node=node) | MountKey(node=node)), _):
            return (NodeKey(node),)
        case VxlanKey(bridge=name), _:
            return (BridgeKey(name),)
        case VethKey(node=node), Veth(peer_node=peer):
            return (NodeKey(node), NodeKey(peer)) if peer else (NodeKey(node),)
        case EntryKey(bridge=name), Entry(port=port):
            node, _, interface = port.partition(".")
            of_bridge = (SocketKey(name, port), VxlanKey(name, port), TapKey(name, port))
            found = (PortKey(node, interface), *of_bridge)
            return (BridgeKey(name), *(parent for parent in found if parent in state))
        case ((AddressKey(node=node) | UpKey(node=node) | ServiceKey(node=node)), _):
            return _interface(node, key.interface, state)
        case RouteKey(node=node), Route(interface=str() as interface):
            return _interface(node, interface, state)
        case SettingKey(node=node, name=name), _:
            configured = interface_of_setting(name)
            return _interface(node, configured, state) if configured else (NodeKey(node),)
        case ((RouteKey(node=node) | RulesKey(node=node) | PassKey(node=node)), _):
            return (NodeKey(node),)
        case _:
            return ()


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
