"""The interfaces that ports are made of: in the node, and what the switch has of them.

    tap         in the node; its descriptor is the port
    veth pair   one end in the node, the other, the switch's, in the lab's own namespace, with the
                in-kernel cache's program or a packet socket on it

The switch's ends are named by what they belong to and not by bridge or number, so that a port
which moves keeps its own. Both ends carry the lab's mark; that of the switch's end is not a name
which a port or a bridge can have. In scope host the lab's own namespace is the machine's, so what
is there without our mark is never touched.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Final

from linkspan.engine.kernel.links import Link, look
from linkspan.engine.kernel.new_ports import keep_from_addresses
from linkspan.engine.machine_ends import make_tap
from linkspan.engine.netlink import Netlink, add_veth, delete_group, delete_link, set_link
from linkspan.engine.site import Site
from linkspan.engine.user.devices import open_tap
from linkspan.errors import Refusal
from linkspan.model.names import Mark
from linkspan.sandbox.namespaces import inside

OF_SWITCH: Final = "~switch."
"""What the mark of a switch's own device begins with, behind the lab; no node is called so."""

_PREFIX: Final = "ls-"
_HASH_BYTES: Final = 6
_DOOMED: Final = 0x6C736C73
"""Group of interfaces that are about to be deleted; nobody has another use for the number."""


def near_name(lab: str, *owner: str) -> str:
    """The name of the switch's end of what belongs to a bridge, or to an interface of a node."""
    return _PREFIX + blake2b("\0".join([lab, *owner]).encode(), digest_size=_HASH_BYTES).hexdigest()


class Interfaces:
    """Makes, changes and removes them within one lab."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._here = Path("/proc/self/ns/net").stat()

    def is_elsewhere(self, node: str) -> bool:
        """Whether a node's namespace is another than the lab's own."""
        return not os.path.samestat(os.fstat(self._site.network(node)), self._here)

    def mark(self, identity: str) -> str:
        """The alias of an interface of ours."""
        return str(Mark(self._site.lab, identity))

    def tap(self, node: str, interface: str, mac: str, mtu: int, identity: str) -> int:
        """A tap in a node; returns its descriptor."""
        with inside(self._site.network(node)):
            descriptor = open_tap(interface)
        try:
            alias = self.mark(identity)
            self._site.netlink(node).run([set_link(interface, mac=mac, mtu=mtu, alias=alias)])
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def machine_tap(self, mtu: int, identity: str, near: str) -> int:
        """A tap for a machine, beside the switch's ends; returns its descriptor. It is down."""
        descriptor = make_tap(near)
        try:
            alias = self.mark(OF_SWITCH + identity)
            self._site.own.run([set_link(near, mtu=mtu, alias=alias)])
            keep_from_addresses(self._site.own, [near])
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def veth(self, node: str, interface: str, mac: str, mtu: int, identity: str, near: str) -> None:
        """A veth pair between a node and the switch; neither end is up."""
        own = self._site.own
        own.run([add_veth(near, interface, self._site.network(node), mac)])
        keep_from_addresses(own, [near])
        own.run([set_link(near, mtu=mtu, alias=self.mark(OF_SWITCH + identity))])
        self._site.netlink(node).run([set_link(interface, mtu=mtu, alias=self.mark(identity))])

    def change_near(self, near: str, mtu: int) -> None:
        """Another MTU of what the switch has of a port, if it is an interface."""
        if look(self._site.own, near) is not None:
            self._site.own.run([set_link(near, mtu=mtu)])

    def change(self, node: str, interface: str, near: str, mac: str, mtu: int) -> None:
        """Another MAC address or MTU, also of the switch's end, if there is one."""
        self._site.netlink(node).run([set_link(interface, mac=mac, mtu=mtu)])
        self.change_near(near, mtu)

    def clear(self, node: str, interface: str, identity: str, near: str) -> None:
        """Remove what is left of an interface of ours that is to be made. Raises Refusal when the
        switch's end would take the name of somebody else's interface.
        """
        self.clear_near(identity, near)
        netlink = self._site.netlink(node)
        far = look(netlink, interface)
        if far is not None and far.alias == self.mark(identity):
            delete_all(netlink, [interface])

    def clear_near(self, identity: str, near: str) -> None:
        """Remove what is left of a switch's end that is to be made. Raises Refusal as above."""
        left = look(self._site.own, near)
        if left is not None:
            if left.alias not in (None, self.mark(OF_SWITCH + identity)) or self._is_foreign(left):
                raise Refusal(
                    f"{near} is not ours: expected the alias {self.mark(OF_SWITCH + identity)},"
                    f" found {left.alias or 'none'}"
                )
            delete_all(self._site.own, [near])

    def _is_foreign(self, link: Link) -> bool:
        """Whether an interface without a mark is not one of ours, made and not marked any more
        when linkspan was killed: the name is a hash, and we make nothing but veths."""
        return link.alias is None and link.kind != "veth"

    def delete_near(self, names: Iterable[str]) -> None:
        """Delete switch's ends, and with them what is at their other ends."""
        delete_all(self._site.own, names)


def delete_all(netlink: Netlink, names: Iterable[str]) -> None:
    """Delete interfaces, those that there are; one may just be going with its far end."""
    present = [name for name in names if look(netlink, name) is not None]
    if not present:
        return
    with contextlib.suppress(Refusal):
        netlink.run([*(set_link(name, group=_DOOMED) for name in present), delete_group(_DOOMED)])
    for name in present:
        if look(netlink, name) is not None:
            netlink.run([delete_link(name)])
