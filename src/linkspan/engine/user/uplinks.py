"""Interfaces that stay where they are, as ports: a NIC, or a tap that the file declares
(`standing`), seen by the switch alone.

The NIC stays where it is. What comes in is taken at its ingress, so that the kernel's own stack
sees none of it and does not answer as well; it is promiscuous as long as init holds a socket.

    with the cache, the NIC beside the switch's ends (scope host): the cache's program on the NIC
    with the cache, the NIC in a node's own namespace              a relay: a veth pair whose far
                        end stands beside the NIC, and a program on each of the two that sends
                        frames out by the other; the kernel redirects within one namespace only
    without the cache                                              a packet socket, and a program
                        that drops every frame behind it (net/core/dev.c: sockets come first)

A relay costs a frame one more veth, and a bridge gets an uplink without any of its other ports
being touched. A program is put on the NIC when the switch has the port, and taken off before the
switch loses it: at no time are frames taken that nobody forwards.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from linkspan.bridge.port import PortOptions
from linkspan.engine.kernel.links import Link, look
from linkspan.engine.kernel.new_ports import keep_from_addresses
from linkspan.engine.libbpf import load_redirect
from linkspan.engine.netlink import Netlink, add_veth, set_link
from linkspan.engine.site import Site
from linkspan.engine.traffic_control import (
    add_clsact,
    delete_clsact,
    delete_program,
    put_drop,
    put_program,
)
from linkspan.engine.user.configuration import PortConfiguration
from linkspan.engine.user.devices import open_packet_socket, open_promiscuity
from linkspan.engine.user.interfaces import OF_SWITCH, Interfaces, delete_all, near_name
from linkspan.engine.user.switch import Switch
from linkspan.errors import Refusal
from linkspan.model.names import hashed_mac
from linkspan.model.texts import LARGEST_MTU
from linkspan.sandbox.namespaces import inside
from linkspan.types import format_mac

RELAY = "relay."


@dataclass(frozen=True, slots=True)
class Taken:
    """An uplink as a port. `engage` takes the NIC's frames, when the switch has the port."""

    port: PortConfiguration
    descriptor: int | None
    engage: Callable[[], None]


class Uplinks:
    """Takes and releases NICs within one lab."""

    def __init__(self, site: Site, interfaces: Interfaces) -> None:
        self._site = site
        self._interfaces = interfaces

    def take(
        self, switch: Switch, node: str, interface: str, options: Callable[[int], PortOptions]
    ) -> Taken:
        """Prepare a NIC as a port; nothing of its traffic changes yet. `options` are those of the
        port by the NIC's MTU. Raises Refusal or OSError.
        """
        netlink = self._site.netlink(node)
        nic = look(netlink, interface)
        if nic is None:
            raise Refusal(f"there is no interface {interface} on {node}")
        if nic.master is not None:
            raise Refusal(f"{interface} is a port or a member of another interface")
        port = PortConfiguration(
            number=switch.free_number(),
            name=interface,
            kind="packet",
            mac=nic.mac,
            node=node,
            interface=interface,
            options=options(nic.mtu),
            uplink=True,
            made_qdisc=_made_qdisc(netlink, nic.index),
        )
        if switch.devices is None:
            return self._with_socket(port, netlink, nic)
        self._keep_promiscuous(switch, port, node)
        if self._interfaces.is_elsewhere(node):
            return self._with_relay(switch, port, netlink, nic)
        return self._with_program(switch, port, netlink, nic)

    def _with_socket(self, port: PortConfiguration, netlink: Netlink, nic: Link) -> Taken:
        with inside(self._site.network(port.node or "")):
            descriptor = open_packet_socket(nic.name)
        drop = put_drop(nic.index, self._program_name(nic))
        return Taken(port, descriptor, lambda: netlink.run([drop]))

    def _with_program(
        self, switch: Switch, port: PortConfiguration, netlink: Netlink, nic: Link
    ) -> Taken:
        assert switch.devices is not None
        switch.devices.enter(port.number, nic.index, to_peer=False)
        program = put_program(nic.index, switch.devices.program, self._program_name(nic))
        return Taken(_behind_cache(port, nic.index, False), None, lambda: netlink.run([program]))

    def _with_relay(
        self, switch: Switch, port: PortConfiguration, netlink: Netlink, nic: Link
    ) -> Taken:
        assert switch.devices is not None
        assert port.node is not None
        own, near, far = self._site.own, self.near(port), self._far(port)
        delete_all(own, [near])
        mark = self._interfaces.mark(f"{OF_SWITCH}{RELAY}{port.node}.{nic.name}")
        own.run(
            [
                add_veth(
                    near,
                    far,
                    self._site.network(port.node),
                    format_mac(hashed_mac(self._site.lab, far)),
                )
            ]
        )
        for socket, name in ((own, near), (netlink, far)):
            keep_from_addresses(socket, [name])
            socket.run([set_link(name, mtu=LARGEST_MTU, alias=mark)])
        index = switch.devices.add_device(port.number, near)
        back = netlink.index(far)
        netlink.run([add_clsact(back)])
        _redirect(netlink, back, nic.index, mark)
        own.run([set_link(near, up=True)])
        netlink.run([set_link(far, up=True)])
        name = self._program_name(nic)
        return Taken(
            _behind_cache(port, index, True),
            None,
            lambda: _redirect(netlink, nic.index, back, name),
        )

    def _keep_promiscuous(self, switch: Switch, port: PortConfiguration, node: str) -> None:
        with inside(self._site.network(node)):
            promiscuity = open_promiscuity(port.name)
        try:
            self._site.init.call("hold", [promiscuity], name=port.nic_key(switch.name))
        finally:
            os.close(promiscuity)

    def release(self, switch: Switch, port: PortConfiguration) -> None:
        """Give a NIC's frames back to the kernel's stack, as if we had never been there. What the
        switch has of it is removed when it is told."""
        assert port.node is not None
        assert port.interface is not None
        with contextlib.suppress(Refusal):  # the node, or the NIC, has gone
            netlink = self._site.netlink(port.node)
            index = netlink.index(port.interface)
            with contextlib.suppress(Refusal):
                netlink.run([delete_program(index)])
            if port.made_qdisc:
                netlink.run([delete_clsact(index)])
        self._site.init.call("drop", names=[port.nic_key(switch.name)])

    def near(self, port: PortConfiguration) -> str:
        """The name of the switch's end of a relay, which may not be there."""
        return near_name(self._site.lab, RELAY, port.node or "", port.name)

    def _far(self, port: PortConfiguration) -> str:
        return near_name(self._site.lab, RELAY, port.node or "", port.name, "far")

    def _program_name(self, nic: Link) -> str:
        return self._interfaces.mark(nic.name)


def _behind_cache(port: PortConfiguration, index: int, to_peer: bool) -> PortConfiguration:
    return replace(port, ifindex=index, to_peer=to_peer)


def _redirect(netlink: Netlink, index: int, target: int, name: str) -> None:
    """Send what comes in by one interface of a namespace out by another."""
    program = load_redirect(target)
    try:
        netlink.run([put_program(index, program, name)])
    finally:
        os.close(program)


def _made_qdisc(netlink: Netlink, index: int) -> bool:
    """Give a NIC the qdisc for programs, if it has none; returns whether it had none."""
    try:
        netlink.run([add_clsact(index)])
    except Refusal:
        return False
    return True
