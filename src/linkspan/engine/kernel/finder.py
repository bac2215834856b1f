"""Finding what the kernel engine has made: bridges, the bridge's ends of ports, taps."""

from __future__ import annotations

from collections.abc import Mapping

from linkspan.engine.kernel.links import Link, look
from linkspan.engine.kernel.machine_ports import find_machine_port
from linkspan.engine.kernel.ownership import owned
from linkspan.engine.netlink import Netlink
from linkspan.engine.site import Site
from linkspan.errors import Refusal
from linkspan.model.names import Mark, port_name
from linkspan.model.state import PortKey


class Finder:
    """Looks for interfaces of one lab; `places`, `names` and `machines` as `KernelEngine` has them.
    Who changes `places` changes where it looks.
    """

    def __init__(
        self,
        site: Site,
        places: Mapping[str, str],
        names: Mapping[tuple[str, str], str],
        machines: frozenset[tuple[str, str]],
    ) -> None:
        self._site = site
        self._places = places
        self._names = names
        self.machines = machines

    def mark(self, identity: str) -> Mark:
        """What marks a thing of the lab."""
        return Mark(self._site.lab, identity)

    def mark_of(self, key: PortKey) -> Mark:
        """What marks both ends of a port."""
        return self.mark(port_name(key.node, key.interface))

    def bridge(self, name: str) -> tuple[Netlink, Link]:
        """A bridge of ours and the socket of its namespace. Raises Refusal."""
        netlink = self._site.netlink(self._places[name])
        return netlink, owned(look(netlink, name), name, self.mark(name))

    def near(self, key: PortKey, bridge: str) -> tuple[str, Link]:
        """The bridge's end of a port and the node that it lies on: that of its bridge, or, when
        other hands took it out or a move was broken off, that of any other. Raises Refusal.
        """
        mark = self.mark_of(key)
        if (key.node, key.interface) in self.machines:
            return self.tap(key)
        far = owned(look(self._site.netlink(key.node), key.interface), key.interface, mark)
        first = [self._places[bridge]] if bridge in self._places else []
        for place in dict.fromkeys([*first, *self._places.values()]):
            near = look(self._site.netlink(place), far.peer or 0)
            if near is None or (place, near.index) == (key.node, far.index):
                continue
            if (near.alias, near.kind) == (str(mark), "veth"):
                return place, near
        raise Refusal(f"the bridge's end of {mark.id} is not there any more")

    def tap(self, key: PortKey) -> tuple[str, Link]:
        """The tap of a virtual machine's port, and the node that it lies on. Raises Refusal."""
        name = self._names[key.node, key.interface]
        return find_machine_port(self._site, self._places.values(), name, self.mark_of(key))

    def device(self, bridge: str, port: str) -> Link:
        """The interface that is a bridge's port: of a node's interface, or an uplink. Raises
        Refusal when it is not there, or not where the bridge is.
        """
        node, dot, interface = port.partition(".")
        where = self._places[bridge]
        if dot and (node, interface) in self._names:
            place, near = self.near(PortKey(node, interface), bridge)
            if place != where:
                raise Refusal(f"{port} is on {place}, and {bridge} on {where}")
            return near
        uplink = look(self._site.netlink(where), port)
        if uplink is None:
            raise Refusal(f"there is no interface {port} on {where}")
        return uplink
