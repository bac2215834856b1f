"""What virtual machines need of this one, looked at before anything is touched."""

from __future__ import annotations

import os
import re
from pathlib import Path

from linkspan.errors import Fault, Mistake
from linkspan.model.topology import Node, NodeKind, Topology
from linkspan.services.qemu import find_program

_TOTAL = re.compile(r"MemTotal:\s+(\d+) kB")


def require_machines(topology: Topology) -> None:
    """Raises Mistake when a file of a virtual machine can't be read, or this machine has not the
    memory for all of them; Missing when there is no QEMU.
    """
    machines = {name: node for name, node in topology.nodes.items() if node.kind is NodeKind.VM}
    if not machines:
        return
    faults = [fault for name, node in machines.items() for fault in _files(name, node)]
    faults += _memory(machines, total_memory())
    if faults:
        raise Mistake(*faults)
    find_program()


def _files(name: str, node: Node) -> list[Fault]:
    disk = node.disk
    writes = disk is not None and not disk.snapshot
    wanted = [
        ("kernel", node.kernel, os.R_OK),
        ("initrd", node.initrd, os.R_OK),
        ("disk", disk.file if disk else None, os.R_OK | (os.W_OK if writes else 0)),
    ]
    return [
        fault.at("nodes", name, field)
        for field, file, access in wanted
        if file is not None and (fault := _file(f"node {name}, {field}", Path(file), access))
    ]


def _file(what: str, file: Path, access: int) -> Fault | None:
    if not file.exists():
        return Fault(
            f"{what}: there is no file {file}",
            expected="an image; a relative name counts from the folder of the lab's file",
            next_step="make or fetch it, or correct the name",
        )
    if not (file.is_file() or file.is_block_device()):
        return Fault(
            f"{what}: {file} is no file", expected="an image", next_step="correct the name"
        )
    if not os.access(file, access):
        wish = "read and written" if access & os.W_OK else "read"
        return Fault(
            f"{what}: {file} can't be {wish} by you",
            next_step="change its mode"
            + (", or write `snapshot: true` to leave it as it is" if access & os.W_OK else ""),
        )
    return None


def _memory(machines: dict[str, Node], total: int) -> list[Fault]:
    """`total` in MiB."""
    wanted = sum(node.mebibytes for node in machines.values())
    if wanted <= total:
        return []
    largest = max(machines, key=lambda name: machines[name].mebibytes)
    return [
        Fault(
            f"the virtual machines of this lab are to have {wanted} MiB of memory",
            expected=f"at most {total} MiB, which this machine has",
            found=f"{machines[largest].memory} for {largest}, the largest of {len(machines)}",
            next_step="lower memory",
            path=("nodes", largest, "memory"),
        )
    ]


def total_memory() -> int:
    """The memory of this machine in MiB (proc(5), meminfo)."""
    found = _TOTAL.search(Path("/proc/meminfo").read_text())
    assert found is not None
    return int(found[1]) // 1024
