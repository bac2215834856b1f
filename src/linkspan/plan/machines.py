"""Virtual machines as facts, and what a kernel that one boots is told of its network.

The addresses of a machine's ports are for the guest to set. One that boots a kernel which the file
names is told them by the kernel's own parameter, which its initial file system may heed
(`ip=`, Documentation/admin-guide/nfs/nfsroot.rst); what any other guest does is its own affair.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from linkspan.model.state import AnyKey, AnyValue, Machine, MachineKey, State
from linkspan.model.topology import Node, NodeKind, Topology
from linkspan.plan.routing import gateways

Fact = tuple[AnyKey, AnyValue]


def machines(topology: Topology) -> Iterator[Fact]:
    """The virtual machines of a topology whose MACs have been worked out."""
    for name, node in topology.nodes.items():
        if node.kind is NodeKind.VM:
            yield (
                MachineKey(name),
                Machine(
                    memory=node.mebibytes,
                    cpus=node.cpus,
                    ports=tuple(
                        (interface, str(port.mac), topology.mtu_of(port))
                        for interface, port in node.ports.items()
                    ),
                    kernel=node.kernel,
                    initrd=node.initrd,
                    append=command_line(name, node, gateways(topology, node))
                    if node.kernel
                    else None,
                    disk=node.disk.file if node.disk else None,
                    disk_format=node.disk.stored.value if node.disk else "raw",
                    shutdown=node.shutdown,
                    snapshot=node.disk.snapshot if node.disk else False,
                ),
            )


def command_line(name: str, node: Node, ways: Sequence[str]) -> str:
    """What the kernel of a machine is told, addresses included; `ways` are its gateways."""
    words = node.append.split()
    if any(word.startswith("ip=") for word in words):
        return node.append
    hops = [ipaddress.ip_address(text) for text in ways]
    told = []
    for interface, port in node.ports.items():
        if port.asks:
            told.append(f"ip=::::{name}:{interface}:dhcp")
            continue
        for text in port.fixed:
            address = ipaddress.ip_interface(text)
            if address.version == 4:
                way = next((str(each) for each in hops if each in address.network), "")
                told.append(f"ip={address.ip}::{way}:{address.netmask}:{name}:{interface}:off")
                break
    return " ".join(filter(None, [node.append, *told]))


def left_off(desired: State, current: State) -> State:
    """The desired state, but that machines whose guests have powered themselves off stay off."""
    return {
        key: replace(value, power=False)
        if isinstance(value, Machine) and _is_off(current.get(key))
        else value
        for key, value in desired.items()
    }


def _is_off(found: AnyValue | None) -> bool:
    return isinstance(found, Machine) and not found.power
