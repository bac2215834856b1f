"""Putting taps of libvirt's guests back on a bridge that lost them.

A tap is not ours: nothing of it is changed but that it becomes a port, as libvirt had it, and is
isolated where libvirt says so (a port forgets its options when it leaves a bridge).
"""

from __future__ import annotations

from linkspan.engine.kernel.links import Link, look
from linkspan.engine.kernel.messages import set_master, set_port
from linkspan.engine.kernel.ownership import owned
from linkspan.engine.netlink import Netlink
from linkspan.engine.site import Site
from linkspan.errors import Bug
from linkspan.model.guest_facts import Guest, GuestKey
from linkspan.model.names import Mark
from linkspan.plan.change import Change

_KIND = "tun"
"""What rtnetlink calls taps and tuns alike."""


def change_guest(site: Site, change: Change) -> None:
    """Make a guest's tap a port, or take back that it was made one. A tap that has gone, or is a
    port already, is left alone. Raises Refusal when the bridge is not there, or not ours.
    """
    match change:
        case Change(key=GuestKey() as key, after=Guest() as guest):
            _put_back(site.netlink(key.node), key.interface, guest, site.lab)
        case Change(key=GuestKey() as key, before=Guest() as guest):
            netlink = site.netlink(key.node)
            tap, bridge = _tap(netlink, key.interface), look(netlink, guest.bridge)
            if tap is not None and bridge is not None and tap.master == bridge.index:
                netlink.run([set_master(tap.name, None)])
        case _:
            raise Bug(f"no guest can {change.explain()}")


def _put_back(netlink: Netlink, name: str, guest: Guest, lab: str) -> None:
    tap = _tap(netlink, name)
    if tap is None or tap.master is not None:
        return
    bridge = owned(look(netlink, guest.bridge), guest.bridge, Mark(lab, guest.bridge))
    options = [set_port(tap.name, {"isolated": True})] if guest.isolated else []
    netlink.run([set_master(tap.name, bridge.index), *options])


def _tap(netlink: Netlink, name: str) -> Link | None:
    found = look(netlink, name)
    return found if found is not None and found.kind == _KIND else None
