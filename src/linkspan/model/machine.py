"""What the file says of a virtual machine, beside its ports.

A machine boots a kernel that the file names, or from its disk. What is not said here is QEMU's own
choice for a plain PC: the fewer devices, the sooner a guest is up.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

from msgspec import Meta

from linkspan.model.base import Value

CONSOLE: Final = "console=ttyS0"
"""What has a Linux guest talk on the serial line that `linkspan console` shows."""

FileName = Annotated[str, Meta(min_length=1, extra={"shape": "file"})]
"""A file of this machine; relative to the folder of the lab's file."""

MemoryText = Annotated[
    str, Meta(pattern="^[1-9][0-9]{0,6}[MG]$", extra={"shape": "memory"}, examples=["256M", "2G"])
]


class DiskFormat(enum.Enum):
    """How a disk's contents are stored in its file."""

    RAW = "raw"
    QCOW2 = "qcow2"


class Disk(Value, frozen=True, kw_only=True):
    """The disk of a virtual machine."""

    file: Annotated[
        FileName,
        Meta(description="The image; relative to the folder of this file."),
    ]
    format: Annotated[
        DiskFormat | None,
        Meta(
            description="How the image is stored; when left out, `qcow2` if its name ends so, else "
            "`raw`. It is not guessed from what is in it, since the guest writes that."
        ),
    ] = None
    snapshot: Annotated[
        bool,
        Meta(
            description="Whether what the guest writes is forgotten when the machine ends; "
            "several machines can have such an image at the same time."
        ),
    ] = False

    @property
    def stored(self) -> DiskFormat:
        """The format, where none is said by the image's name."""
        if self.format is not None:
            return self.format
        return DiskFormat.QCOW2 if self.file.endswith(".qcow2") else DiskFormat.RAW


class MachineFields(Value, frozen=True, kw_only=True):
    """The fields of a node that only a virtual machine has."""

    kernel: Annotated[
        FileName | None,
        Meta(description="Of a `vm`: the Linux kernel that it boots; relative to this file."),
    ] = None
    initrd: Annotated[
        FileName | None,
        Meta(description="Of a `vm` with a `kernel`: the initial file system, an initramfs."),
    ] = None
    append: Annotated[
        str,
        Meta(
            extra={"shape": "line"},
            description="Of a `vm` with a `kernel`: its command line. For each port with an IPv4 "
            "address `ip=ADDRESS::GATEWAY:MASK:NODE:PORT:off` is added, and for each with "
            "`address: dhcp` `ip=::::NODE:PORT:dhcp`, unless it says `ip=`.",
        ),
    ] = CONSOLE
    disk: Annotated[
        Disk | None,
        Meta(description="Of a `vm`: its disk; `disk: FILE` is short for `disk: {file: FILE}`."),
    ] = None
    memory: Annotated[MemoryText, Meta(description="Of a `vm`: its memory, in MiB or GiB.")] = (
        "256M"
    )
    cpus: Annotated[int, Meta(ge=1, le=255, description="Of a `vm`: number of processors.")] = 1

    shutdown: Annotated[
        int,
        Meta(
            ge=0,
            le=3600,
            description="Of a `vm`: seconds that its guest gets to shut down when its power button "
            "is pressed; then QEMU is told to quit.",
        ),
    ] = 10

    @property
    def mebibytes(self) -> int:
        """The memory in MiB."""
        return int(self.memory[:-1]) * (1024 if self.memory.endswith("G") else 1)
