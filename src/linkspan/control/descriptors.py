"""File descriptors beside the bytes of a UNIX stream socket (SCM_RIGHTS, unix(7))."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from typing import Final

_MOST: Final = 250
"""Descriptors in one message; the kernel's limit is SCM_MAX_FD, 253 (include/net/scm.h)."""


def close_all(descriptors: Iterable[int]) -> None:
    """Close each of them."""
    for descriptor in descriptors:
        os.close(descriptor)


def receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Bytes and descriptors; a program that we start later does not inherit these."""
    data, descriptors, _, _ = socket.recv_fds(sock, 1 << 16, _MOST)
    for descriptor in descriptors:
        # recv_fds of Python 3.11 takes flags, MSG_CMSG_CLOEXEC among them, and forgets them.
        os.set_inheritable(descriptor, False)
    return data, descriptors


def send_with(sock: socket.socket, line: bytes, descriptors: Sequence[int]) -> None:
    """Send a line whose last bytes carry the descriptors, so that they arrive before its end."""
    head, rest = line[:-1], list(descriptors)
    if not rest:
        sock.sendall(line)
        return
    batches = [rest[start : start + _MOST] for start in range(0, len(rest), _MOST)]
    step = max(1, len(head) // len(batches))
    for index, batch in enumerate(batches):
        last = index == len(batches) - 1
        part = line[index * step :] if last else line[index * step : (index + 1) * step]
        sent = socket.send_fds(sock, [part], batch)
        sock.sendall(part[sent:])
