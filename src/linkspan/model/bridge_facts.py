"""Facts of bridges: what they are, their ports, their configured entries."""

from __future__ import annotations

from linkspan.model.fact import Key, Options, Value


class BridgeKey(Key, frozen=True):
    """A bridge. Its own interface on its node has its name."""

    bridge: str


class Bridge(Value, frozen=True):
    node: str
    engine: str
    """user or kernel."""
    mac: str
    mtu: int
    """Bytes."""
    cache: str = "off"
    """In-kernel cache of the user engine: auto or off."""
    options: Options = {}


class PortKey(Key, frozen=True):
    """An interface that linkspan makes in a node, and the port of a bridge at its other end."""

    node: str
    interface: str


class Port(Value, frozen=True):
    bridge: str
    engine: str
    mac: str
    """Of the node's interface; a machine's is its own (`Machine.ports`)."""
    mtu: int
    kind: str = "interface"
    """What is at the node's end: an interface in its namespace; or a machine, which has none."""
    options: Options = {}


class SocketKey(Key, frozen=True):
    """A UNIX socket that is a port of a bridge."""

    bridge: str
    name: str


class Socket(Value, frozen=True):
    kind: str
    """stream or dgram."""
    mtu: int
    options: Options = {}


class TapKey(Key, frozen=True):
    """A tap that is a port of a bridge, for a program to open, whether one has or not."""

    bridge: str
    name: str
    """Of the port and of the interface."""


class Tap(Value, frozen=True):
    node: str
    engine: str
    mtu: int
    owner: int | None
    """Number of the user that may open it beside root; None for nobody."""
    group: int | None
    multi_queue: bool
    in_place: bool = True
    """Whether it is up, and on its bridge."""
    options: Options = {}


class UplinkKey(Key, frozen=True):
    """An interface that was there before linkspan came, as a port of a bridge."""

    node: str
    interface: str


class Uplink(Value, frozen=True):
    bridge: str
    engine: str
    options: Options = {}


class EntryKey(Key, frozen=True):
    """A configured entry of a bridge's FDB."""

    bridge: str
    mac: str
    vlan: int = 0


class Entry(Value, frozen=True):
    port: str
    """Name of the port: `web.eth0`, a socket's name, or the uplink's."""
    sticky: bool = False
