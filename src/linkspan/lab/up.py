"""Making what there is what a file says: a lab that is not there, or the one that runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from linkspan.errors import LinkspanError
from linkspan.lab.carry import carry_through
from linkspan.lab.choose import Choice, choose
from linkspan.lab.confirm import require_confirmed
from linkspan.lab.executor import Progress
from linkspan.lab.find import Place
from linkspan.lab.keys import keep_keys, with_keys
from linkspan.lab.life import alive
from linkspan.lab.notices import notices
from linkspan.lab.records import Records
from linkspan.lab.requirements import require
from linkspan.lab.terms import Terms
from linkspan.lab.transaction import Plan, transaction
from linkspan.lab.turn import turn
from linkspan.lab.uplinks import Uplinks, prepare
from linkspan.model.base import Engine
from linkspan.model.load import load, with_places
from linkspan.model.nic import Secured
from linkspan.model.topology import HOST, Scope, Topology
from linkspan.plan.desired import desired
from linkspan.plan.difference import plan
from linkspan.sandbox import holder


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
    secured: Secured = field(default_factory=Secured)
    """What was done to uplinks."""

    @property
    def lab(self) -> str:
        """The lab's name."""
        return self.place.name


def up(file: Path, progress: Progress | None = None, terms: Terms | None = None) -> Up:
    """Make the lab that a file declares; `progress` is called, in another process, before each
    action with the number of those done, of all, and the action. `terms` secure a change of
    uplinks.

    Raises Mistake (nothing was touched), Refusal (everything was undone) or Missing.
    """
    topology = load(file)
    with with_places(file):
        return bring(topology, progress, terms, file.parent)


def bring(
    topology: Topology,
    progress: Progress | None = None,
    terms: Terms | None = None,
    beside: Path = Path(),
) -> Up:
    """As `up`, from a topology; files that it names are found from `beside`."""
    started = time.monotonic()
    place = Place(topology.name)
    with turn(place.name):
        require_confirmed(place)
        records = Records(place.folder)
        topology, keys = with_keys(place.folder, records.applied(), topology, beside)
        chosen, engines = choose(topology)
        wanted = desired(chosen)
        was_up = place.topology() is not None and place.is_alive
        wanted = require(place, topology, wanted)
        uplinks = _with_guests(chosen, prepare(records, chosen, wanted))
        why = {
            name: choice.why
            for name, choice in engines.items()
            if topology.bridges[name].engine is Engine.AUTO
        }
        try:
            with alive(place, topology.scope) as life:
                keep_keys(place.folder, keys)
                done, secured = carry_through(
                    place, life, topology, uplinks, why, terms or Terms(), progress
                )
        except LinkspanError:
            if topology.scope is Scope.HOST and not (records.topology() or records.journal()):
                holder.end(place.folder)  # a new lab of which nothing is there
            raise
    return Up(
        place,
        was_up,
        done,
        nodes=len(set(topology.nodes) | {HOST}),
        bridges=len(topology.bridges),
        engines=engines,
        notices=_notices(place, chosen),
        seconds=time.monotonic() - started,
        secured=secured,
    )


def preview(file: Path) -> tuple[Plan, list[str]]:
    """What `up` would do, and what should be known. Raises LinkspanError."""
    topology = load(file)
    with with_places(file):
        return _preview(topology, file.parent)


def _preview(topology: Topology, beside: Path) -> tuple[Plan, list[str]]:
    place = Place(topology.name)
    records = Records(place.folder)
    topology, _ = with_keys(place.folder, records.applied(), topology, beside)
    chosen, _ = choose(topology)
    wanted = desired(chosen)
    wanted = require(place, topology, wanted)
    if topology.scope is Scope.SANDBOX and not place.is_alive:
        return plan(wanted, {}), _notices(place, chosen)
    with turn(place.name):
        uplinks = _with_guests(chosen, prepare(records, chosen, wanted))
        with alive(place, topology.scope) as life:
            change = transaction(place, topology.scope, life, claimed=uplinks.claimed)
            found = change.preview(uplinks.wanted)
            if not life.was_alive:
                life.init.call("shutdown", remove=not life.was_left)
    return found, _notices(place, chosen)


def _notices(place: Place, topology: Topology) -> list[str]:
    """What should be known though nothing is wrong with the file."""
    if not any(topology.is_machine(node) for node in topology.nodes):
        return notices(topology)
    from linkspan.lab.machines import machine_notices  # takes long to load

    return [*notices(topology), *machine_notices(place, topology)]


def _with_guests(topology: Topology, uplinks: Uplinks) -> Uplinks:
    """What is to be made, with the ports of libvirt's guests. They are not the lab's afterwards."""
    if topology.scope is not Scope.HOST:
        return uplinks
    from linkspan.lab.guests import with_guests  # takes long to load

    return replace(uplinks, wanted=with_guests(topology, uplinks.wanted))
