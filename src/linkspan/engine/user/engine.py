"""Carrying out changes on bridges of the user engine, in a lab that runs or is being made.

A change makes or changes devices at once. What the switch processes have to know of it is
collected and carried out together (`settle`), so that five hundred ports cost one request and not
five hundred. In between, frames wait in taps, or the switch's end of a veth is not up yet.

    configure     init: what the next processes find, of all bridges in one step
    send          the processes: ports attached, options, entries
    engage        ends of veths up, NICs taken, ports of moved veths to the new bridge's program
    depart        the processes: ports gone; only now, so that a port that moves is always on one
    clean         what init held for them dropped, their devices deleted

A bridge gets its process when all its first ports are there: with the first change that is of
none of them, or when all is settled. What is left of a thing that is to be made is removed first,
whoever left it: a command that was killed, or somebody who deleted the other half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from socket import SOCK_DGRAM, SOCK_STREAM
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from linkspan.engine.netlink import set_link
from linkspan.engine.site import Site
from linkspan.engine.traffic_control import add_clsact, delete_clsact
from linkspan.engine.user.configuration import PortConfiguration
from linkspan.engine.user.devices import may_open_tap, open_packet_socket, open_unix_socket
from linkspan.engine.user.interfaces import Interfaces, near_name
from linkspan.engine.user.options import bridge_options, port_options
from linkspan.engine.user.switch import Switch
from linkspan.engine.user.switches import Switches
from linkspan.engine.user.uplinks import Uplinks
from linkspan.errors import Bug, Refusal
from linkspan.model.names import port_name
from linkspan.model.state import (
    Bridge,
    BridgeKey,
    Entry,
    EntryKey,
    Key,
    Port,
    PortKey,
    Socket,
    SocketKey,
    Up,
    UpKey,
    Uplink,
    UplinkKey,
)
from linkspan.plan.change import Change
from linkspan.sandbox.syscalls import raise_descriptor_limit
from linkspan.types import HOST_PORT


class UserEngine:
    """Bridges of the user engine, their ports and their FDB, within one lab. It works in a process
    inside the lab's namespaces.
    """

    def __init__(self, site: Site) -> None:
        raise_descriptor_limit()
        self._site = site
        self._switches = Switches(site)
        self._interfaces = Interfaces(site)
        self._uplinks = Uplinks(site, self._interfaces)
        self._has_taps = may_open_tap()
        self._rising: list[str] = []
        """Switch's ends of veths that are to be up."""
        self._engaging: list[Callable[[], None]] = []
        self._sinking: list[str] = []
        """Switch's ends of veths that are to go."""
        self._files: list[Path] = []
        """Sockets of ports that are to go."""

    def carry_out(self, change: Change) -> None:
        """Carry out a change of a bridge, a port, a socket, an uplink or an FDB entry, or take
        note of a bridge's own interface being up or down. What a switch process has to know is in
        force after `settle`.

        Raises Refusal or OSError when it can't be done; the change may then be half done.
        """
        if (method := self._METHODS.get(type(change.key))) is None:
            raise Bug(f"no switch of ours can {change.explain()}")
        method(self, change.key, change.before, change.after)

    def settle(self) -> None:
        """All that was carried out is in force when this returns. Raises Refusal or OSError."""
        self._start()
        self._flush()

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
            switch.change(cache=switch.load_cache(self._switches.upcall_name(name)))
        host = PortConfiguration(
            number=HOST_PORT,
            name=name,
            kind="tap",
            mac=wanted.mac,
            node=wanted.node,
            interface=name,
            options=port_options({}, 0),
        )
        self._make(switch, host, wanted.mac, wanted.mtu)

    def _change_bridge(self, name: str, before: Bridge, wanted: Bridge) -> None:
        switch = self._switches.require(name)
        self._interfaces.change(wanted.node, name, self._near(None, name), wanted.mac, wanted.mtu)
        values = {**bridge_options(wanted.options), "mac": wanted.mac}
        found = {**bridge_options(before.options), "mac": before.mac}
        now = msgspec.structs.asdict(switch.configuration)
        host = switch.require_port(name)
        switch.set_port(host, mac=wanted.mac)
        switch.change(
            declared=dict(wanted.options),
            **{
                name: value
                for name, value in values.items()
                if not found[name] == now[name] == value
            },
        )

    def _remove_bridge(self, name: str, node: str) -> None:
        switch = self._switches.find(name)
        if switch is not None:
            self._flush()
            for port in switch.configuration.ports:
                if port.uplink:
                    self._uplinks.release(switch, port)
            nears = [self._near_of(port) for port in switch.configuration.ports]
            files = [self._file(name, port) for port in switch.configuration.ports]
            self._switches.end(name)
            self._interfaces.delete_near(nears)
            for file in files:
                file.unlink(missing_ok=True)
        self._switches.drop_leftovers(name)
        self._interfaces.clear(node, name, name, self._near(None, name))

    def _file(self, bridge: str, port: PortConfiguration) -> Path:
        # No interface name holds a colon, so no other socket of the lab has this name.
        return self._site.folder / f"{bridge}:{port.name}.sock"

    # ports

    def _port(self, key: PortKey, before: Port | None, after: Port | None) -> None:
        if after is None:
            self._remove_port(key)
        elif before is None or self._switches.of(key) is None:
            self._add_port(key, after)
        else:
            self._change_port(key, before, after)

    def _add_port(self, key: PortKey, wanted: Port) -> None:
        self._remove_port(key)
        self._let_depart()
        name, near = port_name(key.node, key.interface), self._near(key.node, key.interface)
        self._interfaces.clear(key.node, key.interface, name, near)
        switch = self._switches.require(wanted.bridge)
        port = PortConfiguration(
            number=switch.free_number(),
            name=name,
            kind="tap",
            mac=None,
            node=key.node,
            interface=key.interface,
            options=port_options(wanted.options, wanted.mtu),
        )
        self._make(switch, port, wanted.mac, wanted.mtu)

    def _make(self, switch: Switch, port: PortConfiguration, mac: str, mtu: int) -> None:
        """Make the interface of a port, and what the switch has of it."""
        node, interface = str(port.node), str(port.interface)
        if self._has_taps and switch.devices is None:
            switch.add(port, self._interfaces.tap(node, interface, mac, mtu, port.name))
        else:
            near = self._near_of(port)
            self._interfaces.veth(node, interface, mac, mtu, port.name, near)
            if switch.devices is None:
                self._site.own.run([set_link(near, up=True)])
                switch.add(replace(port, kind="veth"), open_packet_socket(near))
            else:
                to_peer = self._interfaces.is_elsewhere(node)
                index = switch.devices.add_veth(port.number, near, to_peer)
                switch.add(replace(port, kind="veth", ifindex=index, to_peer=to_peer))
                self._rising.append(near)
        self._switches.place(port, switch.name)

    def _change_port(self, key: PortKey, before: Port, after: Port) -> None:
        source = self._switches.require(str(self._switches.of(key)))
        target = self._switches.require(after.bridge)
        name, near = port_name(key.node, key.interface), self._near(key.node, key.interface)
        port = source.require_port(name)
        self._interfaces.change(key.node, key.interface, near, after.mac, after.mtu)
        options = port_options(after.options, after.mtu)
        if source is not target:
            self._move(source, target, port, replace(port, options=options))
        else:
            source.set_options(port, options, port_options(before.options, before.mtu))
        if before.bridge != source.name:
            # Whoever moved it before us was killed, and the processes may not all know.
            target.confirm(target.require_port(name))
            for other in self._switches.running():
                if other is not target and other.port(name) is None:
                    other.departing.append(port)

    def _move(
        self, source: Switch, target: Switch, port: PortConfiguration, wanted: PortConfiguration
    ) -> None:
        """From one switch to another. The interface in the node stays, with its connections."""
        self._let_depart()
        near, own = self._near_of(port), self._site.own
        wanted = replace(wanted, number=target.free_number())
        if port.ifindex is not None and target.devices is not None:
            target.devices.enter(wanted.number, port.ifindex, port.to_peer)
            swap = target.devices.put_program(port.ifindex)
            self._engaging.append(lambda: own.run([swap]))
            target.add(wanted)
        elif port.ifindex is not None:
            own.run([set_link(near, up=True)])
            bare = delete_clsact(port.ifindex)
            self._engaging.append(lambda: own.run([bare]))
            target.add(replace(wanted, ifindex=None, to_peer=False), open_packet_socket(near))
        elif port.kind == "veth" and target.devices is not None:
            index, to_peer = own.index(near), self._interfaces.is_elsewhere(str(port.node))
            target.devices.enter(wanted.number, index, to_peer)
            put = [add_clsact(index), target.devices.put_program(index)]
            self._engaging.append(lambda: own.run(put))
            target.add(replace(wanted, ifindex=index, to_peer=to_peer))
        else:
            target.add(wanted, source.fetch(port))
        source.remove(port)
        self._switches.place(wanted, target.name)

    def _remove_port(self, key: PortKey) -> None:
        name, near = port_name(key.node, key.interface), self._near(key.node, key.interface)
        switch = self._switches.find(self._switches.of(key) or "")
        if switch is not None:
            switch.remove(switch.require_port(name))
            self._switches.displace(key)
            self._sinking.append(near)
        else:
            self._interfaces.clear(key.node, key.interface, name, near)

    # sockets, uplinks, entries

    def _socket(self, key: SocketKey, before: Socket | None, after: Socket | None) -> None:
        switch = self._switches.require(key.bridge)
        present = switch.port(key.name)
        options = port_options(after.options, after.mtu) if after is not None else None
        if options is not None and before is not None and present is not None:
            switch.set_options(present, options, port_options(before.options, before.mtu))
            return
        if present is not None:
            switch.remove(present)
            self._files.append(self._file(switch.name, present))
        if after is None or options is None:
            return
        self._let_depart()
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

    def _uplink(self, key: UplinkKey, before: Uplink | None, after: Uplink | None) -> None:
        place = self._switches.find(self._switches.of(key) or "")
        present = place.port(key.interface) if place is not None else None
        if place is not None and present is not None:
            if before is not None and after is not None and after.bridge == place.name:
                mtu = present.options.mtu
                known = port_options(before.options, mtu)
                place.set_options(present, port_options(after.options, mtu), known)
                return
            self._uplinks.release(place, present)
            place.remove(present)
            self._switches.displace(key)
            self._sinking.append(self._uplinks.near(present))
        if after is None:
            return
        self._let_depart()
        switch, options = self._switches.require(after.bridge), after.options
        if switch.port(key.interface) is not None:
            raise Refusal(f"{switch.name} has a port named {key.interface} already")
        taken = self._uplinks.take(
            switch, key.node, key.interface, lambda mtu: port_options(options, mtu)
        )
        switch.add(taken.port, taken.descriptor)
        self._engaging.append(taken.engage)
        self._switches.place(taken.port, switch.name)

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
        self._start()

    _METHODS: Final[dict[type[Key], Callable[..., Any]]] = {
        BridgeKey: _bridge,
        PortKey: _port,
        SocketKey: _socket,
        UplinkKey: _uplink,
        EntryKey: _entry,
        UpKey: _up,
    }

    # carrying it out

    def _start(self) -> None:
        """Start the processes of bridges that have none. The ends of their veths come up when they
        answer: a process that starts has better things to do than a whole lab's first frames."""
        for switch in self._switches.waiting():
            switch.start()

    def _let_depart(self) -> None:
        """Before anything is made: what went may have its name, its number or its file."""
        if any(switch.departing for switch in self._switches.running()):
            self._flush()

    def _flush(self) -> None:
        busy = self._switches.configure()
        for switch in busy:
            switch.send()
        self._engage(busy)
        for switch in busy:
            switch.depart()
            switch.clean()
        self._interfaces.delete_near(self._sinking)
        for file in self._files:
            file.unlink(missing_ok=True)
        self._sinking, self._files = [], []

    def _engage(self, busy: Sequence[Switch]) -> None:
        """Let frames come from what the processes know by now, and them take notice of it."""
        if not self._rising and not self._engaging:
            return
        self._site.own.run([set_link(near, up=True) for near in self._rising])
        for engage in self._engaging:
            engage()
        self._rising, self._engaging = [], []
        for switch in busy:
            switch.send()

    def _near(self, node: str | None, interface: str) -> str:
        """The name of the switch's end of a node's interface, or of a bridge's own."""
        owner = ("bridge", interface) if node is None else ("port", node, interface)
        return near_name(self._site.lab, *owner)

    def _near_of(self, port: PortConfiguration) -> str:
        if port.uplink:
            return self._uplinks.near(port)
        return self._near(None if port.number == HOST_PORT else port.node, port.interface or "")
