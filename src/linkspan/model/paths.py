"""Names of files in a lab's file, which are relative to the folder that it lies in."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from linkspan.model.machine import Disk
from linkspan.model.topology import Node, Topology


def with_whole_paths(topology: Topology, folder: Path) -> Topology:
    """The topology with every name of a file made absolute; `folder` is that of the lab's file."""
    nodes = {name: _of_node(node, folder) for name, node in topology.nodes.items()}
    return replace(topology, nodes=nodes)


def _of_node(node: Node, folder: Path) -> Node:
    if not (node.kernel or node.initrd or node.disk or node.mounts):
        return node
    return replace(
        node,
        kernel=_whole(node.kernel, folder),
        initrd=_whole(node.initrd, folder),
        disk=_disk(node.disk, folder),
        mounts=tuple(
            replace(mount, source=str((folder / mount.source).absolute())) for mount in node.mounts
        ),
    )


def _disk(disk: Disk | None, folder: Path) -> Disk | None:
    return None if disk is None else replace(disk, file=str((folder / disk.file).absolute()))


def _whole(name: str | None, folder: Path) -> str | None:
    return None if name is None else str((folder / name).absolute())
