"""Interfaces of nodes as ports: made, changed, moved from bridge to bridge, removed.

A virtual machine has no namespace: its tap is beside the switch's ends, or its port is a socket.

A port is a tap, or a veth whose switch's end is behind the in-kernel cache or read by a packet
socket (`interfaces`). It stays what it is as long as the interface lives. Moved to another bridge,
its descriptor, or the program on the switch's end, becomes the other's; only between a bridge with
a cache and one without does a veth change how it is read, and a tap on a bridge with a cache goes
through the switch process. The interface in the node never notices.
"""

from __future__ import annotations

from msgspec.structs import replace

from linkspan.engine.machine_ends import MACHINE, drop_end, hold_end, hold_socket
from linkspan.engine.netlink import set_link
from linkspan.engine.site import Site
from linkspan.engine.traffic_control import add_clsact, delete_clsact
from linkspan.engine.user.configuration import PortConfiguration
from linkspan.engine.user.devices import may_open_tap, open_packet_socket
from linkspan.engine.user.interfaces import Interfaces, near_name
from linkspan.engine.user.options import port_options
from linkspan.engine.user.switch import Switch
from linkspan.engine.user.switches import Switches
from linkspan.engine.user.work import Work
from linkspan.model.names import port_name
from linkspan.model.state import Port, PortKey
from linkspan.types import HOST_PORT


class NodePorts:
    """Carries out changes of ports within one lab; `work` collects what the switches are told."""

    def __init__(self, site: Site, switches: Switches, interfaces: Interfaces, work: Work) -> None:
        self._site = site
        self._switches = switches
        self._interfaces = interfaces
        self._work = work
        self._has_taps = may_open_tap()

    def carry_out(self, key: PortKey, before: Port | None, after: Port | None) -> None:
        """Carry out a change of a port. Raises Refusal or OSError."""
        if after is None:
            if before is not None:
                self._remove_port(key, before)
        elif before is None or self._switches.of(key) is None:
            self._add_port(key, after)
        else:
            self._change_port(key, before, after)

    def _add_port(self, key: PortKey, wanted: Port) -> None:
        self._remove_port(key, wanted)
        self._work.let_depart()
        name = port_name(key.node, key.interface)
        self._clear(key, wanted)
        switch = self._switches.require(wanted.bridge)
        port = PortConfiguration(
            number=switch.free_number(),
            name=name,
            kind="tap",
            mac=None,
            node=key.node,
            interface=key.interface,
            options=port_options(wanted.options, wanted.mtu),
            machine=wanted.kind == MACHINE,
        )
        if port.machine:
            self._make_of_machine(switch, key, port, wanted.mtu)
            return
        self.make(switch, port, wanted.mac, wanted.mtu)

    def make(self, switch: Switch, port: PortConfiguration, mac: str, mtu: int) -> None:
        """Make the interface of a port, and what the switch has of it."""
        node, interface = str(port.node), str(port.interface)
        if self._has_taps and switch.devices is None:
            switch.add(port, self._interfaces.tap(node, interface, mac, mtu, port.name))
        else:
            near = self.near_of(port)
            self._interfaces.veth(node, interface, mac, mtu, port.name, near)
            if switch.devices is None:
                self._site.own.run([set_link(near, up=True)])
                switch.add(replace(port, kind="veth"), open_packet_socket(near))
            else:
                to_peer = self._interfaces.is_elsewhere(node)
                index = switch.devices.add_device(port.number, near, to_peer)
                switch.add(replace(port, kind="veth", ifindex=index, to_peer=to_peer))
                self._work.rising.append(near)
        self._switches.place(port, switch.name)

    def _make_of_machine(
        self, switch: Switch, key: PortKey, port: PortConfiguration, mtu: int
    ) -> None:
        """Make the port of a virtual machine: a tap, or a socket where there can be no taps."""
        if not self._has_taps:
            switch.add(replace(port, kind="dgram"), hold_socket(self._site, key))
        else:
            near = self.near_of(port)
            tap = self._interfaces.machine_tap(mtu, port.name, near)
            hold_end(self._site, key, tap)
            port = replace(port, kind=MACHINE)
            if switch.devices is None:
                self._site.own.run([set_link(near, up=True)])
                switch.add(port, open_packet_socket(near))
            else:
                index = switch.devices.add_device(port.number, near, to_peer=False)
                switch.add(replace(port, ifindex=index))
                self._work.rising.append(near)
        self._switches.place(port, switch.name)

    def _clear(self, key: PortKey, port: Port) -> None:
        """Remove what is left of a port that is to be made, or that no bridge has."""
        name, near = port_name(key.node, key.interface), self.near(key.node, key.interface)
        if port.kind == MACHINE:
            drop_end(self._site, key)
            self._interfaces.clear_near(name, near)
        else:
            self._interfaces.clear(key.node, key.interface, name, near)

    def _change_port(self, key: PortKey, before: Port, after: Port) -> None:
        source = self._switches.require(str(self._switches.of(key)))
        target = self._switches.require(after.bridge)
        name, near = port_name(key.node, key.interface), self.near(key.node, key.interface)
        port = source.require_port(name)
        if port.machine:
            self._interfaces.change_near(near, after.mtu)
        else:
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
        self._work.let_depart()
        near, own = self.near_of(port), self._site.own
        wanted = replace(wanted, number=target.free_number())
        if port.ifindex is not None and target.devices is not None:
            target.devices.enter(wanted.number, port.ifindex, port.to_peer)
            swap = target.devices.put_program(port.ifindex)
            self._work.engaging.append(lambda: own.run([swap]))
            target.add(wanted)
        elif port.ifindex is not None:
            own.run([set_link(near, up=True)])
            bare = delete_clsact(port.ifindex)
            self._work.engaging.append(lambda: own.run([bare]))
            target.add(replace(wanted, ifindex=None, to_peer=False), open_packet_socket(near))
        elif port.kind in ("veth", MACHINE) and target.devices is not None:
            index = own.index(near)
            to_peer = not port.machine and self._interfaces.is_elsewhere(str(port.node))
            target.devices.enter(wanted.number, index, to_peer)
            put = [add_clsact(index), target.devices.put_program(index)]
            self._work.engaging.append(lambda: own.run(put))
            target.add(replace(wanted, ifindex=index, to_peer=to_peer))
        else:
            target.add(wanted, source.fetch(port))
        source.remove(port)
        self._switches.place(wanted, target.name)

    def _remove_port(self, key: PortKey, port: Port) -> None:
        name, near = port_name(key.node, key.interface), self.near(key.node, key.interface)
        switch = self._switches.find(self._switches.of(key) or "")
        if switch is not None:
            switch.remove(switch.require_port(name))
            self._switches.displace(key)
            self._work.sinking.append(near)
            if port.kind == MACHINE:
                self._work.ends.append(key)
        else:
            self._clear(key, port)

    def near(self, node: str | None, interface: str) -> str:
        """The name of the switch's end of a node's interface, or of a bridge's own."""
        owner = ("bridge", interface) if node is None else ("port", node, interface)
        return near_name(self._site.lab, *owner)

    def near_of(self, port: PortConfiguration) -> str:
        """The name of the switch's end of a port that is no uplink."""
        return self.near(None if port.number == HOST_PORT else port.node, port.interface or "")
