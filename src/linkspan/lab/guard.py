"""The guard: puts everything back when nobody says that the host can still be reached.

Theory of operation. One process, started before the first action of a change that moves the
machine's own addresses, in a session of its own and outside the lab's namespaces. SIGHUP, SIGTERM
and SIGINT, which end the session of whoever started it, do not concern it.

    changing    The command works. Its connection ends before it said `done`: it has died, and what
                stands in the journal is put back. It takes longer than anybody would wait: it is
                killed, and put back, too.
    waiting     All was carried out; the journal stays open. It is closed by `linkspan confirm`.
                Put back when the time is up, when those who answered before the change (the
                gateway, or the address that was given) do not any more, or when the processes on
                which the uplink hangs have ended.
    keeping     Confirmed, and the bridge is a process of ours: when the lab's init process ends,
                its tap ends with it. The card gets its addresses back at once.

Putting back is what `linkspan recover` does, with the lab's turn in hand: whoever has the turn
decides, so a confirmation either comes in time or not at all.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import os
import select
import signal
import socket
import sys
import syslog
import time
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from linkspan.errors import LinkspanError
from linkspan.lab.find import Place
from linkspan.lab.guarding import GUARD_LOCK, KEEPER_LOCK, Card, Done, Orders, Ready, read_line
from linkspan.lab.records import Records
from linkspan.lab.recover import give_cards_back, recover
from linkspan.lab.watched import Echo, Gateway, answers
from linkspan.sandbox import holder
from linkspan.sandbox.syscalls import set_process_name

CHANGE_SECONDS: Final = 60.0
"""A command that is not done by then is stuck."""

LOST_SECONDS: Final = 5.0
"""Without an answer for so long, a connection counts as lost."""

ASK_SECONDS: Final = 0.5
"""Between two questions."""

LOOK_SECONDS: Final = 0.1
"""Between two looks at the journal."""

ATTEMPTS: Final = 30
"""How often, a second apart, it is tried to put everything back."""

Watched: TypeAlias = Gateway | Echo
Maker: TypeAlias = Callable[[], Watched]


class End(enum.Enum):
    """How a change ended, in words for the log."""

    DONE = "all was carried out"
    CONFIRMED = "the change was confirmed"
    DIED = "the command ended before it was done"
    STUCK = f"the command was not done after {CHANGE_SECONDS:g} seconds"
    EXPIRED = "the change was not confirmed in time"
    LOST = "nobody answers any more"
    ENDED = "the lab's processes have ended"


class Guard:
    """The guard of one change of one lab."""

    def __init__(self, orders: Orders, connection: socket.socket) -> None:
        self._orders = orders
        self._place = Place(orders.lab)
        self._records = Records(self._place.folder)
        self._connection = connection
        self._command = os.pidfd_open(orders.command)

    def run(self) -> None:
        """All of it, from the first question to the end."""
        lock = _take(self._place, GUARD_LOCK)
        watched = [pair for pair in self._to_watch() if answers(self._maker(pair[0].before, *pair))]
        silent = [address for card, address in self._to_watch() if (card, address) not in watched]
        ready = Ready([address for _, address in watched], silent)
        self._connection.sendall(msgspec.json.encode(ready) + b"\n")
        end, confirm_by = self._changing()
        if end is End.DONE and confirm_by is not None:
            end = self._waiting(confirm_by, [self._maker(pair[0].after, *pair) for pair in watched])
        log(f"{self._place.name}: {end.value}")
        if end not in (End.DONE, End.CONFIRMED):
            insist(lambda: recover(self._place))
        elif self._orders.keeps and lock is not None:
            os.close(lock)
            keep(self._place)

    def _to_watch(self) -> list[tuple[Card, str]]:
        """Whom to ask, from which card: the address that was given, or each card's gateway."""
        cards = self._orders.cards if self._orders.needs_confirmation else []
        if self._orders.check is not None:
            return [(card, self._orders.check) for card in cards[:1]]
        return [(card, card.gateways[0]) for card in cards if card.gateways]

    def _maker(self, interface: str, card: Card, address: str) -> Maker:
        if self._orders.check is not None:
            return lambda: Echo(address)
        return lambda: Gateway(address, card.addresses, interface)

    def _changing(self) -> tuple[End, float | None]:
        """While the command works. The time until which to confirm comes with `done`."""
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        if not poller.poll(CHANGE_SECONDS * 1000):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._command, signal.SIGKILL)
            return End.STUCK, None
        try:
            done = msgspec.json.decode(read_line(self._connection), type=Done)
        except (OSError, msgspec.MsgspecError):
            return End.DIED, None
        return End.DONE, done.confirm_by

    def _waiting(self, confirm_by: float, makers: list[Maker]) -> End:
        """While somebody may still confirm."""
        deadline = time.monotonic() + confirm_by - time.time()
        patience = LOST_SECONDS + self._orders.settling
        watches = [Watch(make, time.monotonic() + patience) for make in makers]
        init = holder.open_process(self._place.folder) if self._orders.keeps else None
        poller = select.poll()
        if init is not None:
            poller.register(init, select.POLLIN)
        while True:
            if poller.poll(LOOK_SECONDS * 1000):
                return End.ENDED
            if self._records.journal() is None:
                return End.CONFIRMED
            now = time.monotonic()
            if now > deadline:
                return End.EXPIRED
            lost = [watch for watch in watches if not watch.is_well(now)]
            if lost:
                return End.LOST


class Watch:
    """One who is asked again and again."""

    def __init__(self, make: Maker, due: float) -> None:
        """`due` is when the first answer must have come, on the monotonic clock."""
        self._make = make
        self._watched: Watched | None = None
        self._due = due
        self._next = 0.0

    def is_well(self, now: float) -> bool:
        """Ask if it is time to, look for an answer; False when there was none for too long."""
        try:
            if self._watched is None:
                self._watched = self._make()
            if now >= self._next:
                self._next = now + ASK_SECONDS
                self._watched.ask()
            if self._watched.has_answered():
                self._due = max(self._due, now + LOST_SECONDS)
        except OSError:  # the interface has gone, or there is no way to it
            if self._watched is not None:
                self._watched.close()
                self._watched = None
        return now < self._due


def keep(place: Place) -> None:
    """Stay as long as a lab has cards, and give them back when its processes have ended."""
    if _take(place, KEEPER_LOCK, wait=False) is None:
        return  # another guard keeps them
    records = Records(place.folder)
    poller = select.poll()
    while records.taken():
        init = holder.open_process(place.folder)
        if init is not None:
            poller.register(init, select.POLLIN)
            has_ended = bool(poller.poll(1000))
            poller.unregister(init)
            os.close(init)
            if not has_ended:
                continue
        if not place.is_alive:
            insist(lambda: give_cards_back(place))
            log(f"{place.name}: its processes have ended; the cards have what they had")
        time.sleep(LOOK_SECONDS)


def insist(work: Callable[[], object]) -> None:
    """Do what must succeed; if it does not, again after a second."""
    for _ in range(ATTEMPTS):
        try:
            work()
        except (LinkspanError, OSError) as error:
            log(f"cannot put everything back: {error}")
            time.sleep(1)
        else:
            return


def log(text: str) -> None:
    """A line in the lab's log and in the system's."""
    with contextlib.suppress(OSError):
        print(time.strftime("%Y-%m-%dT%H:%M:%S"), f"guard: {text}", file=sys.stderr, flush=True)
    syslog.syslog(syslog.LOG_NOTICE, text)


def _take(place: Place, name: str, wait: bool = True) -> int | None:
    """A lock in the lab's folder, held as long as this process lives; None when it is taken."""
    descriptor = os.open(place.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def main(arguments: list[str]) -> None:
    """`guard CONNECTION`: guard the change that the first line on the connection speaks of."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    connection = socket.socket(fileno=int(arguments[0]))
    os.set_inheritable(connection.fileno(), False)
    orders = msgspec.json.decode(read_line(connection), type=Orders)
    set_process_name(f"guard:{orders.lab}")
    syslog.openlog("linkspan", syslog.LOG_PID)
    Guard(orders, connection).run()


if __name__ == "__main__":
    main(sys.argv[1:])
