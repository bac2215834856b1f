"""iptables's own, older kernel side: its tables as they are.

Asked by getsockopt(2), as iptables does; a table is there only if somebody has used it, and is
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

_GET_INFO, _GET_ENTRIES = 64, 65
_NAME_BYTES, _INFO_BYTES, _ENTRIES_HEADER = 32, 84, 40
_VERSIONS: Final = {
    "ip": (socket.AF_INET, socket.IPPROTO_IP),
    "ip6": (socket.AF_INET6, socket.IPPROTO_IPV6),
}
"""The family of a socket and the level of its options."""


@dataclass(frozen=True, slots=True)
class LegacyTable:
    """A table as the kernel has it."""

    family: str
    """ip or ip6."""
    entries: bytes
    """struct ipt_entry or ip6t_entry, one behind the other."""
    hooks: tuple[int, ...]
    """By hook (enum nf_inet_hooks): where in `entries` its chain begins."""
    policies: tuple[int, ...]
    """By hook: where the last entry of its chain is, which is its policy."""


def read_legacy(family: str, table: str) -> LegacyTable:
    """A legacy table of `ip` or `ip6` such as `filter`, in the namespace of the calling thread.

    Raises OSError.
    """
    kind, level = _VERSIONS[family]
    with socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        name = table.encode().ljust(_NAME_BYTES, b"\0")
        info = _ask(sock, level, _GET_INFO, name.ljust(_INFO_BYTES, b"\0"))
        size = struct.unpack_from("=I", info, 80)[0]
        request = name + struct.pack("=I", size)
        entries = _ask(sock, level, _GET_ENTRIES, request.ljust(_ENTRIES_HEADER + size, b"\0"))
    return LegacyTable(
        family,
        entries[_ENTRIES_HEADER : _ENTRIES_HEADER + size],
        hooks=struct.unpack_from("=5I", info, 36),
        policies=struct.unpack_from("=5I", info, 56),
    )


def _ask(sock: socket.socket, level: int, option: int, request: bytes) -> bytes:
    """getsockopt(2) with a buffer that goes both ways, which Python's has not."""
    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(request, len(request))
    length = ctypes.c_uint32(len(request))
    if library.getsockopt(sock.fileno(), level, option, buffer, ctypes.byref(length)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer.raw
