"""Packets as firewalls are asked about them: one stands for many.

What a bridge's network sends, what is answered, what is asked of a service, what a bridge switches:
each is said by where it comes from and goes to, and as much else as is true for all of its kind.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

ARP: Final = 0
"""In the place of an IP version."""


class Way(enum.Enum):
    """Where a packet comes from and goes to, seen from a bridge's network."""

    OUT = "out"
    IN = "in"
    TO_NODE = "to node"
    BRIDGED = "bridged"
    """From port to port, shown to a firewall of layer 3."""

    # What follows is frames, which come and go by ports.
    INGRESS = "ingress"
    """From a port, wherever it goes."""
    BETWEEN = "between"
    """From port to port."""
    UP = "up"
    """From a port to the node itself."""
    DOWN = "down"
    EGRESS = "egress"


class By(enum.Enum):
    """What kind of interface a packet comes in or goes out by."""

    BRIDGE = "bridge"
    OTHER = "other"
    PORT = "port"
    NOTHING = "nothing"


_BY: Final = {
    Way.OUT: (By.BRIDGE, By.OTHER),
    Way.IN: (By.OTHER, By.BRIDGE),
    Way.TO_NODE: (By.BRIDGE, By.NOTHING),
    Way.BRIDGED: (By.BRIDGE, By.BRIDGE),
    Way.INGRESS: (By.PORT, By.NOTHING),
    Way.BETWEEN: (By.PORT, By.PORT),
    Way.UP: (By.PORT, By.NOTHING),
    Way.DOWN: (By.NOTHING, By.PORT),
    Way.EGRESS: (By.NOTHING, By.PORT),
}
"""In, and out, as the kernel tells the hook of each."""


@dataclass(frozen=True, slots=True)
class Packet:
    """Packets of one kind."""

    way: Way
    bridge: str
    version: int
    """Of IP, or ARP."""
    words: str
    """What it is, for people."""
    other: str | None = None
    """The interface towards others, of a frame its port; None when it may be any but the bridge."""
    network: tuple[Network, ...] = ()
    """The bridge's networks of that version."""
    is_new: bool = True
    """Whether it begins a connection."""
    is_translated: bool = False
    """Whether its destination was translated."""
    protocol: str | None = None
    port: int | None = None
    """Destination port."""
    destination: str | None = None
    """The kind of its destination, as nft(8) calls those of `fib daddr type`; None when that is not
    known.
    """

    def interface(self, is_incoming: bool) -> str | None:
        """What it comes in by, or goes out by; empty for nothing, None where it is not known."""
        by = self._by(is_incoming)
        return {By.BRIDGE: self.bridge, By.NOTHING: ""}.get(by, self.other)

    def bridge_of_port(self, is_incoming: bool) -> str:
        """The bridge by whose port it comes in, or goes out; empty when that is no port."""
        return self.bridge if self._by(is_incoming) is By.PORT else ""

    def _by(self, is_incoming: bool) -> By:
        incoming, outgoing = _BY[self.way]
        return incoming if is_incoming else outgoing
