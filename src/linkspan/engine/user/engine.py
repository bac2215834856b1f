"""Carrying out changes on bridges of the user engine, in a lab that runs or is being made.

A change makes or changes devices at once. What the switch processes have to know of it is
collected and carried out together (`settle`, in the order of `work`), so that five hundred ports
cost one request and not five hundred. In between, frames wait in taps, or the switch's end of a
veth is not up yet.

A bridge gets its process when all its first ports are there: with the first change that is of
none of them, or when all is settled. What is left of a thing that is to be made is removed first,
whoever left it: a command that was killed, or somebody who deleted the other half.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EADDRINUSE
from pathlib import Path
from socket import SOCK_DGRAM, SOCK_STREAM
from typing import Any, Final

import msgspec

from linkspan.engine.machine_ends import drop_end
from linkspan.engine.netlink import set_link
from linkspan.engine.site import Site
from linkspan.engine.user.configuration import PortConfiguration, VxlanConfiguration
from linkspan.engine.user.devices import open_unix_socket
from linkspan.engine.user.interfaces import OF_SWITCH, Interfaces
from linkspan.engine.user.node_ports import NodePorts
from linkspan.engine.user.options import bridge_options, port_options
from linkspan.engine.user.standing import StandingPorts
from linkspan.engine.user.switches import Switches
from linkspan.engine.user.vxlan import open_vxlan_socket
from linkspan.engine.user.work import Work
from linkspan.errors import Bug, Refusal
from linkspan.model.fact import Key
from linkspan.model.names import port_name
from linkspan.model.state import (
    Bridge,
    BridgeKey,
    Entry,
    EntryKey,
    PortKey,
    Shaping,
    ShapingKey,
    Socket,
    SocketKey,
    TapKey,
    Up,
    UpKey,
    UplinkKey,
    Vxlan,
    VxlanKey,
)
from linkspan.plan.change import Change
from linkspan.sandbox.namespaces import inside
from linkspan.types import HOST_PORT


class UserEngine:
    """Bridges of the user engine, their ports and their FDB, within one lab. It works in a process
    inside the lab's namespaces.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._switches = Switches(site)
        self._interfaces = Interfaces(site)
        self._work = Work(site, self._switches, self._interfaces)
        self._ports = NodePorts(site, self._switches, self._interfaces, self._work)
        self._standing = StandingPorts(site, self._switches, self._interfaces, self._work)

    def carry_out(self, change: Change) -> None:
        """Carry out a change of a bridge, a port of any kind or an FDB entry, or take
        note of a bridge's own interface being up or down. What a switch process has to know is in
        force after `settle`.

        Raises Refusal or OSError when it can't be done; the change may then be half done.
        """
        if (method := self._METHODS.get(type(change.key))) is None:
            raise Bug(f"no switch of ours can {change.explain()}")
        method(self, change.key, change.before, change.after)

    def settle(self) -> None:
        """All that was carried out is in force when this returns. Raises Refusal or OSError."""
        self._work.start()
        self._work.flush()

    def close(self) -> None:
        """Let go of what is held for the time of the work."""
        self._switches.close()

    # bridges

    def _bridge(self, key: BridgeKey, before: Bridge | None, after: Bridge | None) -> None:
        if before is None and after is not None:
            self._add_bridge(key.bridge, after)
        elif before is not None and after is not None:
            self._change_bridge(key.bridge, before, after)
        elif before is not None:
            self._remove_bridge(key.bridge, before.node)

    def _add_bridge(self, name: str, wanted: Bridge) -> None:
        self._remove_bridge(name, wanted.node)
        switch = self._switches.add(name, wanted)
        if wanted.cache != "off":
            upcall = self._switches.upcall_name(name)
            switch.change(cache=switch.load_cache(upcall))
            if switch.devices is not None:
                mark = self._interfaces.mark(f"{OF_SWITCH}{name}")
                self._site.own.run([set_link(upcall, alias=mark)])
        host = PortConfiguration(
            number=HOST_PORT,
            name=name,
            kind="tap",
            mac=wanted.mac,
            node=wanted.node,
            interface=name,
            options=port_options({}, 0),
        )
        self._ports.make(switch, host, wanted.mac, wanted.mtu)

    def _change_bridge(self, name: str, before: Bridge, wanted: Bridge) -> None:
        switch = self._switches.require(name)
        near = self._ports.near(None, name)
        self._interfaces.change(wanted.node, name, near, wanted.mac, wanted.mtu)
        values = {**bridge_options(wanted.options), "mac": wanted.mac}
        found = {**bridge_options(before.options), "mac": before.mac}
        known = msgspec.structs.asdict(switch.configuration)
        switch.set_port(switch.require_port(name), mac=wanted.mac)
        told = {
            option: value
            for option, value in values.items()
            if not found[option] == known[option] == value
        }
        switch.change(declared=dict(wanted.options), **told)

    def _remove_bridge(self, name: str, node: str) -> None:
        switch = self._switches.find(name)
        if switch is not None:
            self._work.flush()
            for port in switch.configuration.ports:
                if port.uplink:
                    self._standing.release(switch, port)
            nears = [self._near_of(port) for port in switch.configuration.ports]
            files = [self._file(name, port) for port in switch.configuration.ports]
            for port in switch.configuration.ports:
                if port.machine:
                    drop_end(self._site, PortKey(str(port.node), str(port.interface)))
            self._switches.end(name)
            self._interfaces.delete_near(nears)
            for file in files:
                file.unlink(missing_ok=True)
        self._switches.drop_leftovers(name)
        self._interfaces.clear(node, name, name, self._ports.near(None, name))

    def _near_of(self, port: PortConfiguration) -> str:
        return self._standing.near(port) if port.uplink else self._ports.near_of(port)

    def _file(self, bridge: str, port: PortConfiguration) -> Path:
        # No interface name holds a colon, so no other socket of the lab has this name.
        return self._site.folder / f"{bridge}:{port.name}.sock"

    # sockets, tunnels, entries

    def _socket(self, key: SocketKey, before: Socket | None, after: Socket | None) -> None:
        switch = self._switches.require(key.bridge)
        present = switch.port(key.name)
        options = port_options(after.options, after.mtu) if after is not None else None
        if options is not None and before is not None and present is not None:
            switch.set_options(present, options, port_options(before.options, before.mtu))
            return
        if present is not None:
            switch.remove(present)
            self._work.files.append(self._file(switch.name, present))
        if after is None or options is None:
            return
        self._work.let_depart()
        port = PortConfiguration(
            number=switch.free_number(),
            name=key.name,
            kind=after.kind,
            mac=None,
            node=None,
            interface=None,
            options=options,
        )
        kind = SOCK_STREAM if after.kind == "stream" else SOCK_DGRAM
        switch.add(port, open_unix_socket(self._file(switch.name, port), kind))

    def _vxlan(self, key: VxlanKey, before: Vxlan | None, after: Vxlan | None) -> None:
        switch = self._switches.require(key.bridge)
        present = switch.port(key.name)
        if present is not None and before is not None and after is not None:
            options, known = (port_options(each.options, each.mtu) for each in (after, before))
            switch.set_options(present, options, known)
            return
        if present is not None:
            switch.remove(present)
        if after is None:
            return
        self._work.let_depart()
        tunnel = VxlanConfiguration(
            vni=after.vni,
            remotes=after.remotes,
            group=after.group,
            interface=after.interface,
            local=after.local,
            port=after.port,
            learn_remotes=after.learn_remotes,
        )
        port = PortConfiguration(
            number=switch.free_number(),
            name=key.name,
            kind="vxlan",
            mac=None,
            node=None,
            interface=None,
            options=port_options(after.options, after.mtu),
            vxlan=tunnel,
        )
        try:
            with inside(self._site.network(after.node)):
                descriptor = open_vxlan_socket(tunnel)
        except OSError as error:
            if error.errno != EADDRINUSE:
                raise
            raise Refusal(
                f"UDP port {after.port} of {after.node} is taken; a tunnel of engine user has one "
                "for itself\n  next: write another `port` at both ends, or `engine: kernel`"
            ) from None
        switch.add(port, descriptor)

    def _shaping(self, key: ShapingKey, before: Shaping | None, after: Shaping | None) -> None:
        switch = self._switches.find(self._switches.of(PortKey(key.node, key.interface)) or "")
        present = switch.port(port_name(key.node, key.interface)) if switch is not None else None
        if switch is not None and present is not None:
            shape = after.shape if after is not None else None
            switch.set_port(present, shape=shape)
            if switch.runs:
                switch.ask("shape", port=present.name, shape=msgspec.to_builtins(shape))

    def _entry(self, key: EntryKey, before: Entry | None, after: Entry | None) -> None:
        if key.vlan:
            raise Refusal("the user engine keeps no FDB entries of VLANs")
        switch = self._switches.find(key.bridge)
        if after is not None:
            kind = "sticky" if after.sticky else "static"
            switch = self._switches.require(key.bridge)
            switch.ask("fdb-add", mac=key.mac, port=after.port, kind=kind)
        elif switch is not None:
            switch.ask("fdb-delete", mac=key.mac, missing_ok=True)

    def _up(self, key: UpKey, before: Up | None, after: Up | None) -> None:
        switch = self._switches.find(key.interface)
        if switch is not None and switch.configuration.node == key.node and after is not None:
            switch.change(up=after.up)
        self._work.start()

    _METHODS: Final[dict[type[Key], Callable[..., Any]]] = {
        BridgeKey: _bridge,
        PortKey: lambda self, *change: self._ports.carry_out(*change),
        SocketKey: _socket,
        UplinkKey: lambda self, *change: self._standing.uplink(*change),
        TapKey: lambda self, *change: self._standing.tap(*change),
        VxlanKey: _vxlan,
        ShapingKey: _shaping,
        EntryKey: _entry,
        UpKey: _up,
    }
