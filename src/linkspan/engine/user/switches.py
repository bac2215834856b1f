"""The bridges of the user engine in one lab: those that run, as init knows them, and new ones."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from linkspan.engine.site import Site
from linkspan.engine.user.configuration import (
    OFF_BY_FILE,
    PortConfiguration,
    SwitchConfiguration,
    cache_key,
    control_key,
    memory_key,
    program_key,
    service_name,
    upcall_key,
)
from linkspan.engine.user.interfaces import near_name
from linkspan.engine.user.options import bridge_options
from linkspan.engine.user.reading import configurations
from linkspan.engine.user.switch import Switch
from linkspan.errors import Refusal
from linkspan.model.state import Bridge, PortKey, UplinkKey

_MOST_BYTES = 900_000
"""Of configurations in one request; a line may have a little more (`control.lines`)."""


class Switches:
    """All of them, looked up at init once and kept in step from then on."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._switches: dict[str, Switch] = {}
        self._places: dict[tuple[str, str], str] = {}
        """Bridges of interfaces, by node and name."""
        for configuration in configurations(site):
            switch = Switch(site.folder, site.init, configuration, runs=True)
            self._switches[configuration.name] = switch
            if configuration.cache == "on":
                switch.find_cache(self.upcall_name(configuration.name))
            for port in configuration.ports:
                self.place(port, configuration.name)

    def upcall_name(self, bridge: str) -> str:
        """The name of the tap that a bridge's cache misses come up by."""
        return near_name(self._site.lab, "upcall", bridge)

    def find(self, bridge: str) -> Switch | None:
        """The bridge of that name, if there is one."""
        return self._switches.get(bridge)

    def require(self, bridge: str) -> Switch:
        """The bridge of that name. Raises Refusal when there is none."""
        if bridge not in self._switches:
            raise Refusal(f"there is no bridge {bridge}")
        return self._switches[bridge]

    def running(self) -> Iterator[Switch]:
        """Those that have a process."""
        return (switch for switch in self._switches.values() if switch.runs)

    def waiting(self) -> list[Switch]:
        """Those that have none yet."""
        return [switch for switch in self._switches.values() if not switch.runs]

    def add(self, name: str, wanted: Bridge) -> Switch:
        """A new one, down and with no port. Raises Refusal for an option that it can't have."""
        options = bridge_options(wanted.options)
        configuration = SwitchConfiguration(
            name=name,
            node=wanted.node,
            mac=wanted.mac,
            up=False,
            ageing_time=options["ageing_time"],
            fdb_max_learned=int(options["fdb_max_learned"]),
            group_fwd_mask=int(options["group_fwd_mask"]),
            cache=OFF_BY_FILE,
            ports=[],
            declared=dict(wanted.options),
        )
        switch = Switch(self._site.folder, self._site.init, configuration, runs=False)
        self._switches[name] = switch
        return switch

    def end(self, name: str) -> None:
        """End one; its devices are the caller's to delete."""
        switch = self._switches.pop(name)
        switch.end()
        self._places = {key: bridge for key, bridge in self._places.items() if bridge != name}

    def drop_leftovers(self, name: str) -> None:
        """Drop what init holds for a bridge that was never finished."""
        held: list[str] = self._site.init.call("status")["held"]
        keys = {key(name) for key in (control_key, memory_key, cache_key, upcall_key, program_key)}
        beginnings = (f"port:{name}:", f"nic:{name}:")
        left = [each for each in held if each in keys or each.startswith(beginnings)]
        if left:
            self._site.init.call("drop", names=left)

    # where interfaces are

    def of(self, key: PortKey | UplinkKey) -> str | None:
        """The bridge that an interface is a port of."""
        return self._places.get((key.node, key.interface))

    def place(self, port: PortConfiguration, bridge: str) -> None:
        """A port is on a bridge from now on."""
        if port.node is not None and port.interface is not None:
            self._places[port.node, port.interface] = bridge

    def displace(self, key: PortKey | UplinkKey) -> None:
        """An interface is on no bridge any more."""
        self._places.pop((key.node, key.interface), None)

    # init

    def configure(self) -> list[Switch]:
        """Let init know what has changed, in one step as far as a request can hold it; returns the
        bridges whose processes have to be told something."""
        busy = [switch for switch in self.running() if switch.has_work]
        changed = {
            service_name(switch.name): switch.service() for switch in busy if switch.is_changed
        }
        if len(msgspec.json.encode(changed)) <= _MOST_BYTES:
            parts = [changed] if changed else []
        else:
            parts = [{name: service} for name, service in changed.items()]
        for part in parts:
            self._site.init.call("configure", services=part)
        for switch in busy:
            if switch.is_changed:
                switch.make_room()
                switch.is_changed = False
        return busy

    def close(self) -> None:
        """Let go of descriptors."""
        for switch in self._switches.values():
            switch.close()
