"""A change that waits to be confirmed: confirming it, and keeping others away from it."""

from __future__ import annotations

from linkspan.errors import Fault, Mistake
from linkspan.lab.find import Place
from linkspan.lab.guarding import is_guarded, seconds_left
from linkspan.lab.records import Journal, Records
from linkspan.lab.recover import put_back
from linkspan.lab.turn import turn
from linkspan.lab.uplinks import kept_in
from linkspan.model.snapshot import Pending
from linkspan.view.uplinks import pending_as_text


def confirm(place: Place) -> Journal:
    """Confirm the change that waits for it; returns its journal.

    Raises Mistake when there is none, or when it was broken off.
    """
    with turn(place.name):
        records = Records(place.folder)
        journal = records.journal()
        if journal is None:
            raise Mistake(
                Fault(
                    f"the lab {place.name} has no change that waits to be confirmed",
                    found="it has been confirmed already, or nothing that needs it was changed",
                    next_step=f"linkspan show {place.name} tells what there is",
                )
            )
        if journal.confirm_by is None:
            raise Mistake(
                Fault(
                    f"the last change of {place.name} was broken off and can't be confirmed",
                    found=journal.command,
                    next_step=f"linkspan recover {place.name} goes back to what was before",
                )
            )
        records.close_journal()
        records.keep_taken(kept_in(records.applied(), records.taken()))
    return journal


def pending(place: Place) -> Pending | None:
    """The change of a lab that is not finished."""
    journal = Records(place.folder).journal()
    if journal is None:
        return None
    left = None if journal.confirm_by is None else seconds_left(journal.confirm_by)
    return Pending(journal.command, left, is_guarded(place.folder))


def require_confirmed(place: Place) -> None:
    """Keep a change of a lab off an earlier one that is not confirmed, with the lab's turn in hand.
    One whose time is up and whose guard has gone is put back first.

    Raises Mistake while the earlier one waits.
    """
    waiting = pending(place)
    if waiting is None or (waiting.seconds_left is None and not waiting.is_guarded):
        return
    journal = Records(place.folder).journal()
    if waiting.seconds_left == 0 and not waiting.is_guarded and journal is not None:
        put_back(place, journal)
        return
    raise Mistake(
        Fault(
            f"the lab {place.name} has a change that is not confirmed",
            found=pending_as_text(waiting),
            next_step=f"linkspan confirm {place.name} keeps it, linkspan recover {place.name}"
            " goes back to what was before",
        )
    )
