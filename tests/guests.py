"""Guests for virtual machines of tests.

The smallest are boot sectors: a few instructions that run as soon as the firmware is done, for
tests of what happens to a machine and not of what it does. A real one is a Linux kernel of
Debian's with busybox, packed by `examples/make-guest.sh` once for a session.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.machine import EXAMPLES

QEMU = "qemu-system-x86_64"

SAID = "hello from the guest"
"""What the talking boot sector writes to its serial line."""

_CODE, _TEXT = 0x7C00, 64
_DISK_BYTES = 1 << 20
"""The firmware reads by cylinders, and a smaller disk has none."""

_SIGNATURE = b"\x55\xaa"


def require_qemu() -> None:
    """Skip the test where QEMU is not installed."""
    if shutil.which(QEMU) is None:
        pytest.skip("qemu-system-x86 is not installed")


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
        pytest.skip(f"no Linux guest: {made.stderr.strip()}")
    folder.chmod(0o755)
    return folder / "vmlinuz", folder / "initrd.img"
