"""Facts about what a node forwards between networks: its rules, whoever carries them out."""

from __future__ import annotations

import msgspec

from linkspan.model.fact import Key, Value


class RulesKey(Key, frozen=True):
    """The lab's table of packet-filter and translation rules in a node."""

    node: str


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A bridge's network and the way out of it."""

    bridge: str
    forward: str
    """none, nat or routed."""
    prefixes: tuple[str, ...] = ()
    """The networks of the bridge's addresses."""
    version: int | None = None
    """4 or 6 where only that IP version is meant; all prefixes are of it then."""

    def __str__(self) -> str:
        return " ".join([self.forward, self.bridge, *self.prefixes])


class PortForward(msgspec.Struct, frozen=True, kw_only=True):
    """Ports of the node that lead to an address on a bridge's network."""

    bridge: str
    protocol: str
    """tcp or udp."""
    listen: str
    """An address of the node; 0.0.0.0 and :: are all of a family."""
    first: int
    last: int
    target: str
    """Of the same family as `listen`."""
    to: int
    """The target's port for `first`; the others follow."""

    def __str__(self) -> str:
        listen = f"[{self.listen}]" if ":" in self.listen else self.listen
        target = f"[{self.target}]" if ":" in self.target else self.target
        size = self.last - self.first
        until, to_until = (f"-{self.last}", f"-{self.to + size}") if size else ("", "")
        return f"{self.protocol} {listen}:{self.first}{until} to {target}:{self.to}{to_until}"


class Rules(Value, frozen=True, kw_only=True):
    """What the table holds. One that somebody changed is read as if it held nothing."""

    networks: tuple[Network, ...] = ()
    forwards: tuple[PortForward, ...] = ()

    def lines(self) -> list[str]:
        """In words, a line for each network and each forward."""
        return [*map(str, self.networks), *map(str, self.forwards)]


class PassKey(Key, frozen=True):
    """Rules in a chain that Docker keeps for others, by which a bridge passes its firewall."""

    node: str
    family: str
    """ip or ip6."""
    table: str
    bridge: str


class Pass(Value, frozen=True, kw_only=True):
    """They are there, in both directions."""
