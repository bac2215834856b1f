"""Random steps from a seed: mostly frames of a few stations that have met, among them all that a
switch may be sent by mistake or malice, and operations in between.

Nothing is drawn but through one `random.Random`, so a seed says it all. Frames repeat, because a
cache is only used by flows that go on; stations live behind a port and move now and then, because
a switch that knows nobody floods everything alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from tests.alike.exceptions import leaves_out
from tests.alike.wire import (
    BRIDGE_MAC,
    DEFAULT_MTU,
    HOST,
    AddEntry,
    AddPort,
    DeleteEntry,
    Flush,
    LetAge,
    Operation,
    RemovePort,
    Send,
    SetAgeing,
    SetBridgeMac,
    SetBridgeUp,
    SetCarrier,
    SetMask,
    SetOption,
    SetPortUp,
    SetState,
    Step,
    port_mac,
)

from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.port import PortState
from linkspan.types import BROADCAST, NO_MAC, Mac

PORTS: Final = ("p1", "p2", "p3", "p4", "p5", "p6")
STATIONS: Final = tuple(Mac(b"\x02\x00\x00\x00\x00" + bytes([n])) for n in range(1, 13))
OTHER_BRIDGE_MACS: Final = (Mac(bytes.fromhex("02000000b001")), STATIONS[11], port_mac("p6"))
GROUPS: Final = tuple(
    Mac(bytes.fromhex(text))
    for text in (
        "01005e000001", "01005e000016", "01005e7f0203", "333300000001", "3333ff000001",
        "333300000016", "01000ccccccc", "01000ccccccd", "011b19000000", "0180c2000010",
        "0180c2000021", "09000b000004",
    )
)  # fmt: skip
RESERVED: Final = tuple(Mac(b"\x01\x80\xc2\x00\x00" + bytes([last])) for last in range(16))

MTUS: Final = (576, DEFAULT_MTU, 9000)
FLAGS: Final = (
    "learning", "unicast_flood", "multicast_flood", "broadcast_flood", "hairpin", "isolated",
)  # fmt: skip
STATES: Final = (PortState.LISTENING, PortState.LEARNING, PortState.FORWARDING)

_IPV4, _IPV6, _EXPERIMENT = b"\x08\x00", b"\x86\xdd", b"\x88\xb5"
_KINDS: Final = (
    (_EXPERIMENT, 30), (_IPV4, 20), (_IPV6, 15), (b"\x08\x06", 10), (b"\x80\x35", 1),
    (b"\x88\xcc", 4), (b"\x88\x09", 4), (b"\x88\x08", 2), (b"\x00\x26", 6),
)  # fmt: skip
_TAGS: Final = (
    (b"", 70), (b"\x81\x00\x00\x05", 10), (b"\x81\x00\x60\x00", 5), (b"\x88\xa8\x00\x07", 5),
    (b"\x88\xa8\x00\x07\x81\x00\x00\x05", 4), (b"\x81\x00\x00\x00\x81\x00\x00\x05", 3),
    (b"\x81\x00\x1f\xff", 3),
)  # fmt: skip
_LATEST = 12


class Generator:
    """Draws one step after the other."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._home = {mac: self._random.choice(PORTS) for mac in STATIONS}
        self._latest: list[Send] = []

    def steps(self, frames: int, operation_share: float = 0.1) -> list[Step]:
        """Steps with so many frames among them; operations come in proportion."""
        drawn: list[Step] = []
        left = frames
        while left:
            if self._random.random() < operation_share:
                drawn.append(self._operation())
            elif not leaves_out(send := self._send()):
                drawn.append(send)
                left -= 1
        return drawn

    # frames

    def _send(self) -> Send:
        if self._latest and self._random.random() < 0.7:
            return self._random.choice(self._latest)
        source = self._source()
        known = self._home.get(source)
        if known is None or self._random.random() < 0.1:
            known = self._random.choice((*PORTS, HOST))
        send = Send(known, self._frame(source))
        self._latest.append(send)
        del self._latest[:-_LATEST]
        return send

    def _source(self) -> Mac:
        return self._weighted(
            (lambda: self._random.choice(STATIONS), 85),
            (lambda: BRIDGE_MAC, 5),
            (lambda: self._random.choice(OTHER_BRIDGE_MACS), 2),
            (lambda: port_mac(self._random.choice(PORTS)), 3),
            (lambda: self._random.choice((*GROUPS, BROADCAST, NO_MAC)), 3),
            (lambda: Mac(b"\x02" + self._random.randbytes(5)), 2),
        )

    def _destination(self) -> Mac:
        return self._weighted(
            (lambda: self._random.choice(STATIONS), 60),
            (lambda: BROADCAST, 10),
            (lambda: self._random.choice(GROUPS), 8),
            (lambda: self._random.choice(RESERVED), 9),
            (lambda: BRIDGE_MAC, 4),
            (lambda: self._random.choice(OTHER_BRIDGE_MACS), 2),
            (lambda: port_mac(self._random.choice(PORTS)), 3),
            (lambda: Mac(b"\x02" + self._random.randbytes(5)), 3),
            (lambda: NO_MAC, 1),
        )

    def _frame(self, source: Mac) -> bytes:
        kind, tag = self._one_of(_KINDS), self._one_of(_TAGS)
        head = self._destination() + source + tag + kind
        shape = self._random.random()
        if shape < 0.03:  # cut off anywhere
            return head[: self._random.randrange(len(head) + 1)]
        return head + self._payload(kind)

    def _payload(self, kind: bytes) -> bytes:
        filler = self._random.randbytes(8)
        if kind == _IPV4:
            protocol = self._random.choice((1, 2, 6, 17, 17))
            head = bytes([0x45, 0, 0, 46, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
            filler = head + self._ports() + filler
        elif kind == _IPV6:
            following = self._random.choice((0, 17, 58, 58))
            icmp = bytes([self._random.choice((128, 130, 135, 136, 143))])
            head = bytes([0x60, 0, 0, 0, 0, 8, following, 255]) + bytes(32)
            filler = head + (icmp if following == 58 else self._ports()) + filler
        return filler + bytes(self._length(len(filler)))

    def _ports(self) -> bytes:
        return self._random.choice((b"\x00\x43\x00\x44", b"\x02\x22\x02\x23", b"\x10\x00\x20\x00"))

    def _length(self, present: int) -> int:
        if self._random.random() < 0.9:
            return self._random.randrange(60)
        around = self._random.choice(MTUS) + self._random.randrange(-10, 12)
        return max(around - present, 0)

    def _one_of(self, rows: Sequence[tuple[bytes, int]]) -> bytes:
        return self._random.choices([row[0] for row in rows], [row[1] for row in rows])[0]

    def _weighted(self, *rows: tuple[Callable[[], Mac], int]) -> Mac:
        draw = self._random.choices([row[0] for row in rows], [row[1] for row in rows])[0]
        return draw()

    # operations

    def _operation(self) -> Operation:
        rows = self._rows()
        draw = self._random.choices([row[0] for row in rows], [row[1] for row in rows])[0]
        return draw()

    def _rows(self) -> list[tuple[Callable[[], Operation], int]]:
        choice = self._random.choice
        return [
            (self._add_entry, 20),
            (lambda: DeleteEntry(self._entry_mac(), choice((*PORTS, HOST))), 20),
            (lambda: SetOption(choice(PORTS), choice(FLAGS), choice((0, 1, 1))), 15),
            (lambda: SetOption(choice(PORTS), choice(FLAGS[:4]), 1), 10),
            (lambda: SetOption(choice(PORTS), choice(FLAGS[4:]), 0), 5),
            (lambda: SetOption(choice(PORTS), "group_fwd_mask", self._mask()), 4),
            (lambda: SetOption(choice(PORTS), "mtu", choice(MTUS)), 5),
            (lambda: SetMask(self._mask()), 4),
            (lambda: SetAgeing(choice((0, 100, 300, 300, 300))), 2),
            (lambda: SetAgeing(300), 2),
            (LetAge, 2),
            (lambda: Flush(choice((None, *PORTS))), 4),
            (lambda: SetPortUp(choice(PORTS), choice((False, True, True))), 8),
            (lambda: SetCarrier(choice(PORTS), choice((False, True, True))), 8),
            (lambda: SetState(choice(PORTS), choice(STATES)), 3),
            (lambda: SetState(choice(PORTS), PortState.FORWARDING), 3),
            (lambda: SetBridgeUp(False), 1),
            (lambda: SetBridgeUp(True), 6),
            (lambda: SetBridgeMac(choice((BRIDGE_MAC, *OTHER_BRIDGE_MACS))), 4),
            (lambda: RemovePort(choice(PORTS)), 2),
            (lambda: AddPort(choice(PORTS)), 8),
        ]

    def _add_entry(self) -> Operation:
        port = self._random.choice((*PORTS, *PORTS, HOST))
        kinds = (EntryKind.STATIC, EntryKind.STATIC, EntryKind.STICKY, EntryKind.LOCAL)
        return AddEntry(self._entry_mac(), port, self._random.choice(kinds))

    def _entry_mac(self) -> Mac:
        return self._random.choice((*STATIONS, *STATIONS, BRIDGE_MAC, port_mac("p1"), NO_MAC))

    def _mask(self) -> int:
        if self._random.random() < 0.3:
            return 0
        return self._random.choice((1 << self._random.randrange(16), 0xFFF8, 0x4000, 0xFFFD))
