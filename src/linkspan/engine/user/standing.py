"""Ports that stay where they stand: a node's NICs, and the taps that the file declares.

What the switch has of either is the same (`uplinks`): to it a tap is a NIC, whose cable is the
program that has it open. The difference is its life. A NIC was there before and is there after, and
moves from bridge to bridge; a tap is made for its bridge (`engine.lasting_taps`), and is not up
before its frames go to the switch alone. What is found of a tap that is not in place (the switch
lost it, somebody set it down) is taken anew, and the program that has it open keeps it. Behind a
relay the switch does not see whether anybody has it open; what goes there then is the tap's drop.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from linkspan.engine.lasting_taps import have_tap, remove_tap
from linkspan.engine.netlink import set_link
from linkspan.engine.site import Site
from linkspan.engine.user.configuration import PortConfiguration
from linkspan.engine.user.interfaces import Interfaces
from linkspan.engine.user.options import port_options
from linkspan.engine.user.switch import Switch
from linkspan.engine.user.switches import Switches
from linkspan.engine.user.uplinks import Uplinks
from linkspan.engine.user.work import Work
from linkspan.errors import Refusal
from linkspan.model.state import Tap, TapKey, Uplink, UplinkKey


class StandingPorts:
    """Carries out changes of them within one lab; `work` collects what the switches are told."""

    def __init__(self, site: Site, switches: Switches, interfaces: Interfaces, work: Work) -> None:
        self._site = site
        self._switches = switches
        self._uplinks = Uplinks(site, interfaces)
        self._work = work

    def uplink(self, key: UplinkKey, before: Uplink | None, after: Uplink | None) -> None:
        """Carry out a change of a NIC as a port. Raises Refusal or OSError."""
        place = self._switches.find(self._switches.of(key) or "")
        present = place.port(key.interface) if place is not None else None
        if place is not None and present is not None:
            if before is not None and after is not None and after.bridge == place.name:
                mtu = present.options.mtu
                known = port_options(before.options, mtu)
                place.set_options(present, port_options(after.options, mtu), known)
                return
            self._let_go(place, present)
        if after is None:
            return
        self._work.let_depart()
        switch, options = self._switches.require(after.bridge), after.options
        if switch.port(key.interface) is not None:
            raise Refusal(f"{switch.name} has a port named {key.interface} already")
        taken = self._uplinks.take(
            switch, key.node, key.interface, lambda mtu: port_options(options, mtu)
        )
        self._add(switch, taken.port, taken.descriptor, taken.engage)

    def tap(self, key: TapKey, before: Tap | None, after: Tap | None) -> None:
        """Carry out a change of a tap that the file declares. Raises Refusal or OSError."""
        switch = self._switches.find(key.bridge)
        present = switch.port(key.name) if switch is not None else None
        if switch is not None and present is not None:
            if before is not None and before.in_place and after is not None:
                have_tap(self._site, key, after, None)
                known = port_options(before.options, before.mtu)
                switch.set_options(present, port_options(after.options, after.mtu), known)
                return
            self._let_go(switch, present)
        self._work.let_depart()
        if after is None:
            if before is not None:
                remove_tap(self._site, key, before)
            return
        have_tap(self._site, key, after, None)
        switch, options = self._switches.require(key.bridge), port_options(after.options, after.mtu)
        taken = self._uplinks.take(switch, after.node, key.name, lambda _: options)
        netlink = self._site.netlink(after.node)

        def engage() -> None:
            taken.engage()
            netlink.run([set_link(key.name, up=True)])

        self._add(switch, replace(taken.port, tap=True), taken.descriptor, engage)

    def release(self, switch: Switch, port: PortConfiguration) -> None:
        """Give an interface's frames back to the kernel's stack; what the switch has of it stays
        the caller's to remove.
        """
        self._uplinks.release(switch, port)

    def near(self, port: PortConfiguration) -> str:
        """The name of the switch's end of a port's relay, which may not be there."""
        return self._uplinks.near(port)

    def _add(
        self,
        switch: Switch,
        port: PortConfiguration,
        descriptor: int | None,
        engage: Callable[[], None],
    ) -> None:
        switch.add(port, descriptor)
        self._work.engaging.append(engage)
        self._switches.place(port, switch.name)

    def _let_go(self, switch: Switch, port: PortConfiguration) -> None:
        self.release(switch, port)
        switch.remove(port)
        self._switches.displace(UplinkKey(port.node or "", port.interface or ""))
        self._work.sinking.append(self.near(port))
