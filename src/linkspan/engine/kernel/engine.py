"""Carrying out changes on bridges of the kernel: bridges, ports, uplinks, FDB entries.

A port is a veth pair. The node's end has the interface's name in the node's namespace; the
bridge's end lies in the namespace of the node that the bridge is on. Both carry the port's mark
(`linkspan:LAB:web.eth0`) as their alias, the bridge carries its own (`linkspan:LAB:br0`). The
bridge's end is found by the node's end, and never by its name, so a port stays found when the
names of a lab come to be worked out differently.

Nothing is kept open between two changes: what `carry_out` has done is in force when it returns.
What is to be removed and is not there any more is removed; what is there and carries another
mark, or none, is not touched (`ownership`). A change that was broken off at any point can be
carried out again, or taken back.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from linkspan.engine.base import Failed
from linkspan.engine.kernel.finder import Finder
from linkspan.engine.kernel.lines import line_of, set_line
from linkspan.engine.kernel.links import Link, look
from linkspan.engine.kernel.machine_ports import add_machine_port
from linkspan.engine.kernel.messages import (
    add_bridge,
    delete_entry,
    fix_bridge,
    move_link,
    set_bridge,
    set_entry,
    set_master,
    set_port,
)
from linkspan.engine.kernel.netfilter import keep_from_netfilter
from linkspan.engine.kernel.new_ports import NewPort, keep_from_addresses, make_ports
from linkspan.engine.kernel.ownership import Recipe, delete, owned, remove_unfinished
from linkspan.engine.kernel.tunnels import make_tunnel, remove_tunnel
from linkspan.engine.lasting_taps import have_tap, remove_tap
from linkspan.engine.machine_ends import MACHINE, drop_end
from linkspan.engine.netlink import Netlink, delete_link, set_link
from linkspan.engine.reading.dump import Dumps
from linkspan.engine.site import Site
from linkspan.errors import Bug, Refusal
from linkspan.model.fact import Key
from linkspan.model.kernel_options import changed, derived_cost
from linkspan.model.options import OptionScope, Plain
from linkspan.model.state import (
    Bridge,
    BridgeKey,
    Entry,
    EntryKey,
    Port,
    PortKey,
    Shaping,
    ShapingKey,
    Tap,
    TapKey,
    Uplink,
    UplinkKey,
    Vxlan,
    VxlanKey,
)
from linkspan.model.topology import Scope
from linkspan.plan.change import Change
from linkspan.sandbox.namespaces import inside


class KernelEngine:
    """Bridges of the kernel, their ports and their FDB, within one lab.

    `places` says on which node each kernel bridge is, or is to be; `names` how the bridge's end of
    each node's interface is to be called (`model.names.switch_side_names`), `machines` which of
    these are ports of virtual machines.
    """

    def __init__(
        self,
        site: Site,
        places: Mapping[str, str],
        names: Mapping[tuple[str, str], str],
        machines: Collection[tuple[str, str]] = (),
    ) -> None:
        self._site = site
        self._places = dict(places)
        self._names = names
        self._find = Finder(site, self._places, names, frozenset(machines))

    def carry_out(self, change: Change) -> None:
        """Carry out a change of a bridge, a port, an uplink or an FDB entry.

        Raises Refusal or OSError when it can't be done; the change may then be half done.
        """
        if (method := self._METHODS.get(type(change.key))) is None:
            raise Bug(f"no kernel bridge can {change.explain()}")
        method(self, change.key, change.before, change.after)

    def add_ports(self, changes: Sequence[Change]) -> None:
        """Make ports of nodes' interfaces, many in one request: all are made, then marked at the
        bridge, then in the nodes. Raises Failed for the first that can't be made.
        """
        of_bridges: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            if isinstance(change.after, Port):
                of_bridges[change.after.bridge].append(change)
        for bridge, its in of_bridges.items():
            self._make_ports(bridge, its)

    def settle(self) -> None:
        """Everything is in force already."""

    def close(self) -> None:
        """Nothing is held."""

    def _bridge(self, key: BridgeKey, before: Bridge | None, after: Bridge | None) -> None:
        if after is not None:
            self._places[key.bridge] = after.node
        if before is None and after is not None:
            self._add_bridge(key.bridge, after)
        elif before is not None and after is not None:
            self._change_bridge(key.bridge, before, after)
        elif before is not None:
            recipe = Recipe(self._find.mark(key.bridge), "bridge", before.mac)
            delete(self._site.netlink(before.node), key.bridge, recipe)

    def _add_bridge(self, name: str, wanted: Bridge) -> None:
        netlink = self._site.netlink(wanted.node)
        if self._site.scope is Scope.SANDBOX:
            with inside(self._site.network(wanted.node)):
                keep_from_netfilter()
        mark = self._find.mark(name)
        remove_unfinished(netlink, name, Recipe(mark, "bridge", wanted.mac))
        netlink.run([add_bridge(name, wanted.mac, wanted.options)])
        netlink.run(fix_bridge(name, wanted.mtu, str(mark)))

    def _change_bridge(self, name: str, before: Bridge, after: Bridge) -> None:
        netlink = self._site.netlink(after.node)
        owned(look(netlink, name), name, self._find.mark(name))
        if options := changed(OptionScope.BRIDGE, before.options, after.options):
            netlink.run(set_bridge(name, options))
        if (before.mac, before.mtu) != (after.mac, after.mtu):
            netlink.run([set_link(name, mac=after.mac, mtu=after.mtu)])

    def _port(self, key: PortKey, before: Port | None, after: Port | None) -> None:
        if before is None and after is not None:
            if after.kind == MACHINE:
                self._add_machine(key, after)
            else:
                self.add_ports([Change(key=key, after=after)])
        elif before is not None and after is not None:
            self._change_port(key, before, after)
        elif before is not None:
            self._delete_port(key, before)

    def _make_ports(self, bridge: str, changes: Sequence[Change]) -> None:
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
        self._set_port(port.wanted.bridge, port.near, options)

    def _add_machine(self, key: PortKey, wanted: Port) -> None:
        _, bridge = self._find.bridge(wanted.bridge)
        name = self._names[key.node, key.interface]
        place, mark = self._places[wanted.bridge], self._find.mark_of(key)
        add_machine_port(self._site, key, place, name, mark, bridge, wanted.mtu)
        self._set_port(wanted.bridge, name, changed(OptionScope.PORT, {}, wanted.options))

    def _change_port(self, key: PortKey, before: Port, after: Port) -> None:
        place, near = self._find.near(key, before.bridge)
        netlink = self._site.netlink(place)
        if after.bridge not in self._places:  # the way back to what other hands had done
            netlink.run([set_master(near.name, None)])
            return
        if before.bridge != after.bridge:
            netlink = self._move_port(near.name, place, after.bridge)
            options = changed(OptionScope.PORT, {}, after.options)
        else:
            options = changed(OptionScope.PORT, before.options, after.options)
        self._set_port(after.bridge, near.name, options)
        if before.mtu != after.mtu:
            netlink.run([set_link(near.name, mtu=after.mtu)])
            keep_from_addresses(netlink, [near.name])
        if after.kind != MACHINE and (before.mtu, before.mac) != (after.mtu, after.mac):
            far = self._site.netlink(key.node)
            far.run([set_link(key.interface, mac=after.mac, mtu=after.mtu)])

    def _move_port(self, near: str, place: str, after: str) -> Netlink:
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

    def _delete_port(self, key: PortKey, before: Port) -> None:
        if before.kind == MACHINE:
            with contextlib.suppress(Refusal):  # it has gone
                place, near = self._find.tap(key)
                self._site.netlink(place).run([delete_link(near.name)])
            drop_end(self._site, key)
            return
        recipe = Recipe(self._find.mark_of(key), "veth", before.mac)
        delete(self._site.netlink(key.node), key.interface, recipe)

    def _shaping(self, key: ShapingKey, before: Shaping | None, after: Shaping | None) -> None:
        shape = after.shape if after is not None else None
        far = self._site.netlink(key.node)
        place, near = self._find.near(PortKey(key.node, key.interface), "")
        set_line(self._site.netlink(place), near.index, shape)
        set_line(far, far.index(key.interface), shape)

    def _uplink(self, key: UplinkKey, before: Uplink | None, after: Uplink | None) -> None:
        netlink = self._site.netlink(key.node)
        nic = look(netlink, key.interface)
        if nic is None:
            if after is None:
                return
            raise Refusal(f"there is no interface {key.interface} on {key.node}")
        if before is not None and (after is None or after.bridge != before.bridge):
            self._release(netlink, nic, before.bridge)
        if after is None:
            return
        known = before.options if before is not None and before.bridge == after.bridge else {}
        if before is None or before.bridge != after.bridge:
            _, bridge = self._find.bridge(after.bridge)
            if before is None and nic.master is not None and nic.master != bridge.index:
                raise Refusal(f"{key.interface} is a port or a member of another interface")
            netlink.run([set_master(nic.name, bridge.index)])
        self._set_port(after.bridge, nic.name, changed(OptionScope.PORT, known, after.options))

    def _release(self, netlink: Netlink, nic: Link, bridge: str) -> None:
        found = look(netlink, bridge)
        if nic.master is None:
            return
        if found is None or nic.master != owned(found, bridge, self._find.mark(bridge)).index:
            raise Refusal(f"{nic.name} is not a port of {bridge} any more, but of something else")
        netlink.run([set_master(nic.name, None)])

    def _vxlan(self, key: VxlanKey, before: Vxlan | None, after: Vxlan | None) -> None:
        mark = self._find.mark(key.name)
        if after is None:
            if before is not None:
                remove_tunnel(self._site.netlink(before.node), key.name, mark)
            return
        netlink, bridge = self._find.bridge(key.bridge)
        make_tunnel(netlink, key.name, mark, after, bridge.index)
        known = before.options if before is not None else {}
        self._set_port(key.bridge, key.name, changed(OptionScope.PORT, known, after.options))
        netlink.run([set_link(key.name, up=True)])

    def _lasting_tap(self, key: TapKey, before: Tap | None, after: Tap | None) -> None:
        if after is None:
            if before is not None:
                remove_tap(self._site, key, before)
            return
        netlink, bridge = self._find.bridge(key.bridge)
        have_tap(self._site, key, after, bridge.index)
        known = before.options if before is not None else {}
        self._set_port(key.bridge, key.name, changed(OptionScope.PORT, known, after.options))
        netlink.run([set_link(key.name, up=True)])

    def _entry(self, key: EntryKey, before: Entry | None, after: Entry | None) -> None:
        if before is not None and (after is None or after.port != before.port):
            # The entry may have gone with its port, or moved to another one; and the port to
            # another bridge, which may have an entry for the same address.
            with contextlib.suppress(Refusal):
                netlink, bridge = self._find.bridge(key.bridge)
                port = self._find.device(key.bridge, before.port)
                if port.master == bridge.index:
                    netlink.run([delete_entry(port.index, key.mac, key.vlan)])
        if after is not None:
            netlink, _ = self._find.bridge(key.bridge)
            port = self._find.device(key.bridge, after.port)
            netlink.run([set_entry(port.index, key.mac, key.vlan, after.sticky)])

    _METHODS: Final[dict[type[Key], Callable[..., None]]] = {
        BridgeKey: _bridge,
        PortKey: _port,
        ShapingKey: _shaping,
        UplinkKey: _uplink,
        VxlanKey: _vxlan,
        TapKey: _lasting_tap,
        EntryKey: _entry,
    }

    def _set_port(self, bridge: str, name: str, options: dict[str, Plain]) -> None:
        """Set options of a port; a cost that is left to the kernel again is what it derives."""
        place = self._places[bridge]
        if "cost" in options and options["cost"] is None:
            with inside(self._site.network(place)), Dumps() as dumps:
                speed = dumps.speed(name.encode() + b"\0")
            options = {**options, "cost": derived_cost(speed)}
        if options:
            self._site.netlink(place).run([set_port(name, options)])
