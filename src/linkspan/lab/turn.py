"""Whose turn it is to change a lab: a lock for the time of one command.

The lock is a name: a UNIX socket bound in the abstract namespace (unix(7)), which one process at a
time can hold, which leaves no file, and which goes with its holder however that ends. Who waits
connects to it, and the kernel says which process it is (SO_PEERCRED).
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from linkspan.errors import Fault, Mistake
from linkspan.sandbox import state

PATIENCE: Final = 10.0
"""Seconds that a command waits for its turn."""


@contextmanager
def turn(lab: str, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lab's turn for the time of a `with` block.

    Raises Mistake, naming the holder, when another command has it for longer than `patience`
    seconds.
    """
    name = f"\0{state.folder(lab)}.turn"
    deadline = time.monotonic() + patience
    while (taken := _take(name)) is None:
        if time.monotonic() > deadline:
            raise Mistake(
                Fault(
                    f"the lab {lab} is being changed by another command",
                    found=_holder(name) or "a process that has just ended",
                    next_step="try again when it is done",
                )
            )
        time.sleep(0.02)
    with taken:
        yield


def _take(name: str) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(name)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    sock.listen()
    return sock


def _holder(name: str) -> str:
    """The process that has a turn, and its command line."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(0.1)
            sock.connect(name)
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        process = struct.unpack("=iII", credentials)[0]
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return f"process {process}: {b' '.join(words).decode(errors='replace').strip()}"
