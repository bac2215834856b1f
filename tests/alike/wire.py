"""What the tests of alikeness do to a switch, and how every switch is asked to do it.

A `Step` is a value: a frame that comes in, or an operation. A `Wire` is a switch that has ports
p1, p2, … with taps, sockets or nothing at all behind them, and the host's own port. It carries out
steps one after the other, and shows what they led to: the frames that it delivered, by port, and
its FDB. Whoever drives two of them with the same steps can compare them.

What cannot happen on a wire must not make two of them differ: `Links` knows which ports are in the
bridge, up, and have a carrier, and a `Wire` leaves out a step that has no meaning there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, TypeAlias, get_args

from linkspan.bridge.fdb import AGEING_SECONDS, EntryKind
from linkspan.bridge.port import PortOptions, PortState
from linkspan.types import Mac

HOST: Final = "host"
"""The bridge's own port towards the host's stack."""

BRIDGE_MAC: Final = Mac(bytes.fromhex("02000000b000"))
DEFAULT_MTU: Final = 1500
DEFAULT_OPTIONS: Final = PortOptions(mtu=DEFAULT_MTU)

Deliveries: TypeAlias = dict[str, list[bytes]]
"""Frames by the name of the port that delivered them; ports without one are left out."""

FdbLines: TypeAlias = dict[Mac, tuple[str, str]]
"""Port and kind of entry by address; ages are left out."""


def port_mac(port: str) -> Mac:
    """The address of the interface that carries a port; p4 and all behind it have the same."""
    return Mac(b"\x02\x00\x00\x00\xee" + bytes([min(int(port[1:]), 4)]))


@dataclass(frozen=True, slots=True)
class Send:
    """A frame comes in by a port, or from the host's stack."""

    port: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class AddEntry:
    """Configure an FDB entry, or replace what the address had."""

    mac: Mac
    port: str
    kind: EntryKind


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """Delete an FDB entry that must be behind the port named."""

    mac: Mac
    port: str


@dataclass(frozen=True, slots=True)
class SetOption:
    """Change one of the `PortOptions`."""

    port: str
    name: str
    value: int


@dataclass(frozen=True, slots=True)
class SetMask:
    """Change the bridge's group_fwd_mask."""

    mask: int


@dataclass(frozen=True, slots=True)
class SetAgeing:
    """Change the ageing time, in seconds. At 0 all that was learned goes and nothing is learned."""

    seconds: int


@dataclass(frozen=True, slots=True)
class LetAge:
    """More than the ageing time passes, and nobody is seen."""


@dataclass(frozen=True, slots=True)
class Flush:
    """Forget what was learned behind a port, or everywhere."""

    port: str | None


@dataclass(frozen=True, slots=True)
class SetPortUp:
    """Set the interface of a port up or down."""

    port: str
    up: bool


@dataclass(frozen=True, slots=True)
class SetCarrier:
    """The cable of a port is plugged in or out."""

    port: str
    carrier: bool


@dataclass(frozen=True, slots=True)
class SetState:
    """Spanning tree puts a live port into a state other than disabled and blocking."""

    port: str
    state: PortState


@dataclass(frozen=True, slots=True)
class SetBridgeUp:
    """Set the bridge up or down."""

    up: bool


@dataclass(frozen=True, slots=True)
class SetBridgeMac:
    """Change the bridge's own address."""

    mac: Mac


@dataclass(frozen=True, slots=True)
class SetMaxLearned:
    """Limit the learned entries; 0 is no limit."""

    most: int


@dataclass(frozen=True, slots=True)
class RemovePort:
    """Take a port out of the bridge; its interface stays."""

    port: str


@dataclass(frozen=True, slots=True)
class AddPort:
    """Put a port back into the bridge, with default options."""

    port: str


Operation: TypeAlias = (
    AddEntry
    | DeleteEntry
    | SetOption
    | SetMask
    | SetAgeing
    | LetAge
    | Flush
    | SetPortUp
    | SetCarrier
    | SetState
    | SetBridgeUp
    | SetBridgeMac
    | SetMaxLearned
    | RemovePort
    | AddPort
)
Step: TypeAlias = Send | Operation


class Refused(Exception):
    """The switch refuses an operation, which then changed nothing."""


class Links:
    """Which ports are in the bridge, up, and plugged in."""

    def __init__(self, ports: tuple[str, ...]) -> None:
        self.members = set(ports)
        self.up = set(ports)
        self.plugged = set(ports)
        self.bridge_up = True

    def is_live(self, port: str) -> bool:
        """Whether the port forwards if spanning tree has no objection."""
        return self.bridge_up and port in self.members and port in self.up and port in self.plugged

    def has_meaning(self, step: Step) -> bool:
        """Whether the step can be carried out now."""
        match step:
            case Send(port, _):
                return self.bridge_up if port == HOST else port in self.up
            case SetState(port, _):
                return self.is_live(port)
            case SetPortUp(port, up):
                return (port in self.up) is not up
            case SetCarrier(port, carrier):
                return port in self.up and (port in self.plugged) is not carrier
            case SetBridgeUp(up):
                return self.bridge_up is not up
            case AddPort(port):
                return port not in self.members
            case RemovePort(port) | SetOption(port, _, _):
                return port in self.members
            case AddEntry(_, port, _) | DeleteEntry(_, port):
                return port == HOST or port in self.members
            case Flush(port):
                return port is None or port in self.members
        return True

    def note(self, step: Step) -> None:
        """The step was carried out."""
        match step:
            case SetPortUp(port, up):
                (self.up.add if up else self.up.discard)(port)
            case SetCarrier(port, carrier):
                (self.plugged.add if carrier else self.plugged.discard)(port)
            case SetBridgeUp(up):
                self.bridge_up = up
            case AddPort(port):
                self.members.add(port)
            case RemovePort(port):
                self.members.discard(port)


class Wire(ABC):
    """A switch to be driven with steps."""

    operations: tuple[type[Operation], ...] = get_args(Operation)
    """Those that can be carried out at all."""

    def __init__(self, ports: tuple[str, ...]) -> None:
        self.ports = ports
        self.links = Links(ports)
        self.ageing_time = int(AGEING_SECONDS)

    def take(self, step: Step) -> Deliveries:
        """Carry out a step and return what it made the switch deliver. Raises Refused."""
        if not self.links.has_meaning(step):
            return {}
        if isinstance(step, Send):
            return self.send(step.port, step.frame)
        self.run(step)
        self.links.note(step)
        self.settle(step)
        if isinstance(step, SetAgeing):
            self.ageing_time = step.seconds
        return {}

    @abstractmethod
    def send(self, port: str, frame: bytes) -> Deliveries:
        """Let a frame come in by a port, and return what was delivered because of it."""

    @abstractmethod
    def run(self, operation: Operation) -> None:
        """Carry out an operation. Raises Refused."""

    @abstractmethod
    def settle(self, operation: Operation) -> None:
        """Wait for what an operation leads to, with `links` as they are after it."""

    @abstractmethod
    def fdb(self) -> FdbLines:
        """The FDB."""

    @abstractmethod
    def rest(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def close(self) -> None:
        """Let it go."""
