"""What an engine is to the rest: something that carries out changes of bridges and their ports."""

from __future__ import annotations

from typing import Protocol

from linkspan.errors import Refusal
from linkspan.plan.change import Change


class Failed(Refusal):
    """A change that could not be carried out, and why."""

    @classmethod
    def of(cls, change: Change, why: object) -> Failed:
        """The error in words; it is one text, to be told to other processes."""
        return cls(f"cannot {change.explain()}: {why}")


class Engine(Protocol):
    """Bridges, ports, sockets, uplinks and FDB entries of one engine, within one lab."""

    def carry_out(self, change: Change) -> None:
        """Carry out a change of a BridgeKey, PortKey, SocketKey, UplinkKey or EntryKey; or take
        note of a bridge's own interface being set up or down (an UpKey), which the caller has
        done. It may be left open until `settle`.

        Raises Refusal or OSError when it can't be done; the change may then be half done.
        """

    def settle(self) -> None:
        """All that was carried out is in force when this returns. Raises Refusal or OSError."""

    def close(self) -> None:
        """Let go of what is held for the time of the work."""
