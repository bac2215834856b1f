"""Taps that the file declares as ports: interfaces that stay, for programs that come later, such as
a QEMU that somebody starts by hand.

A tap lives as long as a descriptor of it until it is made persistent, and that is the last thing
that is done to a new one: whatever breaks off before it leaves nothing.

Source: drivers/net/tun.c (`__tun_chr_ioctl`), Documentation/networking/tuntap.rst.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from typing import Final

from linkspan.engine.kernel.links import look
from linkspan.engine.kernel.messages import set_master
from linkspan.engine.kernel.ownership import owned
from linkspan.engine.netlink import delete_link, set_link, without_ipv6_address
from linkspan.engine.site import Site
from linkspan.engine.user.devices import TUN_DEVICE
from linkspan.errors import Refusal
from linkspan.model.names import TAP_PREFIXES, Mark
from linkspan.model.state import Tap, TapKey
from linkspan.sandbox.namespaces import inside

_TUNSETIFF, _TUNSETPERSIST, _TUNSETOWNER, _TUNSETGROUP = (
    0x400454CA,
    0x400454CB,
    0x400454CC,
    0x400454CE,
)
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
_IFF_TUN_EXCL: Final = 0x8000


def have_tap(site: Site, key: TapKey, wanted: Tap, bridge: int | None) -> None:
    """Have a tap as it is wanted, a port of the kernel's bridge of that number or of none, and not
    up yet if it was not there. Raises Refusal or OSError.
    """
    name, mark = key.name, _mark(site, key, wanted)
    netlink = site.netlink(wanted.node)
    found = look(netlink, name)
    if found is None:
        with inside(site.network(wanted.node)), new_tap(name, wanted):
            netlink.run([set_link(name, mtu=wanted.mtu, alias=str(mark))])
            with contextlib.suppress(Refusal):  # there is no IPv6 on it
                netlink.run([without_ipv6_address(name)])
            if bridge is not None:
                netlink.run([set_master(name, bridge)])
        return
    if owned(found, name, mark).mtu != wanted.mtu:
        netlink.run([set_link(name, mtu=wanted.mtu)])
    if found.master != bridge:
        netlink.run([set_master(name, bridge)])


def remove_tap(site: Site, key: TapKey, present: Tap) -> None:
    """Delete a tap of ours, if it is there; a program that has it open gets an error from then on.
    Raises Refusal when what is there is not ours.
    """
    netlink = site.netlink(present.node)
    found = look(netlink, key.name)
    if found is not None:
        netlink.run([delete_link(owned(found, key.name, _mark(site, key, present)).name)])


def _mark(site: Site, key: TapKey, tap: Tap) -> Mark:
    return Mark(site.lab, f"{TAP_PREFIXES[tap.engine]}{key.bridge}:{key.name}")


@contextlib.contextmanager
def new_tap(name: str, wanted: Tap) -> Iterator[None]:
    """A new tap in the current network namespace, which stays if the block ends well.

    The owner and the group may open it beside those with CAP_NET_ADMIN. Whoever opens it has to say
    again whether he wants many queues. Raises OSError, FileExistsError when there is an interface
    of that name.
    """
    descriptor = os.open(TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | _IFF_TUN_EXCL
        if wanted.multi_queue:
            flags |= _IFF_MULTI_QUEUE
        try:
            fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        except OSError as error:
            if error.errno == 16:
                raise FileExistsError(17, os.strerror(17), name) from None
            raise
        if wanted.owner is not None:
            fcntl.ioctl(descriptor, _TUNSETOWNER, wanted.owner)
        if wanted.group is not None:
            fcntl.ioctl(descriptor, _TUNSETGROUP, wanted.group)
        yield
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
    finally:
        os.close(descriptor)
