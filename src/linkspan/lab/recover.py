"""Going back: to what was before a change that was not finished or not confirmed.

Three ways lead here: the command `linkspan recover`, the guard of a change, and the next command
that finds an unconfirmed change whose time is up and whose guard has gone.
"""

from __future__ import annotations

from linkspan.errors import Fault, Mistake
from linkspan.lab.cards import announce, take_programs_off
from linkspan.lab.find import Place
from linkspan.lab.life import Life, alive, scope_of
from linkspan.lab.records import Journal, Records
from linkspan.lab.transaction import transaction
from linkspan.lab.turn import turn
from linkspan.lab.uplinks import bridge_of, kept_in, prepare_end
from linkspan.model.state import Node, NodeKey, State
from linkspan.model.topology import HOST, NodeKind, Scope
from linkspan.plan.uplink import Taken
from linkspan.sandbox import holder

NOTHING: State = {NodeKey(HOST): Node(kind=NodeKind.HOST.value)}
"""What is left of a lab of scope host: the machine."""


def recover(place: Place) -> bool:
    """Go back to what was before the change that is not finished; False when there is none.

    Raises Mistake when it is another command's turn, Refusal when the system says no.
    """
    with turn(place.name):
        journal = Records(place.folder).journal()
        if journal is None:
            return False
        put_back(place, journal)
    return True


def put_back(place: Place, journal: Journal) -> None:
    """Make the state before a change, with the lab's turn in hand. Raises LinkspanError."""
    records, scope = Records(place.folder), scope_of(place.folder)
    if scope is Scope.SANDBOX and not place.is_alive:
        holder.end(place.folder)  # of a sandbox that has ended nothing but the folder is left
        return
    taken, before = records.taken(), dict(journal.before)
    with alive(place, scope) as life:
        _free_from_ended(life, taken)
        transaction(place, scope, life, claimed=_claimed(taken)).make(before)
        if journal.topology is not None:
            records.remember(journal.topology, dict(journal.applied), records.engines())
            records.keep_taken(kept_in(before, taken))
            records.close_journal()
            life.init.call("commit")
    if journal.topology is None:
        holder.end(place.folder)
    _announce(taken, before)


def give_cards_back(place: Place) -> bool:
    """Give the cards of a lab that has ended their addresses back, and remove what else it left;
    the folder stays, so that `up` makes the lab again. False when it is alive, or has no cards.

    Raises LinkspanError.
    """
    with turn(place.name):
        records = Records(place.folder)
        taken = records.taken()
        if not taken or place.is_alive:
            return False
        uplinks = prepare_end(records, NOTHING)
        with alive(place, Scope.HOST) as life:
            _free_from_ended(life, taken)
            transaction(place, Scope.HOST, life, claimed=uplinks.claimed).make(uplinks.wanted)
            records.forget()
            life.init.call("shutdown", remove=False)
        _announce(taken, NOTHING)
    return True


def _free_from_ended(life: Life, taken: list[Taken]) -> None:
    """Free cards from what processes that have ended put there."""
    if not life.was_alive:
        for each in taken:
            take_programs_off(each)


def _claimed(taken: list[Taken]) -> State:
    return {key: value for each in taken for key, value in each.facts}


def _announce(taken: list[Taken], state: State) -> None:
    for each in taken:
        announce(bridge_of(each, state) or each.interface)


def nothing_to_recover(place: Place) -> Mistake:
    """The answer where there is no change that could be taken back."""
    return Mistake(
        Fault(
            f"the lab {place.name} has no change that is not finished",
            next_step=f"linkspan show {place.name} tells what there is",
        )
    )
