"""Whether KVM works here: tried, since /dev/kvm may be there and hang.

QEMU is given a guest of ten bytes that says one word to it and is done: with KVM that takes a tenth
of a second, or it is none. What a probe found holds as long as the lab.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

KVM: Final = "kvm"
TCG: Final = "tcg"

SECONDS: Final = 2.0
"""What KVM gets to show that it works."""

_DEVICE: Final = Path("/dev/kvm")
_NOTE: Final = "accelerator"
_EXIT_PORT: Final = 0x501
"""Of QEMU's isa-debug-exit, at its default place (hw/misc/debugexit.c)."""

_WORD: Final = 2

_GUEST: Final = bytes(
    [0xBA, *_EXIT_PORT.to_bytes(2, "little"), 0xB0, _WORD, 0xEE, 0xF4, 0xEB, 0xFD]
)
"""mov dx, 0x501; mov al, 2; out dx, al; hlt; jmp -1."""

_DONE: Final = _WORD << 1 | 1
"""QEMU's exit status for that word; its own failures are 1."""


def accelerator(program: str, folder: Path) -> str:
    """How guests are run best: kvm or tcg. `folder` is the lab's, where it is noted."""
    note = folder / _NOTE
    with contextlib.suppress(OSError):
        if (known := note.read_text()) in (KVM, TCG):
            return known
    found = KVM if has_kvm(program) else TCG
    note.write_text(found)
    return found


def has_kvm(program: str, seconds: float = SECONDS) -> bool:
    """Whether a guest gets anywhere with KVM within so many seconds."""
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return False
    return runs_guest(program, KVM, seconds)


def runs_guest(program: str, name: str, seconds: float) -> bool:
    """Whether an accelerator runs the small guest to its end."""
    with tempfile.NamedTemporaryFile(suffix=".img") as image:
        image.write(_GUEST.ljust(510, b"\0") + b"\x55\xaa")
        image.flush()
        words = [program, "-accel", name, "-nodefaults", "-no-user-config", "-display", "none"]
        words += ["-m", "16", "-device", "isa-debug-exit"]
        words += ["-drive", f"file={image.name},format=raw,if=floppy,readonly=on"]
        with subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                return process.wait(seconds) == _DONE
            except subprocess.TimeoutExpired:
                process.kill()
                return False
