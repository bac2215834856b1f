"""What the control socket of a switch process answers. One request a line, see `control.lines`.

snapshot                          the bridge, its ports with counters, its FDB
fdb-add     mac port [kind]       a static (default) or sticky entry
fdb-delete  mac [missing_ok]      delete an entry that is not the bridge's own
fdb-flush   [port]                forget what was learned, on one port or on all
options     port, {option: value} change options of a port
shape       port, shape           how slow, late and lossy a port's line is; null: not at all
bridge      {option: value}       change ageing_time (seconds), group_fwd_mask, fdb_max_learned,
                                  mac or up
port-add    port                  attach a port (`PortConfiguration`), whose descriptor comes with
                                  the request; one that is there gets its options, one of another
                                  number or another name that is in the way goes
port-delete ports                 let go of ports by name, of those that there are
batch       requests              carry out one after the other, up to the first that can't be
counters                          counters of all ports
events                            from now on also lines {"event": …}: learned, moved, expired, …

A request changes all that it names or nothing; a batch is as many requests. What was acknowledged
is in force, and outlives this process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final

import msgspec

from linkspan.bridge.commit import Event
from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.port import PortOptions
from linkspan.bridge.state import is_station
from linkspan.control.lines import Connection, RequestError, Value
from linkspan.control.server import Server
from linkspan.engine.user.attach import attach
from linkspan.engine.user.configuration import PortConfiguration, SwitchConfiguration
from linkspan.engine.user.dataplane import Dataplane
from linkspan.engine.user.devices import is_same_device
from linkspan.engine.user.reports import Reports
from linkspan.engine.user.restore import Keeper, change_mac
from linkspan.errors import Mistake
from linkspan.model.bridge_options import LARGEST_FDB, LONGEST_AGEING
from linkspan.model.shaping import Shape
from linkspan.types import HOST_PORT, NO_VLAN, Mac, PortNumber, format_mac, parse_mac

_READING: Final = ("snapshot", "counters", "events")
_ADDABLE: Final = {"static": EntryKind.STATIC, "sticky": EntryKind.STICKY}


class Requests:
    """Answers requests about one switch and sends events to those who asked for them."""

    def __init__(self, configuration: SwitchConfiguration) -> None:
        self._configuration = configuration
        self._configured = {port.number: port for port in configuration.ports}
        self._listeners: set[Connection] = set()
        self._given: list[int] = []
        """Descriptors that came with the request in hand."""
        self._reports: Reports
        self._dataplane: Dataplane
        self._keeper: Keeper
        self._server: Server

    def bind(self, dataplane: Dataplane, server: Server, keeper: Keeper) -> None:
        """Say whom the requests are about, once it exists."""
        self._dataplane, self._server, self._keeper = dataplane, server, keeper
        self._reports = Reports(self._configuration, self._configured, dataplane)

    def handle(self, connection: Connection, request: Value, descriptors: list[int]) -> Value:
        """Answer one request. Raises RequestError."""
        self._given = descriptors
        self._dataplane.hear_of_links()
        operation = request.pop("op")
        try:
            if operation == "events":
                if request:
                    raise RequestError(f"events: unknown field {min(request)!r}")
                self._listeners.add(connection)
                return {}
            return self._answer(operation, request)
        finally:
            if operation in _READING:
                # A counter that somebody has seen does not go back, whenever this process ends.
                self._keeper.tick()
            elif operation in self.OPERATIONS:
                self._dataplane.publish(wait=True)
                self._keeper.note_whole()
            while descriptors:
                os.close(descriptors.pop())

    def _answer(self, operation: str, fields: Value) -> Value:
        answer = self.OPERATIONS.get(operation)
        if answer is None:
            raise RequestError(f"unknown op; known: {', '.join([*self.OPERATIONS, 'events'])}")
        try:
            return answer(self, **fields)
        except TypeError as error:
            raise RequestError(f"{operation}: {str(error).partition(' ')[2]}") from None
        except (ValueError, Mistake) as error:
            raise RequestError(f"{operation}: {error}") from None

    def forget(self, connection: Connection) -> None:
        """A client has gone."""
        self._listeners.discard(connection)

    def report(self, events: Iterable[Event]) -> None:
        """Tell the listeners what happened."""
        if not self._listeners:
            return
        for event in events:
            self._server.broadcast(self._reports.event(event), self._listeners)

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

    def _fdb_delete(self, mac: str, missing_ok: bool = False) -> Value:
        address = parse_mac(mac)
        self._refuse_own(address)
        self._settle()
        bridge = self._dataplane.bridge
        if not missing_ok or bridge.fdb.find((NO_VLAN, address)) is not None:
            bridge.delete_entry(address)
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

    def _shape(self, port: str, shape: dict[str, Any] | None) -> Value:
        number = self._number(port)
        if number == HOST_PORT:
            raise RequestError("the bridge's own port has no line that could be shaped")
        self._dataplane.shape(number, msgspec.convert(shape, Shape | None))
        return {}

    def _bridge(self, options: dict[str, Any]) -> Value:
        change = msgspec.convert(options, _BridgeOptions)
        _refuse_unknown(options, _BridgeOptions.__struct_fields__)
        bridge = self._dataplane.bridge
        mac = None if change.mac is None else parse_mac(change.mac)
        if mac is not None and not is_station(mac):
            raise RequestError(f"{change.mac} can't be the address of a bridge")
        self._settle()
        if change.group_fwd_mask is not None:  # the only one that can be refused, so it is first
            bridge.set_group_fwd_mask(change.group_fwd_mask)
        if mac is not None:
            change_mac(bridge, mac)
        if change.ageing_time is not None:
            bridge.set_ageing_time(change.ageing_time)
        if change.fdb_max_learned is not None:
            bridge.fdb.max_learned = change.fdb_max_learned
        if change.up is not None:
            bridge.set_up(change.up)
        return {}

    # ports

    def _port_add(self, port: dict[str, Any]) -> Value:
        wanted = msgspec.convert(port, PortConfiguration)
        number = PortNumber(wanted.number)
        in_the_way = [
            other.name
            for other in self._configured.values()
            if (other.name == wanted.name) != (other.number == number)
            or (other.number == number and self._is_of_another_device(other, wanted))
        ]
        if in_the_way:
            self._port_delete(in_the_way)
        bridge, known = self._dataplane.bridge, self._configured.get(number)
        self._settle()
        if known is None:
            # Of a batch, the first descriptors belong to the first ports.
            given = self._given[: 0 if wanted.ifindex is not None else 1]
            del self._given[: len(given)]
            try:
                attach(self._dataplane, wanted, given)
            finally:
                self._given += given
            self._configured[number] = wanted
        else:
            if wanted.ifindex is None and self._given:
                os.close(self._given.pop(0))
            if number != HOST_PORT:
                bridge.set_options(number, wanted.options)
        self._dataplane.shape(number, wanted.shape)
        return {}

    def _is_of_another_device(self, known: PortConfiguration, wanted: PortConfiguration) -> bool:
        """Whether a port was made anew by a command of which this process has not heard all: it
        then has a port of the same name and number whose device is gone."""
        if known.number == HOST_PORT:
            return False
        if known.ifindex is not None or wanted.ifindex is not None:
            return known.ifindex != wanted.ifindex
        port = self._dataplane.ports[PortNumber(known.number)]
        return bool(self._given) and not is_same_device(port.descriptor, self._given[0])

    def _port_delete(self, ports: list[str]) -> Value:
        found = {
            PortNumber(number): port
            for number, port in self._configured.items()
            if port.name in ports and number != HOST_PORT
        }
        self._dataplane.remove(list(found))
        for number in found:
            del self._configured[number]
        return {}

    def _batch(self, requests: list[dict[str, Any]]) -> Value:
        for request in requests:
            fields = dict(request)
            operation = fields.pop("op", None)
            if operation in (None, "batch", *_READING):
                raise RequestError(f"a batch holds requests that change something, not {request}")
            self._answer(operation, fields)
        return {}

    def _settle(self) -> None:
        """Bring ageing up to date: a change ends the cache entries that know who was seen."""
        self._dataplane.settle(time.monotonic())

    OPERATIONS: Final[dict[str, Callable[..., Value]]] = {
        "snapshot": lambda self: self._reports.snapshot(),
        "counters": lambda self: self._reports.counters(),
        "fdb-add": _fdb_add,
        "fdb-delete": _fdb_delete,
        "fdb-flush": _fdb_flush,
        "options": _options,
        "shape": _shape,
        "bridge": _bridge,
        "port-add": _port_add,
        "port-delete": _port_delete,
        "batch": _batch,
    }


class _BridgeOptions(msgspec.Struct, frozen=True):
    ageing_time: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_AGEING)] | None = None
    group_fwd_mask: int | None = None
    fdb_max_learned: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_FDB)] | None = None
    mac: str | None = None
    up: bool | None = None


def _refuse_unknown(options: dict[str, Any], known: Iterable[str]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise RequestError(f"unknown option {unknown[0]!r}; known: {', '.join(sorted(known))}")
