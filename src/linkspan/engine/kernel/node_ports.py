"""Interfaces of nodes as ports of bridges of the kernel: made, changed, moved, limited, removed.

A port is a veth pair. The node's end has the interface's name in the node's namespace; the
bridge's end lies in the namespace of the node that the bridge is on. Both carry the port's mark
(`linkspan:LAB:web.eth0`) as their alias. The bridge's end is found by the node's end,
and never by its name, so a port stays found when the names of a lab come to be worked out
differently. The port of a virtual machine is a tap, and has no other end (`machine_ports`).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from linkspan.engine.base import Failed
from linkspan.engine.kernel.finder import Finder
from linkspan.engine.kernel.lines import line_of, set_line
from linkspan.engine.kernel.machine_ports import add_machine_port
from linkspan.engine.kernel.messages import move_link, set_master
from linkspan.engine.kernel.new_ports import NewPort, keep_from_addresses, make_ports
from linkspan.engine.kernel.ownership import Recipe, delete
from linkspan.engine.kernel.port_options import set_options
from linkspan.engine.machine_ends import MACHINE, drop_end
from linkspan.engine.netlink import Netlink, delete_link, set_link
from linkspan.engine.site import Site
from linkspan.errors import Refusal
from linkspan.model.kernel_options import changed
from linkspan.model.options import OptionScope
from linkspan.model.state import Port, PortKey, Shaping, ShapingKey
from linkspan.plan.change import Change


class NodePorts:
    """Carries out changes of them within one lab; `places` and `names` as `KernelEngine` has them.
    Who changes `places` changes where bridges are looked for.
    """

    def __init__(
        self,
        site: Site,
        find: Finder,
        places: Mapping[str, str],
        names: Mapping[tuple[str, str], str],
    ) -> None:
        self._site = site
        self._find = find
        self._places = places
        self._names = names

    def carry_out(self, key: PortKey, before: Port | None, after: Port | None) -> None:
        """Carry out a change of a port. Raises Refusal or OSError."""
        if before is None and after is not None:
            if after.kind == MACHINE:
                self._add_machine(key, after)
            else:
                self.add([Change(key=key, after=after)])
        elif before is not None and after is not None:
            self._change(key, before, after)
        elif before is not None:
            self._delete(key, before)

    def shape(self, key: ShapingKey, before: Shaping | None, after: Shaping | None) -> None:
        """Limit a port's line, or lift the limits. Raises Refusal."""
        shape = after.shape if after is not None else None
        far = self._site.netlink(key.node)
        place, near = self._find.near(PortKey(key.node, key.interface), "")
        set_line(self._site.netlink(place), near.index, shape)
        set_line(far, far.index(key.interface), shape)

    def add(self, changes: Sequence[Change]) -> None:
        """Make ports of nodes' interfaces, many in one request: all are made, then marked at the
        bridge, then in the nodes. Raises Failed for the first that can't be made.
        """
        of_bridges: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            if isinstance(change.after, Port):
                of_bridges[change.after.bridge].append(change)
        for bridge, its in of_bridges.items():
            self._make(bridge, its)

    def _make(self, bridge: str, changes: Sequence[Change]) -> None:
        try:
            netlink, link = self._find.bridge(bridge)
        except Refusal as error:
            raise Failed.of(changes[0], error) from None
        ports = [
            NewPort(
                change, key, wanted, self._names[key.node, key.interface], self._find.mark_of(key)
            )
            for change in changes
            if isinstance(key := change.key, PortKey) and isinstance(wanted := change.after, Port)
        ]
        make_ports(self._site, netlink, link.index, ports, self._give_options)

    def _give_options(self, port: NewPort) -> None:
        options = changed(OptionScope.PORT, {}, port.wanted.options)
        set_options(self._site, self._places[port.wanted.bridge], port.near, options)

    def _add_machine(self, key: PortKey, wanted: Port) -> None:
        _, bridge = self._find.bridge(wanted.bridge)
        name = self._names[key.node, key.interface]
        place, mark = self._places[wanted.bridge], self._find.mark_of(key)
        add_machine_port(self._site, key, place, name, mark, bridge, wanted.mtu)
        set_options(self._site, place, name, changed(OptionScope.PORT, {}, wanted.options))

    def _change(self, key: PortKey, before: Port, after: Port) -> None:
        place, near = self._find.near(key, before.bridge)
        netlink = self._site.netlink(place)
        if after.bridge not in self._places:  # the way back to what other hands had done
            netlink.run([set_master(near.name, None)])
            return
        if before.bridge != after.bridge:
            netlink = self._move(near.name, place, after.bridge)
            options = changed(OptionScope.PORT, {}, after.options)
        else:
            options = changed(OptionScope.PORT, before.options, after.options)
        set_options(self._site, self._places[after.bridge], near.name, options)
        if before.mtu != after.mtu:
            netlink.run([set_link(near.name, mtu=after.mtu)])
            keep_from_addresses(netlink, [near.name])
        if after.kind != MACHINE and (before.mtu, before.mac) != (after.mtu, after.mac):
            far = self._site.netlink(key.node)
            far.run([set_link(key.interface, mac=after.mac, mtu=after.mtu)])

    def _move(self, near: str, place: str, after: str) -> Netlink:
        """To another bridge; into its node's namespace where that is another one. The node's end
        stays as it is, with its addresses and everybody's connections.
        """
        target, bridge = self._find.bridge(after)
        if place != self._places[after]:
            network = self._site.network(self._places[after])
            netlink = self._site.netlink(place)
            shape = line_of(self._site, place, netlink.index(near))
            netlink.run([set_master(near, None), move_link(near, network)])
            if shape is not None:
                set_line(target, target.index(near), shape)
        # An interface is down where it was moved to, and its address mode is the usual one.
        target.run([set_master(near, bridge.index), set_link(near, up=True)])
        keep_from_addresses(target, [near])
        return target

    def _delete(self, key: PortKey, before: Port) -> None:
        if before.kind == MACHINE:
            with contextlib.suppress(Refusal):  # it has gone
                place, near = self._find.tap(key)
                self._site.netlink(place).run([delete_link(near.name)])
            drop_end(self._site, key)
            return
        recipe = Recipe(self._find.mark_of(key), "veth", before.mac)
        delete(self._site.netlink(key.node), key.interface, recipe)
