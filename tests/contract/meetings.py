"""Stations that meet on a switch, and what the contract asks of it."""

from __future__ import annotations

from tests.alike.wire import HOST, Operation, Send, Wire

from linkspan.types import BROADCAST, Mac

A, B, C = (Mac(b"\x02\x00\x00\x00\x00" + bytes([number])) for number in (1, 2, 3))
GROUP = Mac(bytes.fromhex("01005e010203"))
PAUSE, LLDP = (Mac(bytes.fromhex(f"0180c20000{last}")) for last in ("01", "0e"))
TAG = b"\x81\x00\x00\x05"
EVERYBODY = {"p1", "p2", "p3", "p4", HOST}


def frame(destination: Mac, source: Mac, payload: int = 46, tag: bytes = b"") -> bytes:
    return destination + source + tag + b"\x88\xb5" + bytes(range(1, 9)) + bytes(payload - 8)


def hears(wire: Wire, port: str, data: bytes) -> set[str]:
    """Who gets a frame; each once, and as it was sent. Sent again and again it is no different,
    though it may be the in-kernel cache that forwards it by then."""
    seen = [wire.take(Send(port, data)) for _ in range(4)]
    for found in seen:
        assert all(frames == [data] for frames in found.values())
    assert all(found.keys() == seen[0].keys() for found in seen[1:])
    return set(seen[0])


def meet(wire: Wire) -> None:
    """A is behind p1, B behind p2."""
    wire.take(Send("p1", frame(BROADCAST, A)))
    wire.take(Send("p2", frame(BROADCAST, B)))


def do(wire: Wire, *operations: Operation) -> None:
    for operation in operations:
        wire.take(operation)


def where(wire: Wire, mac: Mac) -> tuple[str, str] | None:
    return wire.fdb().get(mac)
