"""Guests for virtual machines of tests.

The smallest are boot sectors: a few instructions that run as soon as the firmware is done, for
tests of what happens to a machine and not of what it does. A real one is a Linux kernel of
Debian's with busybox, packed by `examples/make-guest.sh` once for a session.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import select
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from tests.machine import EXAMPLES, ROOT, Machine, linkspan_command

QEMU = "qemu-system-x86_64"

SAID = "hello from the guest"
"""What the talking boot sector writes to its serial line."""

PATIENCE = 120.0
"""Seconds after which a test gives up on a guest; never a measure. One is up in two to four when it
has a processor to itself.
"""

_CODE, _TEXT = 0x7C00, 64
_DISK_BYTES = 1 << 20
"""The firmware reads by cylinders, and a smaller disk has none."""

_SIGNATURE = b"\x55\xaa"


def require_qemu() -> None:
    """Skip the test where QEMU is not installed."""
    if shutil.which(QEMU) is None:
        _lack("qemu-system-x86 is not installed")


def _lack(what: str) -> NoReturn:
    """Skip the test; fail it where `make test` has installed what it needs."""
    if os.geteuid() == ROOT and shutil.which("dpkg-query"):
        pytest.fail(what)
    pytest.skip(what)


def talking_disk(path: Path) -> Path:
    """A raw disk whose boot sector says `SAID` on COM1 at each key that is typed there, and once in
    the beginning.
    """
    code = bytes([0xFA, 0x31, 0xC0, 0x8E, 0xD8])  # cli; xor ax, ax; mov ds, ax
    again = len(code)
    code += b"\xbe" + struct.pack("<H", _CODE + _TEXT)  # mov si, text
    code += b"\xba\xf8\x03"  # mov dx, 0x3f8
    code += b"\xac\x84\xc0\x74\x03\xee\xeb\xf8"  # lodsb; test al, al; jz +3; out dx, al; jmp lodsb
    code += b"\xba\xfd\x03\xec\xa8\x01\x74\xfb"  # mov dx, 0x3fd; in al, dx; test al, 1; jz in
    code += b"\xba\xf8\x03\xec"  # mov dx, 0x3f8; in al, dx
    code += b"\xeb" + struct.pack("b", again - len(code) - 2)  # jmp again
    return _disk(path, code.ljust(_TEXT, b"\x90") + SAID.encode() + b"\r\n\0")


def silent_disk(path: Path) -> Path:
    """A raw disk that does not boot: there is nothing on it."""
    path.write_bytes(bytes(_DISK_BYTES))
    return path


def off_disk(path: Path) -> Path:
    """A raw disk whose boot sector switches the machine off: the ACPI registers of QEMU's PC, which
    the firmware has put at 0x600, are told to go to S5 (hw/acpi/piix4.c).
    """
    code = bytes([0xFA, 0xBA, 0x04, 0x06])  # cli; mov dx, 0x604
    code += b"\xb8\x00\x20\xef"  # mov ax, 0x2000; out dx, ax
    code += b"\xf4\xeb\xfd"  # hlt; jmp -3
    return _disk(path, code)


def qcow2_disk(path: Path) -> Path:
    """A disk of the same size as qcow2: header, reference counts and one table of tables, a cluster
    each (docs/interop/qcow2.txt of QEMU, version 2).
    """
    bits, clusters = 16, 4
    cluster = 1 << bits
    numbers = struct.pack(
        ">4sIQIIQIIQQIIQ",
        *(b"QFI\xfb", 2, 0, 0, bits, _DISK_BYTES, 0, 1, 3 * cluster, cluster, 1, 0, 0),
    )
    counts = struct.pack(">Q", 2 * cluster), struct.pack(">4H", *[1] * clusters)
    path.write_bytes(b"".join(part.ljust(cluster, b"\0") for part in (numbers, *counts, b"")))
    return path


def _disk(path: Path, code: bytes) -> Path:
    path.write_bytes((code.ljust(510, b"\0") + _SIGNATURE).ljust(_DISK_BYTES, b"\0"))
    return path


@functools.cache
def linux_guest() -> tuple[Path, Path]:
    """Kernel and initramfs of a Linux guest, made once; skips the test where that is impossible."""
    require_qemu()
    folder = Path(tempfile.mkdtemp(prefix="linkspan-guest-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = subprocess.run(
        ["sh", EXAMPLES / "make-guest.sh", folder],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        _lack(f"no Linux guest: {made.stderr.strip()}")
    folder.chmod(0o755)
    return folder / "vmlinuz", folder / "initrd.img"


def place_guest(machine: Machine) -> None:
    """Put the images of a Linux guest beside the files of a machine, in `guest`."""
    folder = machine.folder / "guest"
    folder.mkdir(exist_ok=True)
    for image, name in zip(linux_guest(), ("vmlinuz", "initrd.img"), strict=True):
        if not (folder / name).exists():
            (folder / name).symlink_to(image)


class Console:
    """A program that is at the console of a machine."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said = ""

    def ask(self, command: str, until: str) -> re.Match[str]:
        """Type a command and read what is said up to a pattern that the command alone does not
        hold.
        """
        self._said = ""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self.expect(until)

    def expect(self, until: str) -> re.Match[str]:
        """Read what is said up to a pattern; what comes after that is for the next one."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        deadline = time.monotonic() + PATIENCE
        while (found := re.search(until, self._said, re.DOTALL)) is None:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([output], [], [], max(left, 0))
            assert ready, f"{until!r} was not said: {self._said!r}"
            data = os.read(output, 4096)
            assert data, f"the console ended: {self._said!r}"
            self._said += data.decode(errors="replace")
        self._said = self._said[found.end() :]
        return found


@contextlib.contextmanager
def at_console(machine: Machine, node: str) -> Iterator[Console]:
    """Sit at a machine's console for the length of a `with` block."""
    with machine.start(
        linkspan_command("console", node), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield Console(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
