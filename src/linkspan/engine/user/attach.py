"""Ports of a switch process, from what configures them: at its start, and while it runs."""

from __future__ import annotations

import os

from linkspan.bridge.port import Port as BridgePort
from linkspan.engine.user.configuration import PortConfiguration
from linkspan.engine.user.dataplane import Dataplane
from linkspan.engine.user.kernel_flow import Device
from linkspan.engine.user.ports import DatagramPort, PacketPort, Port, StreamPort, TapPort
from linkspan.engine.user.upcall import KernelPort
from linkspan.engine.user.vxlan import VxlanPort
from linkspan.errors import Fault, Mistake
from linkspan.types import NO_MAC, PortNumber, parse_mac


def bridge_port(port: PortConfiguration) -> BridgePort:
    """The port as the bridge sees it."""
    mac = parse_mac(port.mac) if port.mac else NO_MAC
    return BridgePort(PortNumber(port.number), port.name, mac, port.options)


def device_of(port: PortConfiguration) -> Device | None:
    """The kernel device that is the port, if its frames come by the upcall."""
    return None if port.ifindex is None else Device(port.ifindex, port.to_peer)


def open_port(dataplane: Dataplane, port: PortConfiguration, descriptor: int) -> Port:
    """The port of the loop that belongs to a configured port."""
    arguments = (PortNumber(port.number), port.name, port.kind, descriptor)
    if port.vxlan is not None:
        ports = dataplane.bridge.ports
        return VxlanPort(
            *arguments[:2],
            descriptor,
            port.vxlan,
            lambda: ports[PortNumber(port.number)].options.mtu,
        )
    match port.kind:
        case "tap":
            return TapPort(*arguments)
        case "stream":
            return StreamPort(*arguments, dataplane.watch_peer, dataplane.forget)
        case "dgram":
            return DatagramPort(*arguments)
        case _:
            return PacketPort(*arguments)


def attach(dataplane: Dataplane, port: PortConfiguration, descriptors: list[int]) -> None:
    """Make a port of a running switch. Its descriptor passes to the switch; a port behind the
    in-kernel cache has none. Raises Mistake, and has changed nothing then.
    """
    bridge, side, device = dataplane.bridge, dataplane.kernel_side, device_of(port)
    if len(descriptors) != (0 if device else 1) or (device is not None and side is None):
        raise Mistake(
            Fault(
                f"bridge {bridge.name}: port {port.name} can't be attached",
                expected="one descriptor, or a device of the in-kernel cache that is on",
                found=f"{len(descriptors)} descriptors, cache {'off' if side is None else 'on'}",
            )
        )
    bridge.add_port(bridge_port(port))
    if device is not None and side is not None:
        number = PortNumber(port.number)
        dataplane.add_kernel_port(KernelPort(number, port.name, port.kind, side.upcall))
        side.add(number, device)
        return
    (descriptor,) = descriptors
    os.set_inheritable(descriptor, False)
    dataplane.add(open_port(dataplane, port, descriptor))
    descriptors.clear()
