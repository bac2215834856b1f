"""Carrying out a plan that makes a whole lab, inside the lab's namespaces.

The actions say what the changes of a new lab say (`plan.change`), and are carried out by the stack
and the user engine. When this process ends, the lab stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import msgspec

from linkspan.control.lines import Client
from linkspan.engine.netlink import set_link
from linkspan.engine.site import Site
from linkspan.engine.stack import Stack
from linkspan.engine.user.engine import UserEngine
from linkspan.engine.user.options import sparse_bridge_options, sparse_port_options
from linkspan.errors import Refusal
from linkspan.model import state
from linkspan.model.topology import Scope
from linkspan.plan.actions import (
    Action,
    AddCache,
    AddDefaultRoute,
    AddInterface,
    AddNode,
    AddSocket,
    ConfigureInterface,
    StartSwitch,
)
from linkspan.plan.change import Change
from linkspan.types import HOST_PORT

Progress = Callable[[int, int, Action], None]


class Builder:
    """Carries out actions one after the other."""

    def __init__(self, lab: str, folder: Path, init: Client) -> None:
        self._site = Site(lab, folder, init, Scope.SANDBOX)
        self._stack = Stack(self._site)
        self._engine = UserEngine(self._site)
        self._cached: set[str] = set()
        self._switches: dict[str, StartSwitch] = {}

    def run(self, actions: Sequence[Action], progress: Progress | None = None) -> None:
        """Carry out a plan. `progress` is told before each action how many are done, how many
        there are, and the action. Raises Refusal naming the action that failed.
        """
        for action in actions:
            if isinstance(action, StartSwitch):
                self._switches[action.bridge] = action
        try:
            for number, action in enumerate(actions):
                if progress is not None:
                    progress(number, len(actions), action)
                self._carry_out(action)
            self._engine.settle()
        finally:
            self._engine.close()
            self._site.close()

    def _carry_out(self, action: Action) -> None:
        try:
            self.ACTIONS[type(action)](self, action)
        except (OSError, Refusal) as error:
            raise Refusal(f"cannot {action.explain()}: {error}") from None

    def _add_node(self, action: AddNode) -> None:
        key = state.NodeKey(action.node)
        self._stack.carry_out(Change(key=key, after=state.Node(kind="container")))

    def _add_cache(self, action: AddCache) -> None:
        self._cached.add(action.bridge)

    def _add_interface(self, action: AddInterface) -> None:
        key: state.AnyKey
        value: state.AnyValue
        if action.number == HOST_PORT:
            key, value = state.BridgeKey(action.bridge), self._bridge(action)
        else:
            key = state.PortKey(action.node, action.interface)
            value = state.Port(
                bridge=action.bridge,
                engine="user",
                mac=action.mac,
                mtu=action.mtu,
                options=sparse_port_options(msgspec.structs.asdict(action.options)),
            )
        self._engine.carry_out(Change(key=key, after=value))

    def _bridge(self, action: AddInterface) -> state.Bridge:
        wanted = self._switches[action.bridge]
        return state.Bridge(
            node=action.node,
            engine="user",
            mac=action.mac,
            mtu=action.mtu,
            cache="auto" if action.bridge in self._cached else "off",
            options=sparse_bridge_options(msgspec.structs.asdict(wanted), {}),
        )

    def _add_socket(self, action: AddSocket) -> None:
        value = state.Socket(
            kind=action.kind,
            mtu=action.options.mtu,
            options=sparse_port_options(msgspec.structs.asdict(action.options)),
        )
        self._engine.carry_out(Change(key=state.SocketKey(action.bridge, action.name), after=value))

    def _start_switch(self, action: StartSwitch) -> None:
        up = state.UpKey(action.node, action.bridge)
        self._engine.carry_out(Change(key=up, after=state.Up(up=action.up)))

    def _configure_interface(self, action: ConfigureInterface) -> None:
        for address in action.addresses:
            key = state.AddressKey(action.node, action.interface, address)
            self._stack.carry_out(Change(key=key, after=state.Address()))
        self._site.netlink(action.node).run([set_link(action.interface, up=action.up)])

    def _add_default_route(self, action: AddDefaultRoute) -> None:
        destination = "0.0.0.0/0" if ip_address(action.gateway).version == 4 else "::/0"
        route = state.Route(interface=None, gateway=action.gateway)
        key = state.RouteKey(action.node, destination)
        self._stack.carry_out(Change(key=key, after=route))

    ACTIONS: Final[dict[type, Callable[..., Any]]] = {
        AddNode: _add_node,
        AddCache: _add_cache,
        AddInterface: _add_interface,
        AddSocket: _add_socket,
        StartSwitch: _start_switch,
        ConfigureInterface: _configure_interface,
        AddDefaultRoute: _add_default_route,
    }
