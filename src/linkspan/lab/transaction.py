"""Changing a lab as one thing: plan, carry out, compare what came of it; or all the way back.

    current = what there is, as far as it is the lab's
    plan(desired, current)           journal on disk before the first action
      carried out, then read again:
        nothing left to do           the journal is closed, the state remembered
        something left to do         another hand was at it (udev, a daemon): carried out once more
        still, or an error           plan(before, what there is now) is carried out: as it was

All of it happens in one process inside the lab's namespaces. Killed at any moment, it leaves the
journal, by which the next command knows what was before, what was to come, and that everything
named in either is the lab's to change.

A change that comes after one that was interrupted goes on from whatever there is; if it has to be
undone, it goes all the way back to before the interrupted one.

A sandbox that comes up is simpler: until `commit` it ends with the process that builds it, so
there is nothing to read before and nothing to undo.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linkspan.control.client import Client
from linkspan.control.descriptors import close_all
from linkspan.engine.kernel.unfinished import remove_half_made
from linkspan.engine.site import Site
from linkspan.errors import Refusal
from linkspan.lab.executor import Executor, Progress, names_of_ends
from linkspan.lab.files import write_files
from linkspan.lab.find import Place
from linkspan.lab.life import Life
from linkspan.lab.readings import read_state
from linkspan.lab.records import Journal, Records
from linkspan.model.state import State
from linkspan.model.topology import Scope, Topology
from linkspan.plan.change import Change
from linkspan.plan.current import owned
from linkspan.plan.difference import plan
from linkspan.plan.machines import left_off
from linkspan.sandbox.worker import run_inside
from linkspan.services import wireguard_kernel

Plan = tuple[Change, ...]


@dataclass(frozen=True)
class Transaction:
    """Changes of one lab, all or nothing. `init` is a connection to its init process."""

    lab: str
    folder: Path
    init: Client
    scope: Scope
    command: str
    is_new: bool = False
    """Whether there is nothing of the lab but its init process, which ends with us."""
    claimed: State = field(default_factory=dict, compare=False)
    """What is the lab's to change beside what it made: what network cards had that it takes."""
    leave_off: bool = False
    """Whether virtual machines that their guests switched off are as they should be."""
    progress: Progress | None = field(default=None, compare=False)

    def preview(self, desired: State) -> Plan:
        """What would be done. Raises LinkspanError."""
        return self._inside(
            lambda site: plan(desired, self._current(site, desired), Records(self.folder).applied())
        )

    def make(self, desired: State, topology: Topology | None = None) -> Plan:
        """Make what there is what there should be; returns what was done. With a topology, the
        files of its nodes are written as well.

        The journal stays open if something was done. Raises Refusal when the kernel said no:
        everything is then as it was before, or the message says what is not.
        """
        return self._inside(lambda site: self._make(site, desired, topology))

    def _inside(self, work: Callable[[Site], Plan]) -> Plan:
        _, namespaces = self.init.call_for_descriptors("fetch", name="lab")
        try:
            return run_inside(namespaces, lambda: self._at_site(work))
        finally:
            close_all(namespaces)

    def _at_site(self, work: Callable[[Site], Plan]) -> Plan:
        site = Site(self.lab, self.folder, self.init, self.scope)
        try:
            return work(site)
        finally:
            site.close()

    def _make(self, site: Site, desired: State, topology: Topology | None) -> Plan:
        records = Records(self.folder)
        if topology is not None:
            write_files(self.folder, topology)
        interrupted = records.journal()
        if interrupted is not None:
            _remove_half_made(site, [dict(interrupted.before), dict(interrupted.after)])
        current: State = {} if self.is_new else self._current(site, desired)
        if self.leave_off:
            desired = left_off(desired, current)
        changes = plan(desired, current, records.applied())
        if not changes:
            return ()
        before = dict(interrupted.before) if interrupted else current
        remembered = interrupted.topology if interrupted else records.topology()
        records.begin(
            Journal(
                command=self.command,
                before=list(before.items()),
                after=list(desired.items()),
                was_up=remembered is not None,
                topology=remembered,
                applied=interrupted.applied if interrupted else list(records.applied().items()),
            )
        )
        try:
            return self._reach(desired, changes, site, [current, desired], records)
        except Exception as error:
            if not self.is_new:
                self._undo(site, before, desired, records, error)
            raise

    def _current(self, site: Site, desired: State) -> State:
        """What there is of the lab, as far as it is the lab's: marked, declared now, or before."""
        records = Records(self.folder)
        applied, journal = records.applied(), records.journal()
        interrupted = [dict(journal.after), dict(journal.before)] if journal else []
        wanted = {**self.claimed, **desired}
        found = read_state(site, wanted, *interrupted, applied)
        return owned(found, wanted, *interrupted, applied, records.originals())

    def _reach(
        self,
        wanted: State,
        changes: Plan,
        site: Site,
        states: Sequence[State],
        records: Records,
    ) -> Plan:
        """Carry changes out, and once more what another hand has undone since; returns all.

        Raises Refusal when what there is then is not what was wanted.
        """
        self._carry_out(site, changes, states, records)
        undone = self._left(wanted, site)
        if undone:
            self._carry_out(site, undone, states, records)
            if left := self._left(wanted, site):
                steps = "; ".join(change.explain() for change in left[:3])[:400]
                raise Refusal(f"all actions were carried out, yet it is still to do: {steps}")
        return changes + undone

    def _carry_out(
        self, site: Site, changes: Sequence[Change], states: Sequence[State], records: Records
    ) -> None:
        executor = Executor(site, states)
        try:
            executor.run(changes, records.note, self.progress)
        finally:
            executor.close()

    def _left(self, wanted: State, site: Site) -> Plan:
        """What is still to do after all actions were carried out."""
        found = self._current(site, wanted)
        # A guest may have switched itself off already: it was started all the same.
        return plan(left_off(wanted, found), found)

    def _undo(
        self, site: Site, before: State, desired: State, records: Records, error: Exception
    ) -> None:
        try:
            _remove_half_made(site, [before, desired])
            back = plan(before, self._current(site, desired))
            self._reach(before, back, site, [desired, before], records)
        except Exception as second:
            raise Refusal(
                f"{error}\nand it could not be undone: {second}\n"
                f"  next: linkspan recover {self.lab}"
            ) from None
        records.close_journal()
        if isinstance(error, Refusal):
            raise Refusal(f"{error}\n  what had been done was undone") from None


def _remove_half_made(site: Site, states: Sequence[State]) -> None:
    nodes, names = site.nodes(), names_of_ends(site, states)
    for state in states:
        remove_half_made(site, nodes, state, names)
        wireguard_kernel.remove_half_made(site, nodes, state)


def transaction(
    place: Place,
    scope: Scope,
    life: Life,
    progress: Progress | None = None,
    claimed: State | None = None,
    leave_off: bool = False,
) -> Transaction:
    """A transaction on a living lab."""
    return Transaction(
        place.name,
        place.folder,
        life.init,
        scope,
        shlex.join(["linkspan", *sys.argv[1:]]),
        is_new=not life.was_alive and scope is Scope.SANDBOX,
        claimed=claimed or {},
        leave_off=leave_off,
        progress=progress,
    )
