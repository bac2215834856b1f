"""The switch process: configuration in, bridge and ports out of it, then the loop.

    python -m linkspan.engine.user.process DESCRIPTOR

DESCRIPTOR is a file with a `SwitchConfiguration` as JSON. All other descriptors that it names are
open already: the process opens no device and needs no privilege, and one that takes its place
finds every port as it was, and what the one before it knew (`restore`).
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Iterable

import msgspec

from linkspan.bridge.commit import Event
from linkspan.bridge.fdb import Fdb
from linkspan.bridge.state import Bridge
from linkspan.control.server import Server
from linkspan.engine.user.attach import bridge_port, device_of, open_port
from linkspan.engine.user.configuration import (
    SwitchConfiguration,
    cache_key,
    control_key,
    memory_key,
    upcall_key,
)
from linkspan.engine.user.dataplane import Dataplane
from linkspan.engine.user.kernel_cache import KernelCache
from linkspan.engine.user.kernel_flow import Counted, Device
from linkspan.engine.user.memory import Memory
from linkspan.engine.user.requests import Requests
from linkspan.engine.user.restore import Keeper, restore
from linkspan.engine.user.upcall import KernelPort
from linkspan.types import PortNumber, parse_mac


def build_bridge(configuration: SwitchConfiguration) -> Bridge:
    """The bridge's state as the configuration has it, with nothing learned."""
    fdb = Fdb(configuration.ageing_time, configuration.fdb_max_learned)
    bridge = Bridge(configuration.name, parse_mac(configuration.mac), fdb)
    bridge.set_group_fwd_mask(configuration.group_fwd_mask)
    bridge.set_up(configuration.up)
    for port in configuration.ports:
        bridge.add_port(bridge_port(port))
    return bridge


def add_ports(dataplane: Dataplane, configuration: SwitchConfiguration) -> None:
    """Give the loop its ports."""
    held = configuration.descriptors
    for port in configuration.ports:
        if port.ifindex is None:
            (descriptor,) = held[port.key(configuration.name)]
            dataplane.add(open_port(dataplane, port, descriptor))
        else:
            (upcall,) = held[upcall_key(configuration.name)]
            number = PortNumber(port.number)
            dataplane.add_kernel_port(KernelPort(number, port.name, port.kind, upcall))


def kernel_devices(configuration: SwitchConfiguration) -> dict[PortNumber, Device]:
    """The ports that the in-kernel cache forwards between."""
    return {
        PortNumber(port.number): device
        for port in configuration.ports
        if (device := device_of(port)) is not None
    }


def take_configuration(descriptor: int) -> SwitchConfiguration:
    """Read the configuration; what this process starts inherits none of its descriptors."""
    with open(descriptor, "rb") as file:
        configuration = msgspec.json.decode(file.read(), type=SwitchConfiguration)
    for group in configuration.descriptors.values():
        for each in group:
            os.set_inheritable(each, False)
    return configuration


def serve_cache(
    dataplane: Dataplane, configuration: SwitchConfiguration, counted: Counted
) -> KernelCache:
    """Take over the in-kernel cache; `counted` is what was counted of its flows before."""
    held, name = configuration.descriptors, configuration.name
    (upcall,) = held[upcall_key(name)]
    kernel = KernelCache(held[cache_key(name)], kernel_devices(configuration), counted)
    dataplane.add_kernel_cache(kernel, upcall)
    if any(port.shape for port in configuration.ports):
        # The process before this one may not have heard of it, and kept flows in the kernel.
        dataplane.bridge.changed()
        dataplane.publish()
    return kernel


def main(arguments: list[str]) -> None:
    """Be the switch of one bridge until SIGTERM."""
    configuration = take_configuration(int(arguments[0]))
    bridge = build_bridge(configuration)
    requests = Requests(configuration)
    dataplane = Dataplane(bridge)
    held = configuration.descriptors
    memory = Memory(held[memory_key(bridge.name)][0])
    add_ports(dataplane, configuration)
    counted = restore(memory, bridge, dataplane.ports)
    # Before the first frame is dealt with, which may wait in the upcall.
    for port in configuration.ports:
        dataplane.shape(PortNumber(port.number), port.shape)
    kernel = None
    if configuration.cache == "on":
        kernel = serve_cache(dataplane, configuration, counted)
    print(f"{bridge.name}: in-kernel cache {configuration.cache}", file=sys.stderr, flush=True)
    keeper = Keeper(memory, bridge, dataplane.ports, kernel)
    dataplane.every_tick = keeper.tick

    def report(events: Iterable[Event]) -> None:
        keeper.note_events(events)
        requests.report(events)

    dataplane.tell(report)
    (listening,) = held[control_key(bridge.name)]
    server = Server(
        dataplane.control, socket.socket(fileno=listening), requests.handle, requests.forget
    )
    requests.bind(dataplane, server, keeper)

    def stop(*_: object) -> None:
        # An exception, since the loop would wait for the rest of its second (PEP 475).
        sys.exit()

    signal.signal(signal.SIGTERM, stop)
    # Nothing in the loop makes reference cycles, and a collection in it would hold up frames.
    gc.freeze()
    gc.disable()
    dataplane.run()


if __name__ == "__main__":
    main(sys.argv[1:])
