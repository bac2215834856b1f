"""Taking a lab down: what it made goes, what it took is given back."""

from __future__ import annotations

from typing import Final

from linkspan.lab.find import Place
from linkspan.lab.life import alive, scope_of
from linkspan.lab.turn import turn
from linkspan.lab.up import transaction
from linkspan.model.state import Node, NodeKey, State
from linkspan.model.topology import HOST, NodeKind, Scope
from linkspan.sandbox import holder

NOTHING: Final[State] = {NodeKey(HOST): Node(kind=NodeKind.HOST.value)}
"""What is left of a lab of scope host: the machine."""


def down(place: Place) -> None:
    """End a lab, or remove what a crash left of it.

    A sandbox ends with its init process. In scope host everything that the lab made is removed
    through a plan first. Raises Refusal when that is impossible.
    """
    with turn(place.name):
        if scope_of(place.folder) is Scope.HOST:
            with alive(place, Scope.HOST) as life:
                transaction(place, Scope.HOST, life).make(NOTHING)
        holder.end(place.folder)
