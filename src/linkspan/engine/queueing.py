"""How an interface sends, slowly, late, with losses: the kernel's queueing disciplines for a shape.

An interface has one at its root that says when a frame is sent. For a bandwidth alone that is tbf
(tc-tbf(8)), which every kernel has that shapes at all; for delay and loss it is netem
(tc-netem(8)), which limits the bandwidth as well. Ours are known by their handle. What is sent is
all that they can hold up, so a line has one at each end.

What a kernel tells of them is what it was told, in other units: bytes a second, nanoseconds, a
fraction of 2^32. `shape_of` gives them back as the file has them.

Source: include/uapi/linux/pkt_sched.h, net/sched/sch_tbf.c, net/sched/sch_netem.c.
"""

from __future__ import annotations

import struct
from typing import Final

from linkspan.engine.netlink import CREATE_OR_REPLACE, Request
from linkspan.engine.packed import Packed, attribute, words
from linkspan.engine.reading.dump import Attributes, Dumps, attributes, native, text
from linkspan.engine.traffic_control import DELQDISC, NEWQDISC, TCMSG
from linkspan.model.shaping import Shape, backlog_bytes, bandwidth_of

_HANDLES: Final = {"tbf": 0x6C73 << 16, "netem": 0x6C74 << 16}
"""Of our disciplines at an interface, `6c73:` and `6c74:`. One can take the place of one of another
kind only under another handle (tc_modify_qdisc, net/sched/sch_api.c)."""

_GETQDISC: Final = 38
_ROOT: Final = 0xFFFFFFFF
_TCA_KIND, _TCA_OPTIONS = 1, 2

_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_RATE: Final = "BBHhHI"
_TBF: Final = struct.Struct(f"={_RATE}{_RATE}III")
"""struct tc_tbf_qopt: rate, peak rate, limit, buffer, mtu."""
_ETHERNET: Final = 1
"""TC_LINKLAYER_ETHERNET: the kernel wants no table of rates then."""

_NETEM: Final = struct.Struct("=IIIIII")
"""struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter."""
_NETEM_RATE, _NETEM_RATE64, _NETEM_LATENCY64 = 6, 8, 10
_NETEM_RATE_FIELDS: Final = struct.Struct("=IiIi")

_LEAST_BURST: Final = 16 << 10
_BURST_SECONDS: Final = 0.002
"""What may be sent at once: what a timer that is late by so much has to make good."""

_MOST_PACKETS: Final = 10_000
_LEAST_PACKETS: Final = 100
_PACKET_BYTES: Final = 1000
"""What netem's limit, which counts packets, is worked out with."""

_LARGEST: Final = 0xFFFFFFFF
_SECOND: Final = 1_000_000_000


def put_shape(index: int, shape: Shape) -> Request:
    """Have an interface send like a line of this shape, in the place of what it had at its root."""
    kind = _kind_of(shape)
    options = _tbf(shape) if kind == "tbf" else _netem(shape)
    header = TCMSG.pack(0, index, _HANDLES[kind], _ROOT, 0)
    body = header + words(_TCA_KIND, kind) + attribute(_TCA_OPTIONS, options)
    return Request(f"limit what is sent ({kind})", Packed(NEWQDISC, CREATE_OR_REPLACE, body))


def drop_shapes(index: int) -> tuple[Request, ...]:
    """Have an interface send as it did: a request for each discipline that it may have of ours,
    which the kernel refuses when it has not.
    """
    return tuple(
        Request(
            "lift the limits of what is sent",
            Packed(DELQDISC, 0, TCMSG.pack(0, index, handle, _ROOT, 0)),
        )
        for handle in _HANDLES.values()
    )


def _kind_of(shape: Shape) -> str:
    return "netem" if shape.delay or shape.loss else "tbf"


def _tbf(shape: Shape) -> bytes:
    rate = (shape.bits or 0) // 8
    burst = max(_LEAST_BURST, int(rate * _BURST_SECONDS))
    limit = min(_LARGEST, burst + backlog_bytes(shape))
    parameters = _TBF.pack(
        *(0, _ETHERNET, 0, 0, 0, min(rate, _LARGEST)), *(0, 0, 0, 0, 0, 0), limit, 0, 0
    )
    parts = [attribute(_TBF_PARMS, parameters), attribute(_TBF_BURST, struct.pack("=I", burst))]
    if rate > _LARGEST:
        parts.append(attribute(_TBF_RATE64, struct.pack("=Q", rate)))
    return b"".join(parts)


def _netem(shape: Shape) -> bytes:
    rate, packets = (shape.bits or 0) // 8, _MOST_PACKETS
    if rate:
        kept = backlog_bytes(shape) + rate * shape.delay
        packets = min(packets, max(_LEAST_PACKETS, int(kept / _PACKET_BYTES)))
    loss = min(_LARGEST, round(shape.loss / 100 * (_LARGEST + 1)))
    parts = [
        _NETEM.pack(0, packets, loss, 0, 0, 0),
        attribute(_NETEM_LATENCY64, struct.pack("=q", round(shape.delay * _SECOND))),
        # Also where there is none: what is not said stays as it was (netem_change).
        attribute(_NETEM_RATE, _NETEM_RATE_FIELDS.pack(min(rate, _LARGEST), 0, 0, 0)),
    ]
    if rate > _LARGEST:
        parts.append(attribute(_NETEM_RATE64, struct.pack("=Q", rate)))
    return b"".join(parts)


def read_shapes(dumps: Dumps) -> dict[int, Shape]:
    """Our disciplines of a namespace, by the index of the interface. Raises OSError."""
    found = {}
    for message in dumps.entries(_GETQDISC, TCMSG.pack(0, 0, 0, 0, 0)):
        _, index, handle, _, _ = TCMSG.unpack_from(message)
        if handle in _HANDLES.values():
            values = attributes(message, TCMSG.size)
            found[index] = shape_of(text(values[_TCA_KIND]), values.get(_TCA_OPTIONS, b""))
    return found


def shape_of(kind: str, options: bytes) -> Shape:
    """What a discipline of that kind does, by its options."""
    if kind == "tbf":
        values = attributes(options)
        rate = _TBF.unpack(values[_TBF_PARMS][: _TBF.size])[5]
        return Shape(bandwidth_of(_rate(values, rate, _TBF_RATE64) * 8))
    if kind == "netem":
        _, _, loss, *_ = _NETEM.unpack_from(options)
        values = attributes(options, _NETEM.size)
        (latency,) = struct.unpack("=q", values[_NETEM_LATENCY64])
        (rate, *_) = _NETEM_RATE_FIELDS.unpack(values.get(_NETEM_RATE, bytes(16)))
        bits = _rate(values, rate, _NETEM_RATE64) * 8
        return Shape(
            bandwidth_of(bits) if bits else None,
            round(latency / _SECOND, 6),
            round(loss / (_LARGEST + 1) * 100, 4),
        )
    return Shape()


def _rate(values: Attributes, rate: int, wide: int) -> int:
    return native(values[wide]) if wide in values else rate
