"""Making what there is what a file says: a lab that is not there, or the one that runs."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from linkspan.lab.choose import Choice, choose
from linkspan.lab.executor import Progress
from linkspan.lab.files import write_files
from linkspan.lab.find import Place
from linkspan.lab.life import Life, alive
from linkspan.lab.notices import notices
from linkspan.lab.records import Records
from linkspan.lab.requirements import require
from linkspan.lab.transaction import Plan, Transaction
from linkspan.lab.turn import turn
from linkspan.model.base import Engine
from linkspan.model.load import load
from linkspan.model.topology import HOST, Scope
from linkspan.plan.desired import desired
from linkspan.plan.difference import plan


@dataclass(frozen=True, slots=True)
class Up:
    """What `up` did."""

    place: Place
    was_up: bool
    """Whether the lab was up before."""
    plan: Plan
    """What was done; empty when all was as the file says."""
    nodes: int
    bridges: int
    engines: dict[str, Choice]
    notices: list[str]
    """What should be known though nothing is wrong."""
    seconds: float

    @property
    def lab(self) -> str:
        """The lab's name."""
        return self.place.name


def up(file: Path, progress: Progress | None = None) -> Up:
    """Make the lab that a file declares; `progress` is called, in another process, before each
    action with the number of those done, of all, and the action.

    Raises Mistake (nothing was touched), Refusal (everything was undone) or Missing.
    """
    started = time.monotonic()
    topology = load(file)
    chosen, engines = choose(topology)
    place, wanted = Place(topology.name), desired(chosen)
    with turn(place.name):
        was_up = place.topology() is not None and place.is_alive
        require(place, topology, wanted)
        with alive(place, topology.scope) as life:
            write_files(place.folder, topology)
            done = transaction(place, topology.scope, life, progress).make(wanted)
            why = {
                name: choice.why
                for name, choice in engines.items()
                if topology.bridges[name].engine is Engine.AUTO
            }
            Records(place.folder).finish(topology, wanted, why)
            life.init.call("commit")
    return Up(
        place,
        was_up,
        done,
        nodes=len(set(topology.nodes) | {HOST}),
        bridges=len(topology.bridges),
        engines=engines,
        notices=notices(chosen),
        seconds=time.monotonic() - started,
    )


def transaction(
    place: Place, scope: Scope, life: Life, progress: Progress | None = None
) -> Transaction:
    """A transaction on a living lab."""
    return Transaction(
        place.name,
        place.folder,
        life.init,
        scope,
        shlex.join(["linkspan", *sys.argv[1:]]),
        is_new=not life.was_alive and scope is Scope.SANDBOX,
        progress=progress,
    )


def preview(file: Path) -> tuple[Plan, list[str]]:
    """What `up` would do, and what should be known. Raises LinkspanError."""
    topology = load(file)
    chosen, _ = choose(topology)
    place, wanted = Place(topology.name), desired(chosen)
    require(place, topology, wanted)
    if topology.scope is Scope.SANDBOX and not place.is_alive:
        return plan(wanted, {}), notices(chosen)
    with turn(place.name), alive(place, topology.scope) as life:
        found = transaction(place, topology.scope, life).preview(wanted)
        if not life.was_alive:
            life.init.call("shutdown", remove=not life.was_left)
    return found, notices(chosen)
