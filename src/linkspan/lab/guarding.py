"""Starting the guard of a change, and telling it how far the change has come.

The guard is a process of its own (`lab.guard`), in a session of its own, so that it outlives the
terminal, the connection and the command. It is there before the first action. One connection joins
the two: when it ends without the word that all was done, the command has died.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from linkspan.errors import Refusal
from linkspan.lab.find import Place
from linkspan.lab.uplinks import Uplinks, bridge_of, hangs_on_user_engine
from linkspan.model.state import Bridge, BridgeKey, State
from linkspan.plan.uplink import Taken
from linkspan.sandbox import state

CONFIRM_WITHIN: Final = 60.0
"""Seconds that there are to confirm a change, unless one says otherwise."""

FORWARD_DELAY: Final = 15.0
"""Seconds, unless the bridge says otherwise."""

GUARD_LOCK: Final = "guard"
KEEPER_LOCK: Final = "keeper"

_PATIENCE: Final = 20.0
"""Seconds within which a guard has to be ready."""


class Card(msgspec.Struct, frozen=True):
    """A card that a change takes or gives back."""

    before: str
    """The interface that has its addresses before the change."""
    after: str
    """The one that has them afterwards."""
    addresses: list[str]
    gateways: list[str]


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a guard is to know; the first line that it reads."""

    lab: str
    command: int
    """The process that makes the change."""
    needs_confirmation: bool
    cards: list[Card]
    check: str | None
    """An address whose answers are watched in the place of the gateway's."""
    settling: float
    """Seconds for which a spanning tree may keep a new port from forwarding."""
    keeps: bool
    """Whether the uplink hangs on the lab's processes, also after the change."""


class Ready(msgspec.Struct, frozen=True):
    """The guard is there: who answers and is watched, who does not."""

    watched: list[str]
    silent: list[str]


class Done(msgspec.Struct, frozen=True):
    """All was carried out; with a time until which it has to be confirmed."""

    confirm_by: float | None = None


class Guard:
    """A running guard, as the command sees it."""

    def __init__(self, connection: socket.socket, ready: Ready) -> None:
        self._connection = connection
        self.ready = ready

    def done(self, confirm_by: float | None) -> bool:
        """All was carried out, to be confirmed until then. False when the guard has gone."""
        try:
            self._connection.sendall(msgspec.json.encode(Done(confirm_by)) + b"\n")
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go: what is not done by now is put back."""
        self._connection.close()


@contextmanager
def guarded(
    place: Place, uplinks: Uplinks, needs_confirmation: bool, check: str | None
) -> Iterator[Guard | None]:
    """A guard for the time of a change that could cost the host its connection; None for others.

    The lab's folder is there. Raises Refusal when no guard can be started.
    """
    if not uplinks.is_risky:
        yield None
        return
    guard = _start(
        place,
        Orders(
            lab=place.name,
            command=os.getpid(),
            needs_confirmation=needs_confirmation,
            cards=[
                Card(
                    bridge_of(taken, uplinks.before) or taken.interface,
                    bridge_of(taken, uplinks.wanted) or taken.interface,
                    taken.addresses(),
                    taken.gateways(),
                )
                for taken in uplinks.concerned
            ],
            check=check,
            settling=max((_settling(uplinks.wanted, t) for t in uplinks.concerned), default=0.0),
            keeps=hangs_on_user_engine(uplinks.remembered),
        ),
    )
    try:
        yield guard
    finally:
        guard.close()


def _settling(state: State, taken: Taken) -> float:
    """Twice the forward delay where the bridge of a card has a spanning tree (IEEE 802.1D-2004,
    8.5.2).
    """
    match state.get(BridgeKey(bridge_of(taken, state) or "")):
        case Bridge(options={"stp": str()} as options):
            return 2 * float(options.get("forward_delay") or FORWARD_DELAY)
        case _:
            return 0.0


def _start(place: Place, orders: Orders) -> Guard:
    ours, theirs = socket.socketpair()
    log = os.open(
        place.folder / state.LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    with theirs:
        try:
            subprocess.Popen(
                [sys.executable, "-P", "-m", "linkspan.lab.guard", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        finally:
            os.close(log)
    try:
        ours.settimeout(_PATIENCE)
        ours.sendall(msgspec.json.encode(orders) + b"\n")
        line = read_line(ours)
        ours.settimeout(None)
        return Guard(ours, msgspec.json.decode(line, type=Ready))
    except (OSError, msgspec.MsgspecError):
        ours.close()
        raise Refusal(
            f"the guard of the change did not start; {place.folder / state.LOG} says why\n"
            "  nothing was changed"
        ) from None


def read_line(connection: socket.socket) -> bytes:
    """The next line, of which nothing follows yet. Raises OSError when the connection ends."""
    data = b""
    while not data.endswith(b"\n"):
        part = connection.recv(65536)
        if not part:
            raise OSError("the connection ended")
        data += part
    return data


def is_guarded(folder: Path) -> bool:
    """Whether a guard lives that would put back an unconfirmed change of the lab."""
    return state.is_locked(folder / GUARD_LOCK)


def seconds_left(confirm_by: float) -> int:
    """Whole seconds that are left to confirm a change."""
    return max(0, round(confirm_by - time.time()))
