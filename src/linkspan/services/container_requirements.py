"""What commands and mounts need of the machine, looked at before anything is touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from linkspan.errors import Fault, Missing, Mistake
from linkspan.model.container import Mount
from linkspan.model.topology import Node, Topology
from linkspan.services.commands import SEARCHED


def require_containers(topology: Topology) -> None:
    """Raises Mistake for a mount whose source or place is not there, Missing for a command that
    is not installed.
    """
    faults = [
        fault.at("nodes", name, "mounts", number)
        for name, node in topology.nodes.items()
        for number, mount in enumerate(node.mounts)
        if (fault := _mount(f"node {name}, mount {number + 1}", mount))
    ]
    if faults:
        raise Mistake(*faults)
    for name, node in topology.nodes.items():
        if node.command:
            _command(name, node, str(node.command[0]))


def _mount(what: str, mount: Mount) -> Fault | None:
    source, path = Path(mount.source), Path(mount.path)
    if not _exists(source):
        return Fault(
            f"{what}: there is no {source}",
            expected="a folder or file of this machine; a relative name counts from the folder of "
            "the lab's file",
            next_step="make it, or correct the name",
        )
    if not _exists(path):
        return Fault(
            f"{what}: there is no {path} on this machine that the mount could lie over",
            expected="a folder or file that is there; nodes see the machine's own, and linkspan "
            "makes none in it",
            next_step=f"mount it elsewhere, such as over /mnt or /srv, or make {path}",
        )
    if source.is_dir() != path.is_dir():
        kinds = {True: "a folder", False: "a file"}
        return Fault(
            f"{what}: {source} is {kinds[source.is_dir()]}, and {path} is not",
            expected=f"{kinds[source.is_dir()]} to lie over",
            found=kinds[path.is_dir()],
            next_step="choose another path",
        )
    if os.statvfs(source).f_flag & os.ST_RDONLY and not mount.read_only:
        return Fault(
            f"{what}: {source} can only be read",
            expected="`:ro`, or a source that can be written to",
            next_step=f"write {mount.source}:{mount.path}:ro",
        )
    return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # in a folder that we may not look into
        return False


def _command(name: str, node: Node, program: str) -> None:
    folders = str(node.env.get("PATH", SEARCHED))
    if "/" in program:
        places = [program]
    else:
        places = [f"{folder}/{program}" for folder in folders.split(":")]
    if not any(_can_run(place) for every in places for place in _on_machine(every, node)):
        raise Missing(
            f"node {name}: {program} is not installed\n  expected: a program in {folders}, or its"
            f" whole path\n  next: install what brings {program}, or correct the command"
        )


def _on_machine(path: str, node: Node) -> Iterator[str]:
    """Where on the machine a path of a node leads."""
    for mount in node.mounts:
        if f"{path}/".startswith(f"{mount.path}/"):
            yield mount.source + path.removeprefix(mount.path)
            return
    yield path


def _can_run(path: str) -> bool:
    return shutil.which(str(Path(path).absolute())) is not None
