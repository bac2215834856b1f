"""Taps that stay: interfaces for programs that come later, such as a virtual machine's QEMU.

Source: drivers/net/tun.c (`__tun_chr_ioctl`), Documentation/networking/tuntap.rst.
"""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Final

from linkspan.engine.user.devices import TUN_DEVICE

_TUNSETIFF, _TUNSETPERSIST, _TUNSETOWNER, _TUNSETGROUP = (
    0x400454CA,
    0x400454CB,
    0x400454CC,
    0x400454CE,
)
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
_IFF_TUN_EXCL: Final = 0x8000


def add_tap(
    name: str, owner: int | None = None, group: int | None = None, multi_queue: bool = False
) -> None:
    """Make a persistent tap in the current network namespace; `delete_link` ends it.

    `owner` and `group` are the numbers of the user and the group that may open it beside those
    with CAP_NET_ADMIN; `multi_queue` lets it be opened several times, a queue each. Whoever opens
    it has to say again whether he wants many queues. Raises OSError, FileExistsError when there is
    an interface of that name.
    """
    descriptor = os.open(TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | _IFF_TUN_EXCL
        if multi_queue:
            flags |= _IFF_MULTI_QUEUE
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        if owner is not None:
            fcntl.ioctl(descriptor, _TUNSETOWNER, owner)
        if group is not None:
            fcntl.ioctl(descriptor, _TUNSETGROUP, group)
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
    except OSError as error:
        if error.errno == 16:
            raise FileExistsError(error.errno, os.strerror(17), name) from None
        raise
    finally:
        os.close(descriptor)
