"""The machine's end of a port: what QEMU gets of it, held by the lab's init process.

    tap      QEMU has the descriptor, the bridge the interface, which lies on the bridge's side
    socket   where /dev/net/tun may not be opened: one end of a pair, a frame a datagram

Neither is QEMU's alone. A machine that ends leaves its ports where they are, without a carrier, and
the next one gets the same; they go when init lets go of them, or ends.
"""

from __future__ import annotations

import os
import socket
from typing import Final

from linkspan.engine.site import Site
from linkspan.engine.user.devices import Direction, enlarge_buffer, open_tap
from linkspan.model.state import PortKey
from linkspan.sandbox.syscalls import set_carrier

MACHINE: Final = "machine"
"""The kind of a port whose node is a virtual machine (`model.state.Port`)."""

_QUEUE_BYTES: Final = 1 << 20
"""Of the socket pair, for each direction."""


def end_key(key: PortKey) -> str:
    """The name under which the lab's init process holds the machine's end of a port."""
    return f"end:{key.node}:{key.interface}"


def make_tap(name: str) -> int:
    """A tap without a carrier in the current network namespace; returns its descriptor, with which
    it ends. Raises OSError.
    """
    tap = open_tap(name)
    set_carrier(tap, on=False)
    return tap


def hold_end(site: Site, key: PortKey, end: int) -> None:
    """Have init hold the machine's end of a port; the descriptor passes to it. Raises Refusal."""
    try:
        site.init.call("hold", [end], name=end_key(key))
    finally:
        os.close(end)


def hold_socket(site: Site, key: PortKey) -> int:
    """Have init hold one end of a pair of sockets; returns the other one, the switch's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (ours, theirs):
        end.setblocking(False)
        enlarge_buffer(end, Direction.SEND, _QUEUE_BYTES)
    hold_end(site, key, theirs.detach())
    return ours.detach()


def drop_end(site: Site, key: PortKey) -> None:
    """Let go of the machine's end of a port; a tap goes with it."""
    site.init.call("drop", names=[end_key(key)])
