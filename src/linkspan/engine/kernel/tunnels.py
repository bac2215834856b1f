"""Making VXLAN devices that are ports of a kernel bridge, and removing them."""

from __future__ import annotations

import contextlib

from linkspan.engine.kernel.links import look
from linkspan.engine.kernel.messages import set_master
from linkspan.engine.kernel.ownership import Recipe, delete, owned
from linkspan.engine.kernel.vxlan import add_remote, add_vxlan
from linkspan.engine.netlink import Netlink, set_link, without_ipv6_address
from linkspan.errors import Refusal
from linkspan.model.names import Mark
from linkspan.model.state import Vxlan


def make_tunnel(netlink: Netlink, name: str, mark: Mark, wanted: Vxlan, bridge: int) -> None:
    """Have a device as it is wanted, a port of the bridge of that number, and not up yet if it was
    not there. Raises Refusal.
    """
    found = look(netlink, name)
    if found is None:
        underlay = netlink.index(wanted.interface) if wanted.interface else None
        netlink.run([add_vxlan(name, wanted, underlay), set_link(name, alias=str(mark))])
        with contextlib.suppress(Refusal):  # a kernel, or an MTU, without IPv6
            netlink.run([without_ipv6_address(name)])
        index = netlink.index(name)
        netlink.run([add_remote(index, remote) for remote in wanted.remotes])
        netlink.run([set_master(name, bridge)])
    elif owned(found, name, mark).mtu != wanted.mtu:
        netlink.run([set_link(name, mtu=wanted.mtu)])


def remove_tunnel(netlink: Netlink, name: str, mark: Mark) -> None:
    """Delete a device of ours, if it is there. Raises Refusal when what is there is not ours."""
    delete(netlink, name, Recipe(mark, "vxlan", ""))
