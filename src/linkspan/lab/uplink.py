"""`linkspan uplink`: a network card put onto a bridge, or released, without a file.

The bridge is that of a lab of scope host: the one that is named, or the only one that runs and has
a bridge of that name. Where there is none, a lab comes to be that consists of the bridge and is
called after it; when its uplink is released and nothing else was added, it goes.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from linkspan.errors import Fault, Mistake
from linkspan.lab.cards import mtu_of
from linkspan.lab.down import down
from linkspan.lab.executor import Progress
from linkspan.lab.find import Place, find_running, places
from linkspan.lab.observe import require_topology
from linkspan.lab.terms import Terms
from linkspan.lab.up import Up, bring
from linkspan.model.base import Engine
from linkspan.model.flaw import Flaw
from linkspan.model.name_shapes import interface_name
from linkspan.model.topology import Bridge, Scope, Topology, UplinkPort
from linkspan.model.unfit import UnfitError
from linkspan.model.validate import validate


def uplink(
    bridge: str,
    card: str,
    lab: str | None = None,
    terms: Terms | None = None,
    progress: Progress | None = None,
) -> Up:
    """Put a network card onto a bridge. Raises Mistake (nothing was touched), Refusal (everything
    was undone) or Missing.
    """
    place = _find(bridge, lab)
    topology = require_topology(place) if place is not None else _new_lab(bridge, card, lab)
    _require_host(topology)
    carrier = topology.bridges.get(bridge) or _new_bridge(card)
    if carrier.uplink is not None and carrier.uplink.interface != card:
        raise Mistake(
            Fault(
                f"{bridge} has the uplink {carrier.uplink.interface} already",
                expected="one uplink for each bridge",
                next_step=f"linkspan uplink --release {bridge} releases it",
            )
        )
    port = carrier.uplink or UplinkPort(interface=card)
    bridges = {**topology.bridges, bridge: replace(carrier, uplink=port)}
    return bring(_checked(replace(topology, bridges=bridges)), progress, terms)


def release(bridge: str, lab: str | None = None, progress: Progress | None = None) -> Up | Place:
    """Release the card of a bridge, which is again what it was; the lab, when it went with it.

    Raises Mistake when the bridge has none, Refusal (everything was undone).
    """
    place = _find(bridge, lab)
    topology = require_topology(place) if place is not None else None
    carrier = topology.bridges.get(bridge) if topology is not None else None
    if place is None or topology is None or carrier is None or carrier.uplink is None:
        raise Mistake(
            Fault(
                f"the bridge {bridge} has no uplink",
                expected="a bridge with one" + (f" in the lab {lab}" if lab else ""),
                next_step="linkspan show tells which bridges there are",
            )
        )
    _require_host(topology)
    if len(topology.bridges) == 1 and not topology.nodes and not carrier.ports:
        down(place)
        return place
    bridges = {**topology.bridges, bridge: replace(carrier, uplink=None)}
    return bring(_checked(replace(topology, bridges=bridges)), progress)


def _find(bridge: str, lab: str | None) -> Place | None:
    """The lab that is meant; None when it has to be made. Raises Mistake."""
    if lab is not None:
        known = [place.name for place in places() if place.is_alive]
        return find_running(lab) if lab in known else None
    having = [
        place
        for place in places()
        if place.is_alive
        and (topology := place.topology()) is not None
        and topology.scope is Scope.HOST
        and bridge in topology.bridges
    ]
    if len(having) > 1:
        raise Mistake(
            Fault(
                f"several labs have a bridge {bridge}",
                found=", ".join(place.name for place in having),
                next_step=f"name one of them: --lab {having[0].name}",
            )
        )
    return having[0] if having else None


def _new_lab(bridge: str, card: str, lab: str | None) -> Topology:
    name = lab or re.sub("[^a-z0-9-]", "-", bridge.lower()).strip("-")
    return Topology(name=name, scope=Scope.HOST, bridges={bridge: _new_bridge(card)})


def _new_bridge(card: str) -> Bridge:
    return Bridge(engine=Engine.AUTO, mtu=mtu_of(card) or 1500)


def _require_host(topology: Topology) -> None:
    if topology.scope is not Scope.HOST:
        raise Mistake(
            Fault(
                f"the lab {topology.name} is a sandbox, which has nothing of the machine's",
                next_step="write `uplink: …` at the bridge in its file, and linkspan up",
            )
        )


def _checked(topology: Topology) -> Topology:
    """The topology, if it is right as a whole. Raises Mistake."""
    for name in topology.bridges:
        try:
            interface_name(name)
        except UnfitError as unfit:
            what = f"{name} {unfit.what}"
            fault = Fault(what, expected=unfit.expected, next_step=unfit.next_step)
            raise Mistake(fault) from None
    if flaws := validate(topology):
        raise Mistake(*map(_fault, flaws))
    return topology


def _fault(flaw: Flaw) -> Fault:
    found = flaw.found.replace(" at {also}", "")
    return Fault(flaw.what, expected=flaw.expected, found=found, next_step=flaw.next_step)
