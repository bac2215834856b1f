"""What nodes with namespaces do beside having interfaces: commands, mounts, forwarding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from linkspan.model.container_facts import Command, CommandKey, Mount, MountKey
from linkspan.model.network import FORWARDING_SETTINGS
from linkspan.model.setting_shapes import setting_path
from linkspan.model.state import Setting, SettingKey
from linkspan.model.topology import Topology

Fact: TypeAlias = tuple[SettingKey, Setting] | tuple[MountKey, Mount] | tuple[CommandKey, Command]


def containers(topology: Topology) -> Iterator[Fact]:
    """The facts of all nodes."""
    for name, node in topology.nodes.items():
        for setting in FORWARDING_SETTINGS if node.forward else ():
            yield SettingKey(name, setting_path(setting)), Setting(text="1")
        for mount in node.mounts:
            yield (
                MountKey(name, mount.path),
                Mount(source=mount.source, read_only=mount.read_only),
            )
        if node.command:
            env = {variable: str(text) for variable, text in node.env.items()}
            yield CommandKey(name), Command(words=tuple(map(str, node.command)), env=env)
