"""Our switch as values: cache, decide and commit, with a clock that the test moves.

What the engine does around them is done here in the same order: a look into the cache first,
`collect` before a change, and a tick of ageing after it.
"""

from __future__ import annotations

import msgspec
from tests.alike.wire import (
    BRIDGE_MAC,
    DEFAULT_OPTIONS,
    HOST,
    AddEntry,
    AddPort,
    DeleteEntry,
    Deliveries,
    FdbLines,
    Flush,
    LetAge,
    Operation,
    Refused,
    RemovePort,
    SetAgeing,
    SetBridgeMac,
    SetBridgeUp,
    SetCarrier,
    SetMask,
    SetMaxLearned,
    SetOption,
    SetPortUp,
    SetState,
    Wire,
    port_mac,
)

from linkspan.bridge.cache import VerdictCache
from linkspan.bridge.commit import expire
from linkspan.bridge.port import Port, PortOptions, PortState
from linkspan.bridge.reasons import Reason
from linkspan.bridge.state import Bridge
from linkspan.bridge.switch import handle_miss
from linkspan.errors import Mistake
from linkspan.types import HOST_PORT, NO_VLAN, Mac, PortNumber


def number_of(port: str) -> PortNumber:
    """The number of a port by its name."""
    return HOST_PORT if port == HOST else PortNumber(int(port[1:]))


def name_of(number: int) -> str:
    """The name of a port by its number."""
    return f"p{number}" if number else HOST


class MemoryWire(Wire):
    """`bridge` values, without a device anywhere."""

    def __init__(self, ports: tuple[str, ...]) -> None:
        super().__init__(ports)
        self.now = 1000.0
        self.reason: Reason | None = None
        """Of the last frame, when the cache did not know it."""
        self.hits = 0
        self.cache = VerdictCache()
        self.bridge = Bridge("br0", BRIDGE_MAC)
        self.bridge.add_port(Port(HOST_PORT, HOST))
        self._mtu = dict.fromkeys(ports, DEFAULT_OPTIONS.mtu)
        for port in ports:
            self.bridge.add_port(
                Port(number_of(port), port, port_mac(port), options=DEFAULT_OPTIONS)
            )

    def send(self, port: str, frame: bytes) -> Deliveries:
        self.now += 0.001
        number = number_of(port)
        entry = self.cache.find(self.bridge, number, frame)
        if entry is not None:
            entry.frames += 1
            entry.last_used = self.now
            self.hits += 1
            egress = entry.egress
        else:
            verdict, _ = handle_miss(self.bridge, self.cache, number, frame, self.now)
            self.reason = verdict.reason
            egress = verdict.egress
        return {name_of(to): [frame] for to in egress}

    def run(self, operation: Operation) -> None:
        self.cache.collect(self.bridge, self.now)
        try:
            self._run(operation)
        except (Mistake, ValueError) as error:
            raise Refused(str(error)) from None

    def _run(self, operation: Operation) -> None:
        bridge = self.bridge
        match operation:
            case AddEntry(mac, port, kind):
                bridge.add_entry(mac, number_of(port), kind, self.now)
            case DeleteEntry(mac, port):
                self._delete(mac, number_of(port))
            case SetOption(port, name, value):
                self._set_option(port, name, value)
            case SetMask(mask):
                bridge.set_group_fwd_mask(mask)
            case SetAgeing(seconds):
                bridge.set_ageing_time(seconds)
            case LetAge():
                self.now += bridge.fdb.ageing_time + 1
            case Flush(port):
                bridge.flush(None if port is None else number_of(port))
            case SetBridgeUp(up):
                bridge.set_up(up)
            case SetBridgeMac(mac):
                bridge.set_mac(mac)
            case SetMaxLearned(most):
                bridge.fdb.max_learned = most
            case RemovePort(port):
                bridge.remove_port(number_of(port))
            case AddPort(port):
                options = PortOptions(mtu=self._mtu[port])
                bridge.add_port(Port(number_of(port), port, port_mac(port), options))
            case SetState(port, state):
                bridge.set_state(number_of(port), state)

    def _delete(self, mac: Mac, number: PortNumber) -> None:
        """Linux deletes an entry only from the port that it is behind."""
        entry = self.bridge.fdb.find((NO_VLAN, mac))
        if entry is None or entry.port != number:
            raise Refused("no such entry behind that port")
        self.bridge.delete_entry(mac)

    def _set_option(self, port: str, name: str, value: int) -> None:
        number = number_of(port)
        options = self.bridge.ports[number].options
        present = msgspec.structs.asdict(options)
        changed = value if name in ("mtu", "group_fwd_mask") else bool(value)
        self.bridge.set_options(number, msgspec.convert({**present, name: changed}, PortOptions))
        if name == "mtu":
            self._mtu[port] = value

    def settle(self, operation: Operation) -> None:
        match operation:
            case SetPortUp(port) | SetCarrier(port) | AddPort(port):
                self._follow(port)
            case SetBridgeUp():
                for port in self.ports:
                    self._follow(port)
        self.rest(0)

    def _follow(self, port: str) -> None:
        """Give a port the state that its interface has, as the engine does."""
        number = number_of(port)
        if number in self.bridge.ports:
            plugged = port in self.links.up and port in self.links.plugged
            self.bridge.set_state(number, PortState.FORWARDING if plugged else PortState.DISABLED)

    def fdb(self) -> FdbLines:
        return {mac: (name_of(entry.port), entry.kind.value) for (_, mac), entry in self.bridge.fdb}

    def rest(self, seconds: float) -> None:
        self.now += seconds
        self.cache.collect(self.bridge, self.now)
        expire(self.bridge, self.now)

    def close(self) -> None:
        pass
