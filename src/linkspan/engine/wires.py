"""Carrying out changes of wires between nodes.

A wire is a veth pair, and a state has a fact for each of its ends. The kernel makes and deletes
both at once; so whichever fact comes first makes the pair, and the other one sets right what is
its own: MAC and MTU. The first one that goes takes the pair along, and the other end is gone
already. Both ends carry the wire's mark, and nothing without it is touched. Each end holds up what
it sends (`engine/queueing.py`), so a slow wire is so in both directions.
"""

from __future__ import annotations

from linkspan.engine.kernel.lines import set_line
from linkspan.engine.kernel.links import look
from linkspan.engine.kernel.ownership import Recipe, delete, owned, remove_unfinished
from linkspan.engine.netlink import add_veth, set_link
from linkspan.engine.site import Site
from linkspan.errors import Bug
from linkspan.model.names import INTERFACE_NAME_BYTES, LINK_PREFIX, Mark, parse_mark, wire_name
from linkspan.model.shaping import Shape
from linkspan.model.state import Veth, VethKey
from linkspan.plan.change import Change


class Wires:
    """Wires between the nodes of one lab."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def carry_out(self, change: Change) -> None:
        """Carry out a change of an end of a wire. Raises Refusal or OSError."""
        match change:
            case Change(key=VethKey() as key, before=None, after=Veth() as end):
                self._add(key, end)
            case Change(key=VethKey() as key, before=Veth() as before, after=Veth() as end):
                self._set(key, end, self._mark(key, end), before)
            case Change(key=VethKey() as key, before=Veth() as end, after=None):
                self._remove(key, end)
            case _:
                raise Bug(f"no wire can {change.explain()}")

    def _add(self, key: VethKey, end: Veth) -> None:
        mark = self._mark(key, end)
        if not end.peer_node:
            self._add_half(key, end, mark)
            return
        here, there = self._site.netlink(key.node), self._site.netlink(end.peer_node)
        remove_unfinished(here, key.interface, Recipe(mark, "veth", end.mac))
        found = look(here, key.interface)
        if found is None or found.alias != str(mark):
            network = self._site.network(key.node)
            there.run([add_veth(end.peer_interface, key.interface, network, end.mac)])
            for netlink, name in ((here, key.interface), (there, end.peer_interface)):
                netlink.run([set_link(name, alias=str(mark))])
        self._set(key, end, mark)

    def _add_half(self, key: VethKey, end: Veth, mark: Mark) -> None:
        """The way back to what other hands had done: an end that leads to nothing of the lab."""
        netlink = self._site.netlink(key.node)
        stub = key.interface[: INTERFACE_NAME_BYTES - 1] + "~"
        netlink.run([add_veth(stub, key.interface, self._site.network(key.node), end.mac)])
        netlink.run([set_link(key.interface, mtu=end.mtu, alias=str(mark))])

    def _set(self, key: VethKey, end: Veth, mark: Mark, before: Veth | None = None) -> None:
        netlink = self._site.netlink(key.node)
        found = owned(look(netlink, key.interface), key.interface, mark)
        if (found.mac, found.mtu) != (end.mac, end.mtu):
            netlink.run([set_link(key.interface, mac=end.mac, mtu=end.mtu)])
        if end.shape != (before.shape if before is not None else Shape()):
            set_line(netlink, found.index, end.shape if end.shape != Shape() else None)

    def _remove(self, key: VethKey, end: Veth) -> None:
        netlink = self._site.netlink(key.node)
        if end.peer_node:
            delete(netlink, key.interface, Recipe(self._mark(key, end), "veth", end.mac))
        else:
            self._remove_half(key)

    def _remove_half(self, key: VethKey) -> None:
        """Delete an end whose other end is not as it should be, by the mark that it carries."""
        netlink = self._site.netlink(key.node)
        found = look(netlink, key.interface)
        mark = parse_mark(found.alias) if found is not None else None
        if mark is not None and mark.lab == self._site.lab and mark.id.startswith(LINK_PREFIX):
            delete(netlink, key.interface, Recipe(mark, "veth", ""))

    def _mark(self, key: VethKey, end: Veth) -> Mark:
        near, far = (key.node, key.interface), (end.peer_node, end.peer_interface)
        return Mark(self._site.lab, wire_name(near, far))
