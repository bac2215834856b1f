"""The files that services write to: taken as standard streams, kept from growing, and read.

The process appends to the file whatever becomes of it, so that the file can be cut while it writes:
its last part is put into the emptied file. What the process writes in that moment stands before it,
and what it writes between reading and emptying is lost; nobody has to stand between a command and
its file for that.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

LARGEST: Final = 1 << 20
"""Bytes; a lab's folder lies in memory."""

KEPT: Final = LARGEST // 4
"""Bytes of the end that are left when a file has grown larger than that."""

SECONDS: Final = 1.0
"""Between two looks at the sizes."""


def output_file(folder: Path, node: str) -> Path:
    """The file in a lab's folder that what runs in a node writes to: a container's command, or a
    virtual machine's QEMU, with what its guest says on the console.
    """
    return folder / "logs" / f"{node}.log"


def take(file: str) -> None:
    """Make a file the calling process's standard output and error. Raises OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def trim(file: str) -> None:
    """Cut a file that has grown too large to its last lines."""
    with contextlib.suppress(OSError):
        if Path(file).stat().st_size <= LARGEST:
            return
        descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            end = os.pread(descriptor, KEPT, os.fstat(descriptor).st_size - KEPT)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, end[end.find(b"\n") + 1 :])
        finally:
            os.close(descriptor)


def since(file: Path, begin: int) -> list[str]:
    """The lines that a file has got since it was so many bytes long, all that it has if it was cut
    meanwhile. Raises OSError.
    """
    with open(file, "rb") as opened:
        opened.seek(begin if os.fstat(opened.fileno()).st_size >= begin else 0)
        return opened.read().decode(errors="replace").splitlines()
