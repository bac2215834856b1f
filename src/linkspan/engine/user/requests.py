"""What the control socket of a switch process answers. One request a line, see `control.lines`.

snapshot                          the bridge, its ports with counters, its FDB
fdb-add     mac port [kind]       a static (default) or sticky entry
fdb-delete  mac                   delete an entry that is not the bridge's own
fdb-flush   [port]                forget what was learned, on one port or on all
options     port, {option: value} change options of a port
bridge      {option: value}       change ageing_time (seconds), group_fwd_mask or up
counters                          counters of all ports
events                            from now on also lines {"event": …}: learned, moved, expired, …

A request changes all that it names or nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from operator import itemgetter
from typing import Annotated, Any, Final

import msgspec

from linkspan.bridge.commit import Event
from linkspan.bridge.fdb import Entry, EntryKind
from linkspan.bridge.port import PortOptions, PortState
from linkspan.control.lines import Connection, RequestError, Value
from linkspan.control.server import Server
from linkspan.engine.user.configuration import PortConfiguration, SwitchConfiguration
from linkspan.engine.user.dataplane import Dataplane
from linkspan.engine.user.restore import Keeper
from linkspan.errors import Mistake
from linkspan.model.bridge_options import LONGEST_AGEING
from linkspan.model.snapshot import BridgeSnapshot, Counters, FdbSnapshot, PortSnapshot
from linkspan.types import NO_VLAN, Mac, PortNumber, format_mac, parse_mac

_READING: Final = ("snapshot", "counters")
_ADDABLE: Final = {"static": EntryKind.STATIC, "sticky": EntryKind.STICKY}


class Requests:
    """Answers requests about one switch and sends events to those who asked for them."""

    def __init__(self, configuration: SwitchConfiguration) -> None:
        self._configuration = configuration
        self._configured = {port.number: port for port in configuration.ports}
        self._listeners: set[Connection] = set()
        self._dataplane: Dataplane
        self._keeper: Keeper
        self._server: Server

    def attach(self, dataplane: Dataplane, server: Server, keeper: Keeper) -> None:
        """Say whom the requests are about, once it exists."""
        self._dataplane, self._server, self._keeper = dataplane, server, keeper

    def handle(self, connection: Connection, request: Value, descriptors: list[int]) -> Value:
        """Answer one request. Raises RequestError."""
        while descriptors:
            os.close(descriptors.pop())
        operation = request.pop("op")
        if operation == "events":
            if request:
                raise RequestError(f"events: unknown field {min(request)!r}")
            self._listeners.add(connection)
            return {}
        answer = self.OPERATIONS.get(operation)
        if answer is None:
            raise RequestError(f"unknown op; known: {', '.join([*self.OPERATIONS, 'events'])}")
        try:
            result = answer(self, **request)
        except TypeError as error:
            raise RequestError(f"{operation}: {str(error).partition(' ')[2]}") from None
        except (ValueError, Mistake) as error:
            raise RequestError(f"{operation}: {error}") from None
        if operation in _READING:
            # A counter that somebody has seen does not go back, whenever this process is killed.
            self._keeper.tick()
        else:
            # In this order: what was acknowledged is in force and outlives this process.
            self._dataplane.publish(wait=True)
            self._keeper.note_whole()
        return result

    def forget(self, connection: Connection) -> None:
        """A client has gone."""
        self._listeners.discard(connection)

    def report(self, events: Iterable[Event]) -> None:
        """Tell the listeners what happened."""
        if not self._listeners:
            return
        for event in events:
            self._server.broadcast(self._describe(event), self._listeners)

    def _describe(self, event: Event) -> dict[str, object]:
        described: dict[str, object] = {"event": type(event).__name__.lower(), "at": time.time()}
        for name, value in asdict(event).items():
            if isinstance(value, bytes):
                described[name] = format_mac(value)
            elif name in ("port", "old", "new"):
                described[name] = self._name(value)
            else:
                described[name] = value
        return described

    # reading

    def _snapshot(self) -> Value:
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
            port=self._name(entry.port),
            kind=entry.kind.name.lower(),
            age=round(now - entry.updated, 3) if entry.kind is EntryKind.LEARNED else None,
        )

    def _counters(self) -> Value:
        self._dataplane.settle(time.monotonic())
        return {
            "ports": {
                self._name(number): msgspec.to_builtins(self._counters_of(number))
                for number in sorted(self._dataplane.ports)
            }
        }

    def _name(self, number: PortNumber) -> str:
        configured: PortConfiguration | None = self._configured.get(number)
        return configured.name if configured else str(number)

    # changing

    def _number(self, name: str) -> PortNumber:
        for number, configured in self._configured.items():
            if configured.name == name:
                return PortNumber(number)
        known = ", ".join(configured.name for configured in self._configured.values())
        raise RequestError(f"no port named {name!r}; the bridge has {known}")

    def _fdb_add(self, mac: str, port: str, kind: str = "static") -> Value:
        address, number = parse_mac(mac), self._number(port)
        if kind not in _ADDABLE:
            raise RequestError(f"kind is one of {', '.join(_ADDABLE)}, not {kind!r}")
        self._refuse_own(address)
        self._settle()
        self._dataplane.bridge.add_entry(address, number, _ADDABLE[kind], time.monotonic())
        return {}

    def _fdb_delete(self, mac: str) -> Value:
        address = parse_mac(mac)
        self._refuse_own(address)
        self._settle()
        self._dataplane.bridge.delete_entry(address)
        return {}

    def _refuse_own(self, address: Mac) -> None:
        known = self._dataplane.bridge.fdb.find((NO_VLAN, address))
        if known is not None and known.kind is EntryKind.LOCAL:
            raise RequestError(
                f"{format_mac(address)} is an address of the bridge itself and stays"
            )

    def _fdb_flush(self, port: str | None = None) -> Value:
        number = None if port is None else self._number(port)
        self._settle()
        return {"removed": self._dataplane.bridge.flush(number)}

    def _options(self, port: str, options: dict[str, Any]) -> Value:
        number = self._number(port)
        present = msgspec.structs.asdict(self._dataplane.bridge.ports[number].options)
        wanted = msgspec.convert({**present, **options}, PortOptions)
        _refuse_unknown(options, present)
        self._settle()
        self._dataplane.bridge.set_options(number, wanted)
        return {"options": msgspec.structs.asdict(wanted)}

    def _bridge(self, options: dict[str, Any]) -> Value:
        change = msgspec.convert(options, _BridgeOptions)
        _refuse_unknown(options, _BridgeOptions.__struct_fields__)
        bridge = self._dataplane.bridge
        self._settle()
        if change.group_fwd_mask is not None:  # the only one that can be refused, so it is first
            bridge.set_group_fwd_mask(change.group_fwd_mask)
        if change.ageing_time is not None:
            bridge.set_ageing_time(change.ageing_time)
        if change.up is not None:
            bridge.set_up(change.up)
        return {}

    def _settle(self) -> None:
        """Bring ageing up to date: a change ends the cache entries that know who was seen."""
        self._dataplane.settle(time.monotonic())

    OPERATIONS: Final[dict[str, Callable[..., Value]]] = {
        "snapshot": _snapshot,
        "counters": _counters,
        "fdb-add": _fdb_add,
        "fdb-delete": _fdb_delete,
        "fdb-flush": _fdb_flush,
        "options": _options,
        "bridge": _bridge,
    }


class _BridgeOptions(msgspec.Struct, frozen=True):
    ageing_time: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_AGEING)] | None = None
    group_fwd_mask: int | None = None
    up: bool | None = None


def _refuse_unknown(options: dict[str, Any], known: Iterable[str]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise RequestError(f"unknown option {unknown[0]!r}; known: {', '.join(sorted(known))}")
