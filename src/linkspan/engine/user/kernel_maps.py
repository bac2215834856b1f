"""The maps of the in-kernel cache as bytes: sizes and layouts, as `kernel_cache.bpf.c` has them."""

from __future__ import annotations

import struct
from typing import Final

from linkspan.bridge.decide import TAG_TYPES
from linkspan.wire.ethernet import FIRST_ETHERTYPE

FLOWS: Final = 65536
FLOWS_PER_PORT: Final = 16384
"""As in the first level: a port that fills it up starts anew, others are not touched."""

PORTS: Final = 1024
CREDIT: Final = 256
"""Frames of one port that may wait for the switch process, a burst of an application that nobody
has seen yet; the upcall's queue has room for all ports' (`load.ServedDevices.make_room`)."""

ALLOWANCE: Final = 256
"""Frames of a flow that may follow the slow way after its verdict was installed."""

FRESH: Final = 1 << 31
"""In an allowance: no frame has come since the result was written."""

MAPS: Final = ("flows", "slots", "ports", "state")
"""Maps of the program that a switch process works with, in the order of their descriptors."""

KEY: Final = struct.Struct("=I12sHHHH")
"""ifindex, addresses, tag protocol, tag, type, zero."""
SLOT: Final = struct.Struct("=I")
FLOW_BYTES: Final = 64
GENERATION: Final = struct.Struct("=I")
RESULT: Final = struct.Struct("=IIHHII")
"""egress, limit, to_peer, ingress, mark, allowance: what follows `generation`."""
USED: Final = struct.Struct("=QQQ")
"""last_used, frames, bytes."""
USED_AT: Final = GENERATION.size + RESULT.size
OWN: Final = struct.Struct("=HHI")
"""egress port, reason, learns."""
OWN_AT: Final = USED_AT + USED.size
PORT: Final = struct.Struct("=IIIIQQ")
"""upcalled, done, ifindex, to_peer, refused, held."""
DONE_AT: Final = 4
LOST: Final = struct.Struct("=QQ")
LOST_AT: Final = PORT.size - LOST.size
STATE: Final = struct.Struct("=IIII")
"""generation, upcall, credit, zero."""

_ETH_P_802_3, _ETH_P_802_2 = b"\x00\x01", b"\x00\x04"


def key_of(ifindex: int, frame: bytes) -> bytes:
    """The key of a frame without the upcall's tag that came in by a device."""
    if frame[12:14] in TAG_TYPES:
        (protocol,) = struct.unpack_from("=H", frame, 12)
        tag = int.from_bytes(frame[14:16], "big")
        return KEY.pack(ifindex, frame[:12], protocol, tag, _kernel_type(frame[16:20]), 0)
    return KEY.pack(ifindex, frame[:12], 0, 0, _kernel_type(frame[12:16]), 0)


def _kernel_type(data: bytes) -> int:
    """`skb->protocol` for an EtherType or length and what follows it (`eth_type_trans`)."""
    kind = data[:2]
    if int.from_bytes(kind, "big") < FIRST_ETHERTYPE:
        kind = _ETH_P_802_3 if data[2:4] == b"\xff\xff" else _ETH_P_802_2
    return int(struct.unpack("=H", kind)[0])
