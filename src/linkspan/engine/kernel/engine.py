"""Carrying out changes on bridges of the kernel: bridges, ports, uplinks, FDB entries.

The bridge carries its mark (`linkspan:LAB:br0`) as its alias; what ports are is in `node_ports`.

Nothing is kept open between two changes: what `carry_out` has done is in force when it returns.
What is to be removed and is not there any more is removed; what is there and carries another
mark, or none, is not touched (`ownership`). A change that was broken off at any point can be
carried out again, or taken back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from linkspan.engine.kernel.finder import Finder
from linkspan.engine.kernel.links import Link, look
from linkspan.engine.kernel.messages import (
    add_bridge,
    delete_entry,
    fix_bridge,
    set_bridge,
    set_entry,
    set_master,
)
from linkspan.engine.kernel.netfilter import keep_from_netfilter
from linkspan.engine.kernel.node_ports import NodePorts
from linkspan.engine.kernel.ownership import Recipe, delete, owned, remove_unfinished
from linkspan.engine.kernel.port_options import set_options
from linkspan.engine.kernel.tunnels import make_tunnel, remove_tunnel
from linkspan.engine.lasting_taps import have_tap, remove_tap
from linkspan.engine.netlink import Netlink, set_link
from linkspan.engine.site import Site
from linkspan.errors import Bug, Refusal
from linkspan.model.fact import Key
from linkspan.model.kernel_options import changed
from linkspan.model.options import OptionScope
from linkspan.model.state import (
    Bridge,
    BridgeKey,
    Entry,
    EntryKey,
    PortKey,
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
        self._find = Finder(site, self._places, names, frozenset(machines))
        self._ports = NodePorts(site, self._find, self._places, names)

    def carry_out(self, change: Change) -> None:
        """Carry out a change of a bridge, a port, an uplink or an FDB entry.

        Raises Refusal or OSError when it can't be done; the change may then be half done.
        """
        if (method := self._METHODS.get(type(change.key))) is None:
            raise Bug(f"no kernel bridge can {change.explain()}")
        method(self, change.key, change.before, change.after)

    def add_ports(self, changes: Sequence[Change]) -> None:
        """Make ports of nodes' interfaces, many in one request. Raises Failed for the first that
        can't be made.
        """
        self._ports.add(changes)

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
        set_options(self._site, key.node, nic.name, changed(OptionScope.PORT, known, after.options))

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
        options = changed(OptionScope.PORT, known, after.options)
        set_options(self._site, after.node, key.name, options)
        netlink.run([set_link(key.name, up=True)])

    def _lasting_tap(self, key: TapKey, before: Tap | None, after: Tap | None) -> None:
        if after is None:
            if before is not None:
                remove_tap(self._site, key, before)
            return
        netlink, bridge = self._find.bridge(key.bridge)
        have_tap(self._site, key, after, bridge.index)
        known = before.options if before is not None else {}
        options = changed(OptionScope.PORT, known, after.options)
        set_options(self._site, after.node, key.name, options)
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
        PortKey: lambda self, *change: self._ports.carry_out(*change),
        ShapingKey: lambda self, *change: self._ports.shape(*change),
        UplinkKey: _uplink,
        VxlanKey: _vxlan,
        TapKey: _lasting_tap,
        EntryKey: _entry,
    }
