"""A lab whose own namespace is that of its host, as in scope host: everything stands side by side.

The namespace of a lab's node plays the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine.changed_lab import Found, added, at_site, carry_out, port, removed
from tests.engine.networks import configure, namespace, needs_root, veth
from tests.engine.running_lab import RunningLab, lab, transfer
from tests.engine.stations import PacketPeer
from tests.engine.test_live_uplinks import connect, give, who_has

from linkspan.engine.netlink import Netlink, add_veth, delete_link, set_link
from linkspan.engine.site import Site
from linkspan.engine.user.interfaces import near_name
from linkspan.errors import Refusal
from linkspan.model.names import Mark
from linkspan.model.state import (
    Address,
    AddressKey,
    Bridge,
    BridgeKey,
    PortKey,
    Up,
    UpKey,
    Uplink,
    UplinkKey,
)
from linkspan.model.topology import Scope
from linkspan.plan.change import Change
from linkspan.sandbox.namespaces import inside

pytestmark = needs_root
both_caches = pytest.mark.parametrize("cache", ["auto", "off"])

NODES = "nodes: {a: {ports: {}}, b: {ports: {}}}\n"


def on_machine(running: RunningLab, work: Callable[[Site], Found]) -> Found:
    """Do something with the host's namespace as the lab's own."""

    def do(site: Site) -> Found:
        with inside(site.network("host")):
            machine = Site(site.lab, site.folder, site.init, Scope.SANDBOX)
            try:
                return work(machine)
            finally:
                machine.close()

    return at_site(running, do)


def changes(cache: str) -> tuple[Change, ...]:
    bridge = Bridge(node="host", engine="user", mac="52:54:00:00:00:99", mtu=1500, cache=cache)
    made = [added(BridgeKey("br9"), bridge)]
    for number, node in enumerate(("a", "b"), 1):
        made.append(added(PortKey(node, "eth0"), port(number, "br9")))
    made.append(added(AddressKey("host", "br9", "10.9.0.254/16"), Address()))
    made.append(added(UpKey("host", "br9"), Up(up=True)))
    for number, node in enumerate(("a", "b"), 1):
        made.append(added(AddressKey(node, "eth0", f"10.9.0.{number}/16"), Address()))
        made.append(added(UpKey(node, "eth0"), Up(up=True)))
    return tuple(made)


def interfaces(running: RunningLab) -> set[str]:
    with inside(running.network("host")), Netlink() as netlink:
        return {one.name for one in netlink.interfaces()}


@both_caches
def test_bridge_ports_and_uplink_stand_in_one_namespace(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, NODES) as running, namespace() as lan:
        veth(running.network("host"), "eth0", "lan0", lan)
        give(lan, "lan0", "10.9.0.9/16")
        before = interfaces(running)
        on_machine(running, lambda site: carry_out(site, *changes(cache)))
        transfer(*running.connect("a", "b", "10.9.0.2"), 1 << 20)
        transfer(*running.connect("host", "b", "10.9.0.2", 7001), 1 << 20)
        key, uplink = UplinkKey("host", "eth0"), Uplink(bridge="br9", engine="user")
        on_machine(running, lambda site: carry_out(site, added(key, uplink)))
        transfer(*connect(running, lan, 7002), 1 << 20)
        peer = PacketPeer(lan, "lan0", 0x0806)
        assert who_has(peer, "10.9.0.254") == {"52:54:00:00:00:99"}
        gone = (removed(key, uplink), *(_removal(each) for each in reversed(changes(cache)[:3])))
        on_machine(running, lambda site: carry_out(site, *gone))
        assert interfaces(running) == before


def _removal(change: Change) -> Change:
    return Change(key=change.key, before=change.after)


def test_a_name_that_somebody_else_has_is_refused_and_not_touched(tmp_path: Path) -> None:
    with lab(tmp_path, NODES) as running:
        name = near_name(running.name, "port", "a", "eth0")
        foreign = add_veth(name, "x", running.network("b"), "52:54:00:00:00:01")
        configure(running.network("host"), foreign)
        mark = str(Mark("another", "a.eth0"))
        configure(running.network("host"), set_link(name, alias=mark))
        with pytest.raises(Refusal, match=f"{name} is not ours: expected the alias"):
            on_machine(running, lambda site: carry_out(site, *changes("auto")))
        assert name in interfaces(running)
        configure(running.network("host"), delete_link(name))
