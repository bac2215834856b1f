"""The uplinks of a lab, worked into the state that it is to have.

In a sandbox the cards are the file's own (`plan.desired` has moved their addresses). In scope host
a card is read when it is first taken and remembered in the lab's folder; as long as it stands
there, it is either an uplink or is being given back, and its addresses are the lab's to move.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from linkspan.lab.cards import exists, take_card
from linkspan.lab.records import Records
from linkspan.model.kernel_options import options_of
from linkspan.model.state import State, Uplink, UplinkKey
from linkspan.model.topology import HOST, Scope, Topology
from linkspan.plan.uplink import Taken, give_back, released_in_sandbox, with_uplink


@dataclass(frozen=True)
class Uplinks:
    """What a change means for uplinks."""

    before: State
    """What was made last."""
    wanted: State
    """What is to be made."""
    remembered: State
    """What is the lab's afterwards: all but what is given back."""
    taken: tuple[Taken, ...] = ()
    """The cards that are uplinks afterwards."""
    coming: tuple[Taken, ...] = ()
    """Those among them that are not yet, or are on another bridge or engine."""
    going: tuple[Taken, ...] = ()
    """Cards that are given back."""
    warnings: tuple[str, ...] = ()

    @property
    def is_risky(self) -> bool:
        """Whether the change could cost the host its connection."""
        return bool(self.coming or self.going)

    @property
    def claimed(self) -> State:
        """What the cards had, all of it the lab's to move."""
        return {key: value for taken in self.taken + self.going for key, value in taken.facts}

    @property
    def concerned(self) -> tuple[Taken, ...]:
        """The cards that the change takes or gives back."""
        return self.coming + self.going


def hangs_on_user_engine(state: State) -> bool:
    """Whether an uplink of a state is a port of a process of ours."""
    return any(isinstance(value, Uplink) and value.engine == "user" for value in state.values())


def bridge_of(taken: Taken, state: State) -> str | None:
    """The bridge that a card is the uplink of in a state."""
    match state.get(taken.key):
        case Uplink(bridge=bridge):
            return bridge
        case _:
            return None


@dataclass
class _Work:
    before: State
    state: State
    taken: list[Taken] = field(default_factory=list)
    coming: list[Taken] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def prepare(records: Records, topology: Topology, wanted: State) -> Uplinks:
    """What a topology means for uplinks; `wanted` is its state without those of scope host.

    Raises Mistake when a card can't be an uplink, Refusal when it can't be read.
    """
    if topology.scope is Scope.SANDBOX:
        return Uplinks({}, released_in_sandbox(wanted, records.applied()), wanted)
    known = {taken.key: taken for taken in records.taken()}
    work = _Work(records.applied(), wanted)
    for name, bridge, uplink in topology.uplinks():
        taken = known.get(UplinkKey(HOST, uplink.interface))
        if taken is None:
            taken, warnings = take_card(uplink.interface, name, bridge.mtu)
            work.warnings += warnings
        work.taken.append(taken)
        work.state = with_uplink(work.state, taken, name, options_of(uplink), bridge.mac)
        if _carrier(work.before, taken) != _carrier(work.state, taken):
            work.coming.append(taken)
    return _with_released(work, known)


def _carrier(state: State, taken: Taken) -> tuple[str, str] | None:
    """The bridge and the engine that a card is with in a state."""
    match state.get(taken.key):
        case Uplink(bridge=bridge, engine=engine):
            return bridge, engine
        case _:
            return None


def prepare_end(records: Records, nothing: State) -> Uplinks:
    """What the end of a lab means for uplinks; `nothing` is the state that is left of it."""
    return _with_released(
        _Work(records.applied(), nothing), {taken.key: taken for taken in records.taken()}
    )


def _with_released(work: _Work, known: dict[UplinkKey, Taken]) -> Uplinks:
    # A card that was pulled out can't be given back.
    going = [
        taken for key, taken in known.items() if key not in work.state and exists(taken.interface)
    ]
    wanted = work.state
    for taken in going:
        wanted = give_back(wanted, taken)
    return Uplinks(
        work.before,
        wanted,
        work.state,
        tuple(work.taken),
        tuple(work.coming),
        tuple(going),
        tuple(work.warnings),
    )


def kept_in(state: State, taken: list[Taken]) -> list[Taken]:
    """The cards that are uplinks in a state."""
    return [each for each in taken if each.key in state]
