"""Which lab is meant: one named, one whose file is given, or the only one there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from linkspan.errors import Fault, Mistake
from linkspan.model.flaw import names_of, resembling
from linkspan.model.topology import HOST, Topology
from linkspan.sandbox import state


@dataclass(frozen=True, slots=True)
class Place:
    """A lab's name and its folder."""

    name: str

    @property
    def folder(self) -> Path:
        return state.folder(self.name)

    @property
    def is_alive(self) -> bool:
        return state.is_alive(self.folder)

    def topology(self) -> Topology | None:
        """The topology that was applied; None for a lab that is not complete."""
        try:
            data = (self.folder / state.TOPOLOGY).read_bytes()
            return msgspec.json.decode(data, type=Topology)
        except (OSError, msgspec.MsgspecError):
            return None


def places() -> list[Place]:
    """All labs of this user, alive or left by a crash."""
    return [Place(name) for name in state.labs()]


def find_lab(name: str | None, part: str = "") -> Place:
    """The lab of that name, or the only one when no name is given. `part` is what is looked for in
    it, and written behind its name and a slash.

    Raises Mistake when there is none, or when it is not clear which.
    """
    known = [place.name for place in places()]
    if name is not None:
        if name in known:
            return Place(name)
        raise Mistake(
            Fault(
                f"there is no lab named {name!r}",
                found=_names(known) if known else "no lab at all",
                next_step=_instead(name, known),
            )
        )
    if len(known) == 1:
        return Place(known[0])
    if not known:
        raise Mistake(Fault("there is no lab", next_step=_of_others(None) or _MAKE))
    raise Mistake(
        Fault(
            "it is not clear which lab is meant",
            expected=f"LAB/{part}" if part else "its name",
            found=f"{len(known)} labs: {', '.join(known)}",
            next_step=f"write for instance {known[0]}/{part}"
            if part
            else f"name one of them, such as {known[0]}",
        )
    )


_MAKE: Final = "linkspan up FILE makes one"


def _names(known: Sequence[str]) -> str:
    return f"the lab {known[0]}" if len(known) == 1 else f"the labs {', '.join(known)}"


def _instead(name: str, known: Sequence[str]) -> str:
    """What somebody is to do who named a lab that is not there."""
    lab, slash, _ = name.partition("/")
    if slash and lab in known:
        return f"name the lab alone: {lab}"
    if name.endswith((".yaml", ".yml")):
        return "write the lab's name, which the file has under `name`"
    near = resembling(name, known)
    return (f"write {near}" if near else "") or _of_others(name) or _MAKE


def _of_others(name: str | None) -> str:
    """Which user has such a lab, where that is another one."""
    for lab, owner in state.labs_of_others():
        if name in (lab, None):
            how = "sudo linkspan" if owner == "root" else f"sudo -u {owner} linkspan"
            return f"{owner} has a lab named {lab}: {how} …"
    return ""


def find_running(name: str | None, part: str = "") -> Place:
    """As `find_lab`, and the lab must be alive. Raises Mistake."""
    place = find_lab(name, part)
    if not place.is_alive:
        raise Mistake(
            Fault(
                f"the lab {place.name} is not running",
                found="what a crash or a reboot left of it",
                next_step=f"linkspan down {place.name} removes that, linkspan up starts anew",
            )
        )
    return place


def find_node(text: str) -> tuple[Place, str]:
    """The lab and the node that `NODE` or `LAB/NODE` means. Raises Mistake."""
    lab, _, node = text.rpartition("/")
    place = find_running(lab or None, node)
    topology = place.topology()
    nodes = [HOST, *(name for name in topology.nodes if name != HOST)] if topology else [HOST]
    if node not in nodes:
        near = resembling(node, nodes)
        raise Mistake(
            Fault(
                f"the lab {place.name} has no node named {node!r}",
                expected=names_of("a node of it", nodes),
                next_step=f"write {near}" if near else f"linkspan show {place.name} lists them",
            )
        )
    return place, node
