"""Checks of commands, environments and mounts: who may have them, and what excludes what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from linkspan.model.container import OWN_FIELDS
from linkspan.model.flaw import Flaw, brief, label
from linkspan.model.network import FORWARDING_SETTINGS
from linkspan.model.position import Path
from linkspan.model.topology import HOST, Node, NodeKind, Scope, Topology

_OF_A_NAMESPACE: Final = ("command", "env", "mounts")
"""What the machine itself can't be given."""


def containers(topology: Topology) -> Iterator[Flaw]:
    """What needs a namespace is at a node that has one; no mount covers another one."""
    for name, node in topology.nodes.items():
        path: Path = ("nodes", name)
        if node.kind is NodeKind.VM:
            yield from _given(path, node, OWN_FIELDS, "a virtual machine has its own inside")
        elif name == HOST and topology.scope is Scope.HOST:
            why = "it is the machine itself, which this is not done to"
            yield from _given(path, node, _OF_A_NAMESPACE, why)
        yield from _apart(path, node)
        if node.forward:
            yield from _contradictions(path, node)


def _given(path: Path, node: Node, fields: tuple[str, ...], why: str) -> Iterator[Flaw]:
    for field in fields:
        if getattr(node, field):
            yield Flaw(
                (*path, field),
                f"{label(path)} can have no {field}: {why}",
                expected=f"{field} at a container",
                next_step=f"remove {field}",
                at_key=True,
                needs=((*path, "kind"),),
            )


def _apart(path: Path, node: Node) -> Iterator[Flaw]:
    places: dict[str, int] = {}
    for number, mount in enumerate(node.mounts):
        for other, place in places.items():
            if f"{mount.path}/".startswith(f"{other}/") or other.startswith(f"{mount.path}/"):
                yield Flaw(
                    (*path, "mounts", number),
                    f"{label(path)}: one mount covers what another one brings",
                    expected="mounts that do not lie on each other",
                    found=f"{brief(mount.path)}, and {brief(other)} at {{also}}",
                    next_step="choose another path, or put the one folder into the other",
                    also=(*path, "mounts", place),
                )
                break
        places.setdefault(mount.path, number)


def _contradictions(path: Path, node: Node) -> Iterator[Flaw]:
    for setting in FORWARDING_SETTINGS:
        if str(node.sysctls.get(setting, 1)) != "1":
            yield Flaw(
                (*path, "sysctls", setting),
                f"{label(path)}: {setting} is switched off, and forward is on",
                expected="1, or no forward",
                next_step="remove one of the two",
                needs=((*path, "forward"),),
            )
