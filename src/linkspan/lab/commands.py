"""Reading the commands of a lab: whether they run, and how often they were started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linkspan.model.snapshot import CommandSnapshot, MountSnapshot
from linkspan.model.topology import Topology
from linkspan.sandbox.output import output_file
from linkspan.services.commands import command_services


def read_commands(
    folder: Path, topology: Topology, services: Mapping[str, Any]
) -> dict[str, CommandSnapshot]:
    """The commands of a running lab by node; `services` is what its init process says of them."""
    return {
        node: CommandSnapshot(
            words=[str(word) for word in topology.nodes[node].command],
            state="running" if status["pid"] else _in_words(status["ended"]),
            pid=status["pid"],
            restarts=status["starts"] - 1,
            last_end=_in_words(status["ended"]),
            output=str(output_file(folder, node)),
        )
        for node, status in command_services(services).items()
        if node in topology.nodes
    }


def mounts_of(topology: Topology, node: str) -> list[MountSnapshot]:
    """The mounts that a node was given."""
    declared = topology.nodes.get(node)
    return [
        MountSnapshot(path=each.path, source=each.source, read_only=each.read_only)
        for each in (declared.mounts if declared else ())
    ]


def _in_words(ended: str) -> str:
    return ended.replace("exit status", "exited")
