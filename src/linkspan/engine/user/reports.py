"""What a switch process reports: its bridge, its ports with counters, its FDB, what happened."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from operator import itemgetter

import msgspec

from linkspan.bridge.commit import Event
from linkspan.bridge.fdb import Entry, EntryKind
from linkspan.bridge.port import PortState
from linkspan.control.lines import Value
from linkspan.engine.user.configuration import PortConfiguration, SwitchConfiguration
from linkspan.engine.user.dataplane import Dataplane
from linkspan.model.snapshot import BridgeSnapshot, Counters, FdbSnapshot, PortSnapshot
from linkspan.types import Mac, PortNumber, format_mac


class Reports:
    """The state of one switch as plain values. `configured` is what its ports are, by number."""

    def __init__(
        self,
        configuration: SwitchConfiguration,
        configured: dict[int, PortConfiguration],
        dataplane: Dataplane,
    ) -> None:
        self._configuration = configuration
        self._configured = configured
        self._dataplane = dataplane

    def snapshot(self) -> Value:
        """Everything."""
        now = time.monotonic()
        self._dataplane.settle(now)
        bridge, side = self._dataplane.bridge, self._dataplane.kernel_side
        snapshot = BridgeSnapshot(
            name=bridge.name,
            node=self._configuration.node,
            engine="user",
            mac=format_mac(bridge.mac),
            up=bridge.up,
            addresses=[],
            options={
                "ageing_time": bridge.fdb.ageing_time,
                "fdb_max_learned": bridge.fdb.max_learned,
                "group_fwd_mask": bridge.group_fwd_mask,
            },
            pid=os.getpid(),
            restarts=0,
            cache=self._configuration.cache,
            flows=0 if side is None else len(side.kernel),
            ports=[self._port(number) for number in sorted(bridge.ports)],
            fdb=[
                self._entry(vlan, mac, entry, now)
                for (vlan, mac), entry in sorted(bridge.fdb, key=itemgetter(0))
            ],
        )
        return {"bridge": msgspec.to_builtins(snapshot)}

    def _port(self, number: PortNumber) -> PortSnapshot:
        port, configured = self._dataplane.bridge.ports[number], self._configured[number]
        forwarding = port.state is PortState.FORWARDING and self._dataplane.bridge.up
        return PortSnapshot(
            name=port.name,
            number=number,
            kind=configured.kind,
            state="forwarding" if forwarding else "disabled",
            node=configured.node,
            interface=configured.interface,
            options=msgspec.structs.asdict(port.options),
            counters=self._counters_of(number),
            shape=self._dataplane.shaping.shape_of(number),
        )

    def _counters_of(self, number: PortNumber) -> Counters:
        port = self._dataplane.ports[number]
        return Counters(
            frames_in=port.frames_in,
            bytes_in=port.bytes_in,
            frames_out=port.frames_out,
            bytes_out=port.bytes_out,
            drops=dict(port.drops),
        )

    def _entry(self, vlan: int, mac: Mac, entry: Entry, now: float) -> FdbSnapshot:
        return FdbSnapshot(
            mac=format_mac(mac),
            vlan=vlan,
            port=self.name(entry.port),
            kind=entry.kind.name.lower(),
            age=round(now - entry.updated, 3) if entry.kind is EntryKind.LEARNED else None,
        )

    def counters(self) -> Value:
        """The counters of all ports, by name."""
        self._dataplane.settle(time.monotonic())
        return {
            "ports": {
                self.name(number): msgspec.to_builtins(self._counters_of(number))
                for number in sorted(self._dataplane.ports)
            }
        }

    def name(self, number: PortNumber) -> str:
        """The name of a port."""
        configured: PortConfiguration | None = self._configured.get(number)
        return configured.name if configured else str(number)

    def event(self, event: Event) -> dict[str, object]:
        """An event as a line for those who listen."""
        described: dict[str, object] = {"event": type(event).__name__.lower(), "at": time.time()}
        for name, value in asdict(event).items():
            if isinstance(value, bytes):
                described[name] = format_mac(value)
            elif name in ("port", "old", "new"):
                described[name] = self.name(value)
            else:
                described[name] = value
        return described
