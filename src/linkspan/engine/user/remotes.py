"""Where a VXLAN port sends a frame: which far host has which address behind it.

What is known to be behind one host goes there alone; what is not, and every group address, goes to
all of them, each as a datagram of its own. Known is what came from there in the last 300 seconds,
as in drivers/net/vxlan (FDB_AGE_DEFAULT, FDB_AGE_INTERVAL). At most `MOST_REMEMBERED` addresses are
remembered; a further one is known when others have been forgotten.

The bridge learns which of its ports an address is behind; this is the same one step further out.
No clock: `now` is an argument, in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

AGEING_SECONDS: Final = 300.0
MOST_REMEMBERED: Final = 16384

Remote: TypeAlias = tuple[str, int]
"""Address and UDP port of a far host."""


class Remotes:
    """The far hosts of one port. `everyone` are those that a flooded frame goes to."""

    def __init__(self, everyone: Sequence[Remote], port: int, learns: bool) -> None:
        self.everyone = tuple(everyone)
        self._port = port
        self._learns = learns
        self._known: dict[bytes, tuple[Remote, float]] = {}

    def learn(self, source: bytes, address: str, now: float) -> None:
        """A frame from `source` (six bytes) came from the host of that address. The answer goes
        to the VXLAN port there, wherever the datagram came from (RFC 7348, clause 5).
        """
        if not self._learns or source[0] & 1:
            return
        if source not in self._known and len(self._known) >= MOST_REMEMBERED:
            self.forget_old(now)
            if len(self._known) >= MOST_REMEMBERED:
                return
        self._known[source] = ((address, self._port), now)

    def towards(self, destination: bytes, now: float) -> tuple[Remote, ...]:
        """Where a frame to `destination` (six bytes) is to be sent."""
        known = self._known.get(destination)
        if known is None:
            return self.everyone
        remote, seen = known
        if now - seen > AGEING_SECONDS:
            del self._known[destination]
            return self.everyone
        return (remote,)

    def forget_old(self, now: float) -> None:
        """Forget what has not been heard of for too long."""
        self._known = {
            mac: known for mac, known in self._known.items() if now - known[1] <= AGEING_SECONDS
        }
