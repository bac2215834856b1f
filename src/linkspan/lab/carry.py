"""Carrying a change of a lab through: under guard where it could cost the host its connection."""

from __future__ import annotations

import time

from msgspec.structs import replace

from linkspan.lab.cards import announce, take_programs_off
from linkspan.lab.executor import Progress
from linkspan.lab.find import Place
from linkspan.lab.guarding import Guard, guarded
from linkspan.lab.life import Life
from linkspan.lab.records import Records
from linkspan.lab.terms import Terms
from linkspan.lab.transaction import Plan, transaction
from linkspan.lab.uplinks import Uplinks, bridge_of
from linkspan.model.nic import Moved, Secured
from linkspan.model.topology import Topology


def carry_through(
    place: Place,
    life: Life,
    topology: Topology,
    uplinks: Uplinks,
    engines: dict[str, str],
    terms: Terms,
    progress: Progress | None = None,
) -> tuple[Plan, Secured]:
    """Make what uplinks and the rest of a lab are to be, and remember it; `engines` says why each
    bridge has the engine that it has. Raises LinkspanError: everything is then as before.
    """
    records = Records(place.folder)
    needs_confirmation = bool(uplinks.coming)
    with guarded(place, uplinks, needs_confirmation, terms.check) as guard:
        done = make(place, life, topology, uplinks, progress, terms.leave_off)
        records.remember(topology, uplinks.remembered, engines)
        confirm_by = None
        if done and needs_confirmation:
            confirm_by = time.time() + terms.confirm_within
            records.await_confirmation(confirm_by)
        else:
            records.close_journal()
            records.keep_taken(uplinks.taken)
        life.init.call("commit")
        is_guarded = guard is None or guard.done(confirm_by)
        secured = _secured(uplinks, guard) if done else Secured(warnings=list(uplinks.warnings))
    within = terms.confirm_within if confirm_by is not None else 0
    return done, replace(
        secured, confirm_within=within, confirm_by=confirm_by, is_guarded=is_guarded
    )


def make(
    place: Place,
    life: Life,
    topology: Topology,
    uplinks: Uplinks,
    progress: Progress | None = None,
    leave_off: bool = False,
) -> Plan:
    """Make what uplinks and the rest of a lab are to be; the journal stays open. The cards are
    remembered as they were before anything is moved. With `leave_off`, virtual machines that
    their guests switched off stay off. Raises LinkspanError.
    """
    records = Records(place.folder)
    before = records.taken()
    if not life.was_alive:  # what was taken before hung on processes that have ended
        for taken in before:
            take_programs_off(taken)
    records.keep_taken([*uplinks.taken, *uplinks.going])
    try:
        change = transaction(place, topology.scope, life, progress, uplinks.claimed, leave_off)
        return change.make(uplinks.wanted, topology)
    except BaseException:
        if records.journal() is None:  # what had been done was undone
            records.keep_taken(before)
        raise


def _secured(uplinks: Uplinks, guard: Guard | None) -> Secured:
    moved = []
    for taken in uplinks.concerned:
        bridge = bridge_of(taken, uplinks.wanted)
        moved.append(Moved(taken.interface, bridge, announce(bridge or taken.interface)))
    return Secured(
        moved=moved,
        warnings=list(uplinks.warnings),
        watched=guard.ready.watched if guard is not None else [],
        silent=guard.ready.silent if guard is not None else [],
    )
