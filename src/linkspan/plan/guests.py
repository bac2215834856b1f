"""Ports that libvirt's guests should have, against what there is of them.

Only taps that are on no bridge are looked for. One that has gone is its guest's end, which is none
of our business; one that is on another bridge was put there by somebody. Both count as they should
be, so that no plan is made of them, and none that was made fails because a guest ended meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from linkspan.model.guest_facts import Guest, GuestKey
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.state import State
from linkspan.plan.current_links import Fact


def guests(wanted: State, nodes: Mapping[str, NamespaceSnapshot]) -> Iterator[Fact]:
    """Of the ports of guests in a state, those that are not to be put back."""
    for key, value in wanted.items():
        if isinstance(key, GuestKey) and isinstance(value, Guest) and key.node in nodes:
            tap = nodes[key.node].interface(key.interface)
            if tap is None or tap.kind != "tap" or tap.master is not None:
                yield key, value
