"""Network namespaces of a test's own.

They exist only as descriptors of the test process, so that they go with it whatever happens.
Sockets are opened inside (`inside`) and used from outside.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from linkspan.engine.netlink import Netlink, Request, add_veth, set_link
from linkspan.engine.user.load import OBJECT
from linkspan.sandbox.namespaces import inside
from linkspan.sandbox.syscalls import CLONE_NEWNET, unshare

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/net/tun", os.W_OK),
    reason="needs root and /dev/net/tun: makes namespaces and taps of its own",
)

needs_cache = pytest.mark.skipif(
    needs_root.args[0] or not OBJECT.exists(),
    reason="needs root and the in-kernel cache, which clang builds when linkspan is installed",
)

_numbers = itertools.count()


@contextmanager
def namespace(ipv6: bool = False) -> Iterator[int]:
    """A network namespace, without IPv6's chatter; it exists as long as its descriptor."""
    made: list[int] = []

    def make() -> None:
        unshare(CLONE_NEWNET)
        for scope in ("all", "default"):
            path = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
            path.write_text("0" if ipv6 else "1")
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    try:
        yield made[0]
    finally:
        os.close(made[0])


def configure(network: int, *requests: Request) -> None:
    """Carry out netlink requests in a namespace."""
    with inside(network), Netlink() as netlink:
        netlink.run(requests)


def veth(network: int, near: str, far: str, far_network: int, mtu: int = 1500) -> None:
    """A veth pair, both ends up."""
    configure(
        network,
        add_veth(near, far, far_network, f"52:54:01:00:00:{next(_numbers) % 256:02x}"),
        set_link(near, up=True, mtu=mtu),
    )
    configure(far_network, set_link(far, up=True, mtu=mtu))
