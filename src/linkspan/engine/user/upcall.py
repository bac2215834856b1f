"""Frames that the in-kernel cache does not know: all of a bridge's kernel ports over one tap.

A frame comes up with a VLAN tag outside its own that holds the ingress port's number plus one, and
goes back down with the egress port's. The kernel gives each frame in whole, whatever its size, and
its virtio_net_hdr counts the tag, which is why taking it off moves the checksum's place.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from functools import partial
from typing import Final

from linkspan.engine.user.devices import VNET_HEADER_BYTES
from linkspan.engine.user.ports import LARGEST_READ, Port, put_tag_back
from linkspan.types import PortNumber

_TAG_PROTOCOL: Final = 0x8100
_TAG_AT: Final = VNET_HEADER_BYTES + 12
_VNET: Final = struct.Struct("=BBHHHH")


class KernelPort(Port):
    """A port whose frames come up and go down by the upcall."""

    def __init__(self, number: PortNumber, name: str, kind: str, upcall: int) -> None:
        super().__init__(number, name, kind, upcall)
        self.write = self._write

    def _write(self, frame: bytes) -> None:
        os.write(self.descriptor, put_tag_back(frame, _TAG_PROTOCOL, self.number + 1))

    def close(self) -> None:
        """The upcall is not this port's to close."""


def reader(upcall: int) -> Callable[[], bytes]:
    """What reads one frame with its tag, and raises BlockingIOError when there is none."""
    return partial(os.read, upcall, LARGEST_READ)


def take_tag_off(frame: bytes) -> tuple[PortNumber, bytes]:
    """The ingress port of a frame that came up, and the frame as it came in there."""
    number = PortNumber(int.from_bytes(frame[_TAG_AT + 2 : _TAG_AT + 4], "big") - 1)
    flags, gso, header_length, gso_size, start, offset = _VNET.unpack_from(frame)
    if flags or gso:
        header = _VNET.pack(
            flags, gso, max(0, header_length - 4), gso_size, max(0, start - 4), offset
        )
    else:
        header = frame[:VNET_HEADER_BYTES]
    return number, header + frame[VNET_HEADER_BYTES:_TAG_AT] + frame[_TAG_AT + 4 :]
