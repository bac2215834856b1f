"""iptables's own, older kernel side: what its filter table does with what is forwarded.

Asked by getsockopt(2), as iptables does; the table is there only if somebody has used it, and is
asked for only then, since asking would make it.

Source: include/uapi/linux/netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h,
netfilter/x_tables.h.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from dataclasses import dataclass
from typing import Final

from linkspan.engine.reading.dump import text

_GET_INFO, _GET_ENTRIES = 64, 65
_NAME_BYTES, _INFO_BYTES, _ENTRIES_HEADER = 32, 84, 40
_FORWARD: Final = 2
"""NF_INET_FORWARD."""

_DROP: Final = -1
"""-NF_DROP - 1, as verdicts stand in the table."""


@dataclass(frozen=True, slots=True)
class _Version:
    family: int
    level: int
    interfaces: int
    """Where an entry's interface names begin: the incoming one, then the outgoing one."""
    target_offset: int
    """Where in an entry the offset of its target stands, followed by that of the next entry."""


_VERSIONS: Final = {
    "ip": _Version(socket.AF_INET, socket.IPPROTO_IP, 16, 88),
    "ip6": _Version(socket.AF_INET6, socket.IPPROTO_IPV6, 64, 140),
}


@dataclass(frozen=True, slots=True)
class LegacyForward:
    """The FORWARD chain of a legacy filter table."""

    family: str
    """ip or ip6."""
    drops: bool
    """Whether its policy is DROP."""
    incoming: frozenset[str]
    """Interfaces that rules of the table name as incoming, and do not drop at once."""
    outgoing: frozenset[str]


def read_legacy_forward(family: str) -> LegacyForward:
    """The forward chain of the legacy filter table of `ip` or `ip6`, in the namespace of the
    calling thread. Raises OSError.
    """
    version = _VERSIONS[family]
    with socket.socket(version.family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        name = b"filter".ljust(_NAME_BYTES, b"\0")
        info = _ask(sock, version.level, _GET_INFO, name.ljust(_INFO_BYTES, b"\0"))
        underflow = struct.unpack_from("=5I", info, 56)[_FORWARD]
        size = struct.unpack_from("=I", info, 80)[0]
        request = name + struct.pack("=I", size)
        entries = _ask(
            sock, version.level, _GET_ENTRIES, request.ljust(_ENTRIES_HEADER + size, b"\0")
        )[_ENTRIES_HEADER:]
    named: tuple[set[str], set[str]] = (set(), set())
    drops, offset = False, 0
    while offset < size:
        target, following = struct.unpack_from("=HH", entries, offset + version.target_offset)
        is_standard = not text(entries[offset + target + 2 : offset + target + 32])
        verdict = struct.unpack_from("=i", entries, offset + target + 32)[0] if is_standard else 0
        if offset == underflow:
            drops = verdict == _DROP
        elif verdict != _DROP:
            for place, names in enumerate(named):
                begin = offset + version.interfaces + 16 * place
                names.add(text(entries[begin : begin + 16]))
        offset += following
    return LegacyForward(family, drops, frozenset(named[0] - {""}), frozenset(named[1] - {""}))


def _ask(sock: socket.socket, level: int, option: int, request: bytes) -> bytes:
    """getsockopt(2) with a buffer that goes both ways, which Python's has not."""
    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(request, len(request))
    length = ctypes.c_uint32(len(request))
    if library.getsockopt(sock.fileno(), level, option, buffer, ctypes.byref(length)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer.raw
