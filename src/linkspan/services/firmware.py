"""What a machine's firmware says of the disk that it is to boot from.

SeaBIOS writes what it does to a port (0x402), of which QEMU can keep the last bytes. What is read
from there is gone, so it is written back; connections to QEMU take turns, so nobody misses
anything. A guest can write there as well: only sentences that are SeaBIOS's own count.

Source: src/boot.c of SeaBIOS; hw/char/debugcon.c and qapi/char.json (ringbuf-read) of QEMU.
"""

from __future__ import annotations

import re
from typing import Final

from linkspan.errors import Refusal
from linkspan.services.qmp import Qmp

DEVICE: Final = "firmware"
"""The name of what QEMU keeps."""

BYTES: Final = 4096
"""How much of it."""

PORT: Final = 0x402

_END: Final = "No bootable device."
_BEGINNING: Final = "enter handle_19:"
"""What begins each attempt to boot (INT 19h)."""

_FAILED: Final = re.compile(r"^Boot failed: ([a-z ]+)$", re.MULTILINE)


def arguments() -> list[str]:
    """Have QEMU keep what the firmware says."""
    keep = f"ringbuf,id={DEVICE},size={BYTES}"
    return ["-chardev", keep, "-device", f"isa-debugcon,iobase={PORT:#x},chardev={DEVICE}"]


def said(qmp: Qmp) -> str:
    """The last of what the firmware of a machine has said; empty when QEMU does not keep it."""
    try:
        text = str(qmp.call("ringbuf-read", device=DEVICE, size=BYTES))
        if text:
            qmp.call("ringbuf-write", device=DEVICE, data=text)
    except Refusal:
        return ""
    return text


def why_not_booted(text: str) -> str:
    """Why the firmware found nothing to boot: what it says of the first device that it tried; empty
    when it has not given up.
    """
    attempt = text.rpartition(_BEGINNING)[2]
    if not attempt.rstrip().endswith(_END):
        return ""
    failed = _FAILED.search(attempt)
    return failed[1] if failed else "no bootable device"
