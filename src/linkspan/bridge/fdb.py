"""The forwarding database: which address lives behind which port.

First, it is a dictionary from (VLAN, MAC address) to an entry. What the switch learned by itself
ages; what was configured, and the bridge's own addresses, stay.

Second, learned entries must leave when they have not been seen for the ageing time, and the
oldest of a port must be found when the table is full, while almost every frame only says "seen
again". So a refresh is one assignment to `Entry.updated` and moves nothing. Each learned entry
holds one *ticket*, (time, address), in the queue (a heap) of its port. When a ticket comes to the
front, its entry is looked at: seen since, and it gets a new ticket at that time; gone or moved,
and the ticket is void; neither, and it is the oldest of its port. Every entry queued is at least
as young as its ticket, so whatever stops at the front stops right. The ageing time is added at
the look, so it may change at any moment, down (a topology change in spanning tree) or up.

Third, as in Linux, a look-up does not ask for the age: an entry counts until `expire` removed it.

Finally, the table has a limit, and one port's flood of addresses must not cost other ports
theirs: that is a security feature. A new address that finds the table full replaces the oldest of
the port that holds the most; of its own port, when none holds more. A flooding port thus comes
to hold as many as its fair share and from then on only replaces its own. (Linux has a limit too,
fdb_max_learned, and then learns no more, so that there the flood wins.)
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, NamedTuple, TypeAlias

from linkspan.types import Mac, PortNumber, Vlan

AGEING_SECONDS: Final = 300.0
"""IEEE 802.1D-2004, table 7-5; BR_DEFAULT_AGEING_TIME."""

MAX_LEARNED: Final = 65536

_SPARE_TICKETS: Final = 64
"""How many void tickets a queue may hold beyond its live ones before it is swept."""

Address: TypeAlias = tuple[Vlan, Mac]
_Ticket: TypeAlias = tuple[float, Address]


class EntryKind(enum.Enum):
    """Where an entry comes from, and thus what may happen to it."""

    LEARNED = "learned"
    """Seen as a source. Ages and moves."""
    STATIC = "static"
    """Configured. Does not age; traffic from another port moves it, as in Linux."""
    STICKY = "sticky"
    """Configured with NTF_STICKY. Neither ages nor moves."""
    LOCAL = "local"
    """An address of the host itself: frames to it end here. Neither ages nor moves."""


@dataclass(slots=True)
class Entry:
    """One address. Changed by the `Fdb` alone, but for `updated` (see `Fdb.refresh`)."""

    port: PortNumber
    kind: EntryKind
    updated: float
    """When a learned address was last seen as a source; when another was configured."""
    ticket: _Ticket | None = None

    @property
    def may_move(self) -> bool:
        """Whether traffic from another port takes the address along (`br_fdb_update`)."""
        return self.kind in (EntryKind.LEARNED, EntryKind.STATIC)


class Removed(NamedTuple):
    """An entry that left the table by itself."""

    address: Address
    port: PortNumber


class Fdb:
    """The table of one bridge; see the module for how it works.

    `max_learned` limits the learned entries only; 0 is unlimited.
    """

    __slots__ = ("_entries", "_held", "_learned", "_queues", "ageing_time", "max_learned")

    def __init__(self, ageing_time: float = AGEING_SECONDS, max_learned: int = MAX_LEARNED) -> None:
        self.ageing_time = ageing_time
        self.max_learned = max_learned
        self._entries: dict[Address, Entry] = {}
        self._learned = 0
        self._held: dict[PortNumber, int] = {}
        self._queues: dict[PortNumber, list[_Ticket]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[tuple[Address, Entry]]:
        return iter(self._entries.items())

    def find(self, address: Address) -> Entry | None:
        """The entry of an address, however old (`br_fdb_find_rcu`)."""
        return self._entries.get(address)

    def learned(self, port: PortNumber | None = None) -> int:
        """How many learned entries there are, on one port or on all."""
        return self._learned if port is None else self._held.get(port, 0)

    def learn(self, address: Address, port: PortNumber, now: float) -> Removed | None:
        """Add an address that has no entry; returns what had to make room for it."""
        evicted = None
        if self.max_learned and self._learned >= self.max_learned:
            evicted = self._evict(port)
        self._add_learned(address, Entry(port, EntryKind.LEARNED, now))
        return evicted

    def refresh(self, entry: Entry, seen: float) -> None:
        """Note that an address was seen. An older time than known changes nothing, and only what
        was learned has an age."""
        if seen > entry.updated and entry.kind is EntryKind.LEARNED:
            entry.updated = seen

    def move(self, address: Address, port: PortNumber, now: float) -> None:
        """Let an address live behind another port; it keeps its kind."""
        entry = self._entries[address]
        self._forget(address)
        self.put(address, Entry(port, entry.kind, max(entry.updated, now)))

    def put(self, address: Address, entry: Entry) -> None:
        """Configure an entry, replacing what the address had; limits are for learning only."""
        self._forget(address)
        if entry.kind is EntryKind.LEARNED:
            self._add_learned(address, entry)
        else:
            self._entries[address] = entry

    def delete(self, address: Address) -> bool:
        """Remove an entry of any kind; returns whether there was one."""
        return self._forget(address) is not None

    def flush(self, port: PortNumber | None = None, *, configured: bool = False) -> int:
        """Remove learned entries, of one port or of all; `configured` ones as well if asked.

        Returns how many went (`br_fdb_delete_by_port`, `br_fdb_flush`).
        """
        doomed = [
            address
            for address, entry in self._entries.items()
            if (port is None or entry.port == port)
            and (configured or entry.kind is EntryKind.LEARNED)
        ]
        for address in doomed:
            self._forget(address)
        return len(doomed)

    def expire(self, now: float) -> list[Removed]:
        """Remove every learned entry unseen for the ageing time (`br_fdb_cleanup`)."""
        removed = []
        for port, queue in list(self._queues.items()):
            while (address := self._oldest(queue)) is not None:
                if self._entries[address].updated + self.ageing_time > now:
                    break
                self._forget(address)
                removed.append(Removed(address, port))
        return removed

    def _evict(self, newcomer: PortNumber) -> Removed:
        """Remove the oldest entry of the port that holds the most, of `newcomer` if it is a tie."""
        port = max(self._held, key=self._held.__getitem__)
        if self._held.get(newcomer, 0) >= self._held[port]:
            port = newcomer
        address = self._oldest(self._queues[port])
        assert address is not None, "a port that holds entries has a ticket for each"
        self._forget(address)
        return Removed(address, port)

    def _oldest(self, queue: list[_Ticket]) -> Address | None:
        """The address of this queue that was not seen for longest; its ticket stays in front."""
        while queue:
            ticket = queue[0]
            entry = self._entries.get(ticket[1])
            if entry is None or entry.ticket is not ticket:
                heappop(queue)
            elif entry.updated > ticket[0]:
                entry.ticket = (entry.updated, ticket[1])
                heapreplace(queue, entry.ticket)
            else:
                return ticket[1]
        return None

    def _add_learned(self, address: Address, entry: Entry) -> None:
        port = entry.port
        self._entries[address] = entry
        self._learned += 1
        held = self._held[port] = self._held.get(port, 0) + 1
        queue = self._queues.setdefault(port, [])
        entry.ticket = (entry.updated, address)
        heappush(queue, entry.ticket)
        if len(queue) > 2 * held + _SPARE_TICKETS:
            queue[:] = [ticket for ticket in queue if self._is_live(ticket)]
            heapify(queue)

    def _is_live(self, ticket: _Ticket) -> bool:
        entry = self._entries.get(ticket[1])
        return entry is not None and entry.ticket is ticket

    def _forget(self, address: Address) -> Entry | None:
        entry = self._entries.pop(address, None)
        if entry is not None and entry.kind is EntryKind.LEARNED:
            port = entry.port
            self._learned -= 1
            self._held[port] -= 1
            if not self._held[port]:
                del self._held[port], self._queues[port]
        return entry
