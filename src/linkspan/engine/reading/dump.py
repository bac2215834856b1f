"""Asking the kernel for lists over netlink, and taking the answers apart.

pyroute2 decodes every attribute of a message into objects, which takes milliseconds for one
interface; a machine with a thousand namespaces is to be read in about a second. So answers are
taken apart here by a function of a few lines, and only the attributes that somebody wants are
turned into values, by tables.

Source of the protocol: netlink(7), include/uapi/linux/netlink.h.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Final, TypeAlias

Attributes: TypeAlias = dict[int, bytes]
Reader: TypeAlias = Callable[[bytes], Any]
"""Makes a value of an attribute's bytes."""

_REQUEST, _ACK, _DUMP, _DUMP_INTERRUPTED = 0x1, 0x4, 0x300, 0x10
_ERROR, _DONE, _OVERRUN = 2, 3, 4
_HEADER: Final = struct.Struct("=LHHLL")
_ATTRIBUTE: Final = struct.Struct("=HH")
_TYPE_BITS: Final = 0x3FFF
"""Without NLA_F_NESTED and NLA_F_NET_BYTEORDER."""

_ATTEMPTS: Final = 5
"""How often a list that changed while it was read is asked for again; the last one counts."""

_RECEIVE_BYTES: Final = 1 << 16
"""More than the kernel ever puts into one answer of a list (32 KiB, `netlink_dump`)."""

_SIOCETHTOOL, _ETHTOOL_GSET, _ETHTOOL_BYTES = 0x8946, 0x1, 44
_ORDER: Final = sys.byteorder

_PATIENCE: Final = 10
"""Seconds; the kernel answers at once or never."""


class Dumps:
    """A netlink socket for lists, of the network namespace in which it was opened."""

    def __init__(self, family: int = socket.NETLINK_ROUTE) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._sock.settimeout(_PATIENCE)
        self._sequence = 0

    def __enter__(self) -> Dumps:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def entries(self, number: int, header: bytes) -> list[bytes]:
        """The messages, without their netlink headers, that answer a request for a list.

        Raises OSError when the kernel refuses it.
        """
        for _ in range(_ATTEMPTS):
            messages, is_whole = self._ask(number, _DUMP, header)
            if is_whole:
                break
        return messages

    def ask(self, number: int, body: bytes) -> bytes | None:
        """The message that answers a request for one thing; None when the kernel has none."""
        try:
            messages, _ = self._ask(number, 0, body)
        except OSError:
            return None
        return messages[0] if messages else None

    def carry_out(self, number: int, body: bytes) -> None:
        """Have the kernel do one thing. Raises OSError when it refuses."""
        self._ask(number, _ACK, body)

    def speed(self, name: bytes) -> int | None:
        """Mb/s of an interface's link, whose name ends in zero; None when its driver does not
        know (ETHTOOL_GSET, include/uapi/linux/ethtool.h).
        """
        command = ctypes.create_string_buffer(_ETHTOOL_GSET.to_bytes(4, _ORDER), _ETHTOOL_BYTES)
        request = struct.pack("16sP", name, ctypes.addressof(command))
        try:
            fcntl.ioctl(self._sock, _SIOCETHTOOL, request.ljust(40, b"\0"))
        except OSError:
            return None
        low, high = struct.unpack_from("=12xH14xH", command.raw)
        found: int = low | high << 16
        return None if found in (0xFFFF, 0xFFFFFFFF) else found

    def _ask(self, number: int, flags: int, body: bytes) -> tuple[list[bytes], bool]:
        self._sequence += 1
        length = _HEADER.size + len(body)
        header = _HEADER.pack(length, number, _REQUEST | flags, self._sequence, 0)
        self._sock.send(header + body)
        messages: list[bytes] = []
        is_whole = True
        while True:
            data = self._sock.recv(_RECEIVE_BYTES)
            offset, end = 0, len(data)
            while offset + _HEADER.size <= end:
                length, kind, found, sequence, _ = _HEADER.unpack_from(data, offset)
                if length < _HEADER.size:
                    raise OSError(errno.EBADMSG, "the kernel's answer makes no sense")
                if sequence == self._sequence:
                    if found & _DUMP_INTERRUPTED:
                        is_whole = False
                    if kind in (_DONE, _ERROR):
                        _raise_refusal(data[offset + _HEADER.size : offset + length])
                        return messages, is_whole
                    if kind != _OVERRUN:
                        messages.append(data[offset + _HEADER.size : offset + length])
                        if not flags:
                            return messages, True
                offset += (length + 3) & ~3


def _raise_refusal(body: bytes) -> None:
    """Raise the OSError that a final message tells (a list may end in an error, too)."""
    code = struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
    # A list that changed too much while it was read is given as far as it was read.
    if code and -code != errno.EINTR:
        raise OSError(-code, f"the kernel refuses: {os.strerror(-code)}")


def attributes(data: bytes, start: int = 0) -> Attributes:
    """Take attributes apart, by number; of one that comes twice the last counts."""
    found: Attributes = {}
    unpack, end = _ATTRIBUTE.unpack_from, len(data)
    while start + 4 <= end:
        length, kind = unpack(data, start)
        if length < 4:
            break
        found[kind & _TYPE_BITS] = data[start + 4 : start + length]
        start += (length + 3) & ~3
    return found


def attribute_list(data: bytes) -> list[tuple[int, bytes]]:
    """Attributes in order, where one number may come again and again."""
    found: list[tuple[int, bytes]] = []
    start, end = 0, len(data)
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4:
            break
        found.append((kind & _TYPE_BITS, data[start + 4 : start + length]))
        start += (length + 3) & ~3
    return found


def native(data: bytes) -> int:
    """A whole number of up to 64 bits in the machine's byte order."""
    return int.from_bytes(data[:8], _ORDER)


def network(data: bytes) -> int:
    """A whole number of up to 64 bits in network byte order."""
    return int.from_bytes(data[:8], "big")


def text(data: bytes) -> str:
    """A string that ends in zero; bytes that are not UTF-8 become `\\xNN`."""
    return data.partition(b"\0")[0].decode(errors="backslashreplace")


def internet(data: bytes) -> str:
    """An IPv4 or IPv6 address."""
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def names_of(bits: int, table: dict[int, str]) -> tuple[str, ...]:
    """The names of the bits that are set."""
    return tuple(name for bit, name in table.items() if bits & bit)
