"""Taking a lab down: what it made goes, what it took is given back."""

from __future__ import annotations

import contextlib

from linkspan.control.client import Client
from linkspan.errors import Missing, Refusal
from linkspan.lab.cards import announce
from linkspan.lab.carry import make
from linkspan.lab.confirm import require_confirmed
from linkspan.lab.find import Place
from linkspan.lab.guarding import guarded
from linkspan.lab.life import alive, scope_of
from linkspan.lab.records import Records
from linkspan.lab.recover import NOTHING
from linkspan.lab.turn import turn
from linkspan.lab.uplinks import prepare_end
from linkspan.model.topology import Scope, Topology
from linkspan.sandbox import holder
from linkspan.sandbox.state import INIT_SOCKET
from linkspan.services.machines import (
    configuration_of,
    machine_services,
    service_name,
    shut_down,
)


def _shut_down_machines(place: Place) -> None:
    """Let guests shut down before the lab's end, which would be a power failure to them. A lab that
    does not answer is ended all the same.
    """
    topology = place.topology()
    if topology is not None and not any(map(topology.is_machine, topology.nodes)):
        return
    with (
        contextlib.suppress(Missing, Refusal),
        Client(place.folder / INIT_SOCKET, holder.PATIENCE) as init,
    ):
        running = [node for node, status in machine_services(init).items() if status["pid"]]
        patience = {node: configuration_of(init, node).machine.shutdown for node in running}
        for node in shut_down(place.folder, init, patience):
            init.call("stop", name=service_name(node))


def down(place: Place) -> None:
    """End a lab, or remove what a crash left of it.

    A sandbox ends with its init process. In scope host everything that the lab made is removed
    through a plan first, and its network cards get back what they had. Raises Mistake while a
    change waits to be confirmed, Refusal when it is impossible.
    """
    with turn(place.name):
        if scope_of(place.folder) is Scope.HOST:
            require_confirmed(place)
            _give_back(place)
        elif place.is_alive:
            _shut_down_machines(place)
        holder.end(place.folder)


def _give_back(place: Place) -> None:
    records = Records(place.folder)
    uplinks = prepare_end(records, NOTHING)
    with (
        alive(place, Scope.HOST) as life,
        guarded(place, uplinks, needs_confirmation=False, check=None) as guard,
    ):
        make(place, life, Topology(name=place.name, scope=Scope.HOST), uplinks)
        records.forget()
        if guard is not None:
            guard.done(None)
    for taken in uplinks.going:
        announce(taken.interface)
