"""Carrying out a plan with the user engine, inside the lab's namespaces.

The builder makes namespaces, taps, veths and sockets and hands every descriptor to the lab's init
process, which holds them from then on; when this process ends, the lab stays. Where taps can't be
opened (an ordinary user and /dev/net/tun at 0600), a port is a veth pair whose other end lies in
the lab's own namespace, which has no address and no other interface, and is read by a packet
socket.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from socket import SOCK_DGRAM, SOCK_STREAM
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from linkspan.control.lines import Client, listen
from linkspan.engine.layer3 import add_address, add_route
from linkspan.engine.netlink import (
    Netlink,
    add_veth,
    set_link,
    without_ipv6_address,
)
from linkspan.engine.user.configuration import (
    PortConfiguration,
    SwitchConfiguration,
    cache_key,
    control_key,
    memory_key,
    service_name,
    upcall_key,
)
from linkspan.engine.user.devices import (
    may_open_tap,
    open_packet_socket,
    open_tap,
    open_unix_socket,
)
from linkspan.engine.user.load import LoadedCache
from linkspan.engine.user.memory import make_memory
from linkspan.errors import Refusal
from linkspan.model.names import Mark
from linkspan.model.state import Address, Route, RouteKey
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
from linkspan.sandbox import state
from linkspan.sandbox.namespaces import (
    NODE_KINDS,
    close_all,
    inside,
    make_node,
    node_key,
)
from linkspan.sandbox.syscalls import raise_descriptor_limit
from linkspan.types import HOST_PORT

Progress = Callable[[int, int, Action], None]


class Builder:
    """Carries out actions one after the other; `close` lets go of what init holds by then."""

    def __init__(self, lab: str, folder: Path, init: Client) -> None:
        self._lab = lab
        self._folder = folder
        self._init = init
        self._networks: dict[str, int] = {}
        self._ports: dict[str, list[PortConfiguration]] = {}
        self._caches: dict[str, LoadedCache] = {}
        self._cache_states: dict[str, str] = {}
        self._bridges: dict[str, int] = {}
        self._has_taps = may_open_tap()
        raise_descriptor_limit()

    def run(self, actions: Sequence[Action], progress: Progress | None = None) -> None:
        """Carry out a plan. `progress` is told before each action how many are done, how many
        there are, and the action. Raises Refusal naming the action that failed.
        """
        try:
            for number, action in enumerate(actions):
                if progress is not None:
                    progress(number, len(actions), action)
                self._carry_out(action)
        finally:
            close_all(list(self._networks.values()))
            for loaded in self._caches.values():
                loaded.close()

    def _carry_out(self, action: Action) -> None:
        try:
            self.ACTIONS[type(action)](self, action)
        except OSError as error:
            raise Refusal(f"cannot {action.explain()}: {error}") from None
        except Refusal as error:
            raise Refusal(f"cannot {action.explain()}: {error}") from None

    def _add_node(self, action: AddNode) -> None:
        descriptors = make_node(action.node, self._folder / "etc")
        self._init.call("hold", descriptors, name=node_key(action.node))
        network = descriptors.pop(NODE_KINDS.index("net"))
        close_all(descriptors)
        self._networks[action.node] = network
        with inside(network), Netlink() as netlink:
            netlink.run([set_link("lo", up=True)])

    def _add_cache(self, action: AddCache) -> None:
        """The cache is a gain, not a need: without it the engine works as well, and says why."""
        try:
            loaded = LoadedCache(f"upcall{len(self._caches)}")
        except (OSError, Refusal) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            self._cache_states[action.bridge] = f"off: {why}"
            return
        self._caches[action.bridge] = loaded
        self._cache_states[action.bridge] = "on"
        self._init.call("hold", loaded.maps, name=cache_key(action.bridge))
        self._init.call("hold", [loaded.upcall], name=upcall_key(action.bridge))

    def _add_interface(self, action: AddInterface) -> None:
        loaded = self._caches.get(action.bridge)
        port = PortConfiguration(
            number=action.number,
            name=action.name,
            kind="tap" if self._has_taps and loaded is None else "veth",
            mac=action.mac if action.number == HOST_PORT else None,
            node=action.node,
            interface=action.interface,
            options=action.options,
        )
        if loaded is not None:
            index = loaded.add_veth(action.number, self._veth(action))
            self._ports.setdefault(action.bridge, []).append(
                replace(port, ifindex=index, to_peer=True)
            )
        elif self._has_taps:
            self._hold_port(action.bridge, port, self._tap(action))
        else:
            self._hold_port(action.bridge, port, open_packet_socket(self._veth(action)))

    def _tap(self, action: AddInterface) -> int:
        with inside(self._networks[action.node]), Netlink() as netlink:
            descriptor = open_tap(action.interface)
            netlink.run([self._set(action)])
        return descriptor

    def _veth(self, action: AddInterface) -> str:
        """Make a veth pair into the node; returns the name of its end in the lab's namespace."""
        order = self._bridges.setdefault(action.bridge, len(self._bridges))
        near = f"switch{order}.{action.number}"
        with Netlink() as netlink:
            netlink.run(
                [
                    add_veth(near, action.interface, self._networks[action.node], action.mac),
                    without_ipv6_address(near),
                    set_link(
                        near, up=True, mtu=action.mtu, alias=str(Mark(self._lab, action.name))
                    ),
                ]
            )
        with inside(self._networks[action.node]), Netlink() as netlink:
            netlink.run([self._set(action)])
        return near

    def _set(self, action: AddInterface) -> Any:
        alias = str(Mark(self._lab, action.name))
        return set_link(action.interface, mac=action.mac, mtu=action.mtu, alias=alias)

    def _add_socket(self, action: AddSocket) -> None:
        kind = SOCK_STREAM if action.kind == "stream" else SOCK_DGRAM
        # No interface name holds a colon, so no other socket of the lab has this name.
        path = self._folder / f"{action.bridge}:{action.name}.sock"
        self._hold_port(
            action.bridge,
            PortConfiguration(
                number=action.number,
                name=action.name,
                kind=action.kind,
                mac=None,
                node=None,
                interface=None,
                options=action.options,
            ),
            open_unix_socket(path, kind),
        )

    def _hold_port(self, bridge: str, port: PortConfiguration, descriptor: int) -> None:
        self._ports.setdefault(bridge, []).append(port)
        self._init.call("hold", [descriptor], name=port.key(bridge))
        os.close(descriptor)

    def _start_switch(self, action: StartSwitch) -> None:
        ports = self._ports[action.bridge]
        if (loaded := self._caches.get(action.bridge)) is not None:
            loaded.make_room(len(ports))
        listening = listen(state.bridge_socket(self._folder, action.bridge))
        self._init.call("hold", [listening.fileno()], name=control_key(action.bridge))
        listening.close()
        memory = make_memory()
        self._init.call("hold", [memory], name=memory_key(action.bridge))
        os.close(memory)
        configuration = SwitchConfiguration(
            name=action.bridge,
            node=action.node,
            mac=action.mac,
            up=action.up,
            ageing_time=action.ageing_time,
            fdb_max_learned=action.fdb_max_learned,
            group_fwd_mask=action.group_fwd_mask,
            cache=self._cache_states.get(action.bridge, "off: the file says so"),
            ports=ports,
        )
        keys = (control_key, memory_key, cache_key, upcall_key)
        self._init.call(
            "run",
            name=service_name(action.bridge),
            arguments=[sys.executable, "-P", "-m", "linkspan.engine.user.process"],
            give=[
                *(key(action.bridge) for key in keys),
                *(port.key(action.bridge) for port in ports),
            ],
            configuration=msgspec.to_builtins(configuration),
        )

    def _configure_interface(self, action: ConfigureInterface) -> None:
        with inside(self._networks[action.node]), Netlink() as netlink:
            index = netlink.index(action.interface)
            addresses = [add_address(index, address, Address()) for address in action.addresses]
            netlink.run([*addresses, set_link(action.interface, up=action.up)])

    def _add_default_route(self, action: AddDefaultRoute) -> None:
        with inside(self._networks[action.node]), Netlink() as netlink:
            destination = "0.0.0.0/0" if ip_address(action.gateway).version == 4 else "::/0"
            route = Route(interface=None, gateway=action.gateway)
            netlink.run([add_route(RouteKey(action.node, destination), route, None)])

    ACTIONS: Final[dict[type, Callable[..., None]]] = {
        AddNode: _add_node,
        AddCache: _add_cache,
        AddInterface: _add_interface,
        AddSocket: _add_socket,
        StartSwitch: _start_switch,
        ConfigureInterface: _configure_interface,
        AddDefaultRoute: _add_default_route,
    }
