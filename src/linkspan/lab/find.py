"""Which lab is meant: one named, one whose file is given, or the only one there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from linkspan.errors import Fault, Mistake
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


def find_lab(name: str | None) -> Place:
    """The lab of that name, or the only one when no name is given.

    Raises Mistake when there is none, or when it is not clear which.
    """
    known = [place.name for place in places()]
    if name is not None:
        if name in known:
            return Place(name)
        raise Mistake(
            Fault(
                f"there is no lab named {name!r}",
                found=f"the labs {', '.join(known)}" if known else "no lab at all",
                next_step="linkspan up FILE makes one",
            )
        )
    if len(known) == 1:
        return Place(known[0])
    if not known:
        raise Mistake(Fault("there is no lab", next_step="linkspan up FILE makes one"))
    raise Mistake(
        Fault(
            "it is not clear which lab is meant",
            expected="its name",
            found=f"{len(known)} labs: {', '.join(known)}",
            next_step=f"name one of them, such as {known[0]}",
        )
    )


def find_running(name: str | None) -> Place:
    """As `find_lab`, and the lab must be alive. Raises Mistake."""
    place = find_lab(name)
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
    place = find_running(lab or None)
    topology = place.topology()
    nodes = [HOST, *(name for name in topology.nodes if name != HOST)] if topology else [HOST]
    if node not in nodes:
        raise Mistake(
            Fault(
                f"the lab {place.name} has no node named {node!r}",
                expected=f"one of {', '.join(nodes)}",
                next_step=f"linkspan show {place.name} lists them",
            )
        )
    return place, node
