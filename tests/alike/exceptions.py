"""Where our switch and the Linux bridge are not alike, and why: one table.

`docs/alike.md` is written from it (`python -m tests.alike.exceptions > docs/alike.md`), and
`test_alike_exceptions.py` goes through it: each row has steps that show the difference on the real
kernel. So a row that is no longer true fails, as does a difference without a row, which is what
`test_alike.py` finds. A row either leaves some steps out of the random sequences (`leaves_out`) or
says what is counted for what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.alike.wire import (
    BRIDGE_MAC,
    DEFAULT_MTU,
    HOST,
    AddEntry,
    Send,
    SetBridgeUp,
    SetMaxLearned,
    SetState,
    Step,
)

from linkspan.bridge.decide import TAG_TYPES
from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.port import PortState
from linkspan.model.options import Plain
from linkspan.types import BROADCAST, Mac

A, B, C = (Mac(b"\x02\x00\x00\x00\x00" + bytes([number])) for number in (1, 2, 3))
LLDP, GROUP = Mac(bytes.fromhex("0180c200000e")), Mac(bytes.fromhex("01005e010203"))
_EXPERIMENT, _TAG, _TWO_TAGS = b"\x88\xb5", b"\x81\x00\x00\x05", b"\x88\xa8\x00\x07\x81\x00\x00\x05"


def frame(destination: Mac, source: Mac, tag: bytes = b"", payload: int = 46) -> bytes:
    """A frame for local experiments."""
    return destination + source + tag + _EXPERIMENT + bytes(payload)


def _broken_report() -> bytes:
    """IGMPv2 "I listen to 225.1.2.3" (RFC 2236) from 10.0.0.1, its checksum wrong."""
    packet = bytes.fromhex("46c0002000000000010243ba0a000001e1010203940400001600ffffe1010203")
    return GROUP + B + b"\x08\x00" + packet


Outcome: TypeAlias = tuple[str, ...]
"""Ports that delivered the last step's frame, in order; or "refused"."""


@dataclass(frozen=True)
class Unlike:
    """One row. `steps` lead to the difference, which the last of them shows."""

    subject: str
    linux: str
    ours: str
    why: str
    in_the_comparison: str
    steps: tuple[Step, ...] = ()
    in_linux: Outcome = ()
    in_ours: Outcome = ()
    leaves_out: Callable[[Send], bool] | None = None
    bridge: tuple[tuple[str, Plain], ...] = ()
    """Options of the kernel's bridge."""


def _is_tagged(data: bytes) -> bool:
    return data[12:14] in TAG_TYPES


def _has_two_tags(data: bytes) -> bool:
    return _is_tagged(data) and data[16:18] in TAG_TYPES


EXCEPTIONS: Final = (
    Unlike(
        "Link-local frames (01:80:c2:00:00:0X)",
        "The stack of the port gets them.",
        "The host's stack gets them by the bridge's own port.",
        "Our ports have no stack of their own: they are taps in containers, or sockets.",
        "A delivery to a port's stack counts as one to the host.",
        (Send("p1", frame(LLDP, A)),),
        ("stack of p1",),
        (HOST,),
    ),
    Unlike(
        "Link-local frames to a bridge that is down",
        "The stack of the port gets them all the same.",
        "They end at the bridge (BRIDGE_DOWN).",
        "They are for the host, which hears by the bridge only, and the bridge is down.",
        "What ports' stacks get while the bridge is down is not counted.",
        (SetBridgeUp(False), Send("p1", frame(LLDP, A))),
        ("stack of p1",),
        (),
    ),
    Unlike(
        "Tagged frames with less than two bytes behind their tag",
        "They end where they came in: `skb_vlan_untag` looks at the two bytes behind the tag.",
        "They are forwarded, as any frame with a whole header.",
        "No medium carries frames so short; looking for them would cost every frame.",
        "Left out.",
        (Send("p1", frame(BROADCAST, A, _TAG, 1)),),
        (),
        ("p2", "p3", HOST),
        lambda send: _is_tagged(send.frame) and 18 <= len(send.frame) < 20,
    ),
    Unlike(
        "Frames with two tags that end inside the second",
        "They end before they reach the bridge.",
        "They are forwarded: only the outer tag is looked at.",
        "As above.",
        "Left out.",
        (Send("p1", frame(BROADCAST, A, _TWO_TAGS)[:21]),),
        (),
        ("p2", "p3", HOST),
        lambda send: _has_two_tags(send.frame) and len(send.frame) < 22,
    ),
    Unlike(
        "Cut-off tagged frames that a program of the host sends by a packet socket",
        "They are forwarded.",
        "They end where they came in (HDR_TRUNC).",
        "Our bridge treats frames of the host no worse and no better than those of a port here.",
        "Left out.",
        (Send(HOST, frame(BROADCAST, BRIDGE_MAC, _TAG)[:17]),),
        ("p1", "p2", "p3"),
        (),
        lambda send: send.port == HOST and _is_tagged(send.frame) and len(send.frame) < 22,
    ),
    Unlike(
        "Tagged frames as long as the MTU that a program of the host sends by a packet socket",
        "The tag counts against the MTU; it does not in a frame from a port or a VLAN interface.",
        "The outer tag never counts.",
        "By the time the frame comes out of the host's tap, nobody knows how its tag got there.",
        "Left out.",
        (Send(HOST, frame(BROADCAST, BRIDGE_MAC, _TAG, DEFAULT_MTU + 4)),),
        (),
        ("p1", "p2", "p3"),
        lambda send: send.port == HOST and _is_tagged(send.frame) and len(send.frame) > 500,
    ),
    Unlike(
        "A full FDB (fdb_max_learned)",
        "New addresses are not learned until old ones have aged.",
        "A new address replaces the oldest of the port that holds the most.",
        "In Linux a flood of addresses from one port keeps stations of all others from being "
        "learned; here it costs nobody but that port.",
        "The random sequences set no limit.",
        (
            SetMaxLearned(2),
            Send("p1", frame(BROADCAST, A)),
            Send("p1", frame(BROADCAST, B)),
            Send("p2", frame(BROADCAST, C)),
            Send("p3", frame(C, BRIDGE_MAC)),
        ),
        ("p1", "p2"),
        ("p2",),
    ),
    Unlike(
        "FDB entries for groups",
        "They are taken, and no frame ever asks for them.",
        "They are refused.",
        "An entry that does nothing is a mistake that somebody should hear of.",
        "The random sequences have none.",
        (AddEntry(GROUP, "p1", EntryKind.STATIC),),
        (),
        ("refused",),
    ),
    Unlike(
        "A port set to blocking while no spanning tree runs",
        "It is forwarding again at once (`br_make_forwarding`).",
        "It is blocking until it is told otherwise.",
        "The state is set by spanning tree here, and by nobody else.",
        "The random sequences set listening, learning and forwarding.",
        (SetState("p2", PortState.BLOCKING), Send("p1", frame(BROADCAST, A))),
        ("p2", "p3", HOST),
        ("p3", HOST),
    ),
    Unlike(
        "Multicast snooping",
        "Broken IGMP and MLD messages are dropped; once there is a querier, a group goes to the "
        "ports with members only.",
        "All groups are flooded.",
        "Our switch does not snoop yet.",
        "Off on the kernel's bridge.",
        (Send("p1", _broken_report()),),
        (),
        ("p2", "p3", HOST),
        bridge=(("multicast_snooping", True),),
    ),
)

NOT_COMPARED: Final = (
    (
        "Packet filters (nf_call_iptables and its siblings)",
        "Off on the kernel's bridge. Our switch has no packet filter.",
    ),
    (
        "How old an entry is",
        "The kernel can't be told the time. Who leaves is compared: all that was not seen for "
        "longer than the ageing time, and everything when that is 0. That a station that is seen "
        "stays, and one that is not goes, is in the contract (tests/contract).",
    ),
    (
        "An interface that goes down under a switch process without the in-kernel cache",
        "Linux forgets at once what was learned behind it. A socket has no carrier, and the "
        "process does not watch its taps and packet sockets for theirs, so the addresses age. "
        "With the in-kernel cache it does, and is compared.",
    ),
    (
        "When an entry leaves that has become too old",
        "A kernel worker and our tick of a second both remove it some time later.",
    ),
    (
        "A frame with an address of the bridge as its source",
        "The kernel writes to its log, now and then; our switch reports an event for each.",
    ),
    (
        "Configured entries that age (`bridge fdb add … dynamic`)",
        "Nobody can configure one here: what ages has been learned.",
    ),
    ("Frames longer than 65,535 bytes and a header", "A tap takes none."),
    (
        "Frames still to be segmented",
        "Their way is compared by tests/engine; here all frames are plain.",
    ),
)
"""What the comparison does not see, and why."""


def leaves_out(step: Send) -> bool:
    """Whether a frame belongs to an exception that random sequences go around."""
    return any(row.leaves_out is not None and row.leaves_out(step) for row in EXCEPTIONS)


def write_alike() -> str:
    """The text of docs/alike.md."""
    lines = [
        "# How alike our switch and the Linux bridge are",
        "",
        "The same random frames and operations go into both, and after every step the deliveries "
        "of all ports and the FDBs are compared (`tests/alike`). These are all the differences "
        "that are known. Each has a test that shows it, so the table is true.",
        "",
        "Written from the table in `tests/alike/exceptions.py` "
        "(`python -m tests.alike.exceptions > docs/alike.md`).",
        "",
        "| what | Linux | linkspan | why | in the comparison |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.subject} | {row.linux} | {row.ours} | {row.why} | {row.in_the_comparison} |"
        for row in EXCEPTIONS
    ]
    lines += ["", "## What is not compared", "", "| what | why |", "| --- | --- |"]
    lines += [f"| {what} | {why} |" for what, why in NOT_COMPARED]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(write_alike(), end="")
