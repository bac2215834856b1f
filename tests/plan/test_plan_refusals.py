"""Which cards can't be an uplink: a case for each check, with the reason and a way out."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from linkspan.model.host_snapshot import NamespaceSnapshot, NextHop, Route
from linkspan.model.interface_snapshot import FarEnd, Interface
from linkspan.model.nic import Manager, Nic
from linkspan.plan.refusals import CHECKS, WARNINGS, refusals, warnings


def interface(name: str, index: int = 2, **more: Any) -> Interface:
    fields: dict[str, Any] = {
        "kind": "physical",
        "mac": "52:54:00:00:00:01",
        "mtu": 1500,
        "up": True,
        "carrier": True,
        "operstate": "up",
        "link_type": 1,
        "flags": 0,
    }
    return Interface(name=name, index=index, **{**fields, **more})


def nic(card: Interface, *others: Interface, **more: Any) -> Nic:
    routes = more.pop("routes", ())
    namespace = NamespaceSnapshot(interfaces=(card, *others), routes=routes)
    return Nic(
        name=more.pop("name", card.name), namespace=namespace, bridge="br0", mtu=1500, **more
    )


VLAN = interface("eth0.7", 3, kind="vlan", peer=FarEnd(index=2))
MANAGER = Manager("systemd-networkd", "links/2 says NETWORK_FILE=lan.network", "networkctl reload")

CASES: dict[str, tuple[Nic, str, str]] = {
    "not-there": (nic(interface("eth0"), name="eth7"), "there is no interface eth7", "name one"),
    "loopback": (nic(interface("lo", kind="loopback", link_type=772)), "leads nowhere", "name the"),
    "wireguard": (
        nic(interface("wg0", kind="wireguard", link_type=65534)),
        "no Ethernet frames",
        "route between it and wg0",
    ),
    "tun": (nic(interface("tun0", kind="tun", link_type=65534)), "no Ethernet frames", "route"),
    "infiniband": (nic(interface("ib0", link_type=32)), "its link type is 32", "route"),
    "bridge": (nic(interface("br7", kind="bridge")), "is a bridge itself", "use br7"),
    "wireless": (nic(interface("wlan0"), is_wireless=True), "is a Wi-Fi interface", "masquerade"),
    "macvlan": (nic(interface("mv0", kind="macvlan")), "only frames for its own MAC", "name the"),
    "port": (
        nic(interface("eth0", master=9, master_name="br7"), interface("br7", 9, kind="bridge")),
        "a port of br7 already",
        "ip link set eth0 nomaster",
    ),
    "bond-member": (
        nic(interface("eth0", master=9, master_name="bond0"), interface("bond0", 9, kind="bond")),
        "a member of the bond bond0",
        "name bond0 as the uplink",
    ),
    "managed": (
        nic(interface("eth0"), managers=(MANAGER,)),
        "looked after by systemd-networkd",
        "networkctl reload",
    ),
    "vlan-on-it": (nic(interface("eth0"), VLAN), "eth0.7 stands on eth0", "ip link delete eth0.7"),
    "mtu": (nic(interface("eth0", mtu=1450)), "do not fit eth0", "mtu: 1450"),
    "multipath": (
        nic(
            interface("eth0"),
            routes=(
                Route(
                    destination="0.0.0.0/0",
                    next_hops=(
                        NextHop(gateway="10.0.0.1", index=2, interface="eth0", weight=1),
                        NextHop(gateway="10.1.0.1", index=3, interface="eth1", weight=1),
                    ),
                ),
            ),
        ),
        "0.0.0.0/0 (several next hops)",
        "plain routes",
    ),
    "two-routes-of-one-metric": (
        nic(
            interface("eth0"),
            routes=(
                Route(destination="192.0.2.0/24", index=2, interface="eth0", gateway="10.0.0.1"),
                Route(destination="192.0.2.0/24", index=3, interface="eth1", gateway="10.1.0.1"),
            ),
        ),
        "there are several of its metric",
        "plain routes",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_card_is_refused_with_the_reason_and_a_way_out(case: str) -> None:
    asked, reason, way_out = CASES[case]
    (fault,) = refusals(asked)
    assert reason in f"{fault.what} {fault.found}"
    assert way_out in fault.next_step


def test_there_is_a_case_for_every_check() -> None:
    made = {check for check in CHECKS for asked, *_ in CASES.values() if _fires(check, asked)}
    assert made == set(CHECKS)


def _fires(check: Any, asked: Nic) -> bool:
    card = asked.namespace.interface(asked.name)
    return card is not None and check(asked, card) is not None


def test_a_plain_card_is_taken_without_a_word() -> None:
    plain = nic(interface("eth0"), interface("eth1", 3))
    assert refusals(plain) == []
    assert warnings(plain) == []


def test_a_card_that_is_the_port_of_this_bridge_already_is_no_mistake() -> None:
    assert refusals(nic(interface("eth0", master=9, master_name="br0"))) == []


def test_a_card_that_is_down_or_without_carrier_is_taken_with_a_word() -> None:
    down = replace(interface("eth0"), up=False, carrier=False)
    unplugged = replace(interface("eth0"), carrier=False)
    assert refusals(nic(down)) == refusals(nic(unplugged)) == []
    assert "was down" in warnings(nic(down))[0].what
    assert "no carrier" in warnings(nic(unplugged))[0].what
    assert len(WARNINGS) == 2
