"""Checks of virtual machines: what they boot, and what they cannot be told."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address

import msgspec

from linkspan.model.flaw import Flaw, brief, label
from linkspan.model.machine import CONSOLE, MachineFields
from linkspan.model.position import Path
from linkspan.model.topology import Node, NodeKind, Topology


def machines(topology: Topology) -> Iterator[Flaw]:
    """What a node says of a machine, and a machine of a boot."""
    for name, node in topology.nodes.items():
        path: Path = ("nodes", name)
        if node.kind is not NodeKind.VM:
            yield from _no_machine(path, node)
            continue
        if node.kernel is None and node.disk is None:
            yield Flaw(
                path,
                f"{label(path)}: the virtual machine has nothing to boot",
                expected="a kernel or a disk",
                next_step="write `kernel: FILE` (and `initrd: FILE`), or `disk: FILE`",
                at_key=True,
                needs=((*path, "kernel"), (*path, "disk")),
            )
        if node.kernel is None:
            yield from _without_kernel(path, node)
        for field, is_given in (("sysctls", node.sysctls), ("routes", node.routes)):
            if is_given:
                yield Flaw(
                    (*path, field),
                    f"{label(path)}: the {field} of a virtual machine are its guest's own",
                    expected=f"no {field} at a node of kind vm",
                    next_step="remove them, and set them in the guest",
                    at_key=True,
                )
        for index, gateway in enumerate(node.gateway):
            if ip_address(gateway).version == 6:
                yield Flaw(
                    (*path, "gateway", index),
                    f"{label(path)}: a machine is told its gateway by the kernel parameter ip=, "
                    "which knows IPv4 only",
                    expected="the address of an IPv4 gateway",
                    next_step="remove it; the guest can take an IPv6 gateway from router "
                    "advertisements",
                )


def machines_on_links(topology: Topology) -> Iterator[Flaw]:
    """Links end in namespaces, and a virtual machine has none."""
    ends: list[tuple[Path, str]] = [
        *(
            (("links", number, "ends", place), end.node)
            for number, link in topology.wires()
            for place, end in enumerate(link.ends)
        ),
        *((("links", number, "node"), link.node) for number, link in topology.wireguards()),
    ]
    for path, node in ends:
        if topology.is_machine(node):
            yield Flaw(
                path,
                f"{label(path[:2])}: {brief(node)} is a virtual machine, which no link ends in",
                expected="a container or a host",
                next_step=f"give {brief(node)} a port of a bridge, or make it a container",
                needs=(("links",), ("nodes", node, "kind")),
            )


@cache
def _machine_fields() -> tuple[msgspec.structs.FieldInfo, ...]:
    """Working them out takes longer than all other checks of a node."""
    return msgspec.structs.fields(MachineFields)


def _no_machine(path: Path, node: Node) -> Iterator[Flaw]:
    for field in _machine_fields():
        if getattr(node, field.name) != field.default:
            yield Flaw(
                (*path, field.encode_name),
                f"{label(path)}: only a virtual machine has {field.encode_name}",
                expected=f"a node of kind vm, not {node.kind.value}",
                next_step=f"write `kind: vm` at node {brief(str(path[-1]))}, or remove "
                f"{field.encode_name}",
                at_key=True,
                needs=((*path, "kind"),),
            )


def _without_kernel(path: Path, node: Node) -> Iterator[Flaw]:
    """What only a kernel that the file names can be given."""
    given = {
        "initrd": node.initrd is not None,
        "append": node.append != CONSOLE,
        "gateway": bool(node.gateway),
    }
    for field, is_given in given.items():
        if is_given:
            yield Flaw(
                (*path, field),
                f"{label(path)}: {field} can be told only to a kernel that the file names",
                expected="a kernel beside it",
                next_step=f"write `kernel: FILE`, or remove {field}: a guest that boots from its "
                "disk sets it itself",
                at_key=True,
                needs=((*path, "kernel"),),
            )
