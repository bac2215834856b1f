"""The steps of which every change to a lab consists: values that say what and explain why.

An action has no opinion on how: whether an interface is a tap or a veth is the engine's business.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from linkspan.bridge.port import PortOptions


class AddNode(msgspec.Struct, frozen=True, tag=True):
    """Make a node's namespaces."""

    node: str
    kind: str

    def explain(self) -> str:
        return f"make the {self.kind} {self.node}"


class AddInterface(msgspec.Struct, frozen=True, tag=True):
    """Make an interface in a node that is a port of a bridge; number 0 is the bridge's own."""

    bridge: str
    number: int
    name: str
    node: str
    interface: str
    mac: str
    mtu: int
    options: PortOptions

    def explain(self) -> str:
        return f"make {self.interface} in {self.node}, port {self.number} of {self.bridge}"


class AddCache(msgspec.Struct, frozen=True, tag=True):
    """Let established flows of a bridge be forwarded by the kernel, where it can be had."""

    bridge: str

    def explain(self) -> str:
        return f"prepare the in-kernel cache of {self.bridge}"


class AddSocket(msgspec.Struct, frozen=True, tag=True):
    """Make a socket that is a port of a bridge."""

    bridge: str
    number: int
    name: str
    kind: str
    options: PortOptions

    def explain(self) -> str:
        return f"make the {self.kind} socket {self.name}, port {self.number} of {self.bridge}"


class StartSwitch(msgspec.Struct, frozen=True, tag=True):
    """Start the switch process of a bridge whose ports have been made."""

    bridge: str
    node: str
    mac: str
    up: bool
    ageing_time: float
    fdb_max_learned: int
    group_fwd_mask: int

    def explain(self) -> str:
        return f"start the switch of {self.bridge}"


class ConfigureInterface(msgspec.Struct, frozen=True, tag=True):
    """Address an interface and set it up or leave it down."""

    node: str
    interface: str
    addresses: tuple[str, ...]
    up: bool

    def explain(self) -> str:
        with_addresses = f" with {', '.join(self.addresses)}" if self.addresses else ""
        return f"set {self.interface} in {self.node} {'up' if self.up else 'down'}{with_addresses}"


class AddDefaultRoute(msgspec.Struct, frozen=True, tag=True):
    """Send what is for no network of the node's own through a gateway."""

    node: str
    gateway: str

    def explain(self) -> str:
        return f"route the rest from {self.node} through {self.gateway}"


Action: TypeAlias = (
    AddNode
    | AddCache
    | AddInterface
    | AddSocket
    | StartSwitch
    | ConfigureInterface
    | AddDefaultRoute
)
