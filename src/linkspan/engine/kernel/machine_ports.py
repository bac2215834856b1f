"""Ports of virtual machines on bridges of the kernel: a tap beside the bridge, and no other end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from linkspan.engine.kernel.links import Link, look
from linkspan.engine.kernel.messages import set_master
from linkspan.engine.kernel.ownership import remove_left
from linkspan.engine.machine_ends import drop_end, hold_end, make_tap
from linkspan.engine.netlink import set_link, without_ipv6_address
from linkspan.engine.site import Site
from linkspan.errors import Refusal
from linkspan.model.names import Mark
from linkspan.model.state import PortKey
from linkspan.sandbox.namespaces import inside


def add_machine_port(
    site: Site, key: PortKey, place: str, name: str, mark: Mark, bridge: Link, mtu: int
) -> None:
    """Make the tap of a machine's port on the bridge's node. Until init holds it, it ends with this
    process. Raises Refusal or OSError.
    """
    netlink = site.netlink(place)
    drop_end(site, key)
    remove_left(netlink, name, mark)
    with inside(site.network(place)):
        tap = make_tap(name)
    try:
        netlink.run([set_link(name, mtu=mtu, alias=str(mark))])
        with contextlib.suppress(Refusal):  # there is no IPv6 on it
            netlink.run([without_ipv6_address(name)])
        netlink.run([set_master(name, bridge.index), set_link(name, up=True)])
    except BaseException:
        os.close(tap)
        raise
    hold_end(site, key, tap)


def find_machine_port(site: Site, places: Iterable[str], name: str, mark: Mark) -> tuple[str, Link]:
    """The node and the tap of a machine's port, on whichever bridge's node it lies. Raises Refusal
    when it has gone.
    """
    for place in dict.fromkeys(places):
        tap = look(site.netlink(place), name)
        if tap is not None and (tap.alias, tap.kind) == (str(mark), "tun"):
            return place, tap
    raise Refusal(f"the tap of {mark.id} is not there any more")
