"""Small builders of machines' snapshots, so that a test names only what it is about."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st

from linkspan.model.host_snapshot import Address, HostSnapshot, NamespaceSnapshot
from linkspan.model.interface_snapshot import FarEnd, Interface, PortState

HOST, WEB, OTHER = 100, 101, 102


def link(index: int, name: str, kind: str = "veth", **facts: Any) -> Interface:
    """An interface that is up."""
    ordinary: dict[str, Any] = {
        "mac": f"02:00:00:00:00:{index:02x}",
        "mtu": 1500,
        "up": True,
        "carrier": True,
        "operstate": "up",
        "link_type": 1,
        "flags": 1,
    }
    return Interface(index=index, name=name, kind=kind, **{**ordinary, **facts})


def loopback(**facts: Any) -> Interface:
    return link(1, "lo", "loopback", **{"mac": "00:00:00:00:00:00", "mtu": 65536, **facts})


def bridge(index: int, name: str, **facts: Any) -> Interface:
    return link(index, name, "bridge", **{"bridge_options": {}, **facts})


def port(index: int, name: str, of: Interface, number: int, **facts: Any) -> Interface:
    """A port of a bridge."""
    state = PortState(
        number=number,
        state=facts.pop("state", "forwarding"),
        id=0x8000 + number,
        root_id="",
        bridge_id="",
        designated_port=0,
        designated_cost=0,
        topology_change_ack=False,
        config_pending=False,
        forward_delay_timer=0,
    )
    at = {"master": of.index, "master_name": of.name, "port_state": state, "port_options": {}}
    return link(index, name, **{**at, **facts})


def to(namespace: int, index: int) -> FarEnd:
    """A far end in another namespace."""
    return FarEnd(index=index, netnsid=0, namespace=namespace, interface="eth0")


def address(of: Interface, text: str, *flags: str, scope: str = "global") -> Address:
    return Address(address=text, index=of.index, interface=of.name, scope=scope, flags=flags)


def place(number: int, *interfaces: Interface, **facts: Any) -> NamespaceSnapshot:
    """A namespace."""
    return NamespaceSnapshot(id=number, interfaces=(loopback(), *interfaces), **facts)


# machines of any kind

NAMES = st.text(string.printable + "äß\x1b\x9b\u202e", min_size=1, max_size=15)
KINDS = st.sampled_from(["veth", "tap", "physical", "vxlan", "vlan", "macvlan", "loopback", "odd"])
FACTS: dict[str, st.SearchStrategy[Any]] = {
    "kind": KINDS,
    "up": st.booleans(),
    "carrier": st.booleans(),
    "alias": st.none() | NAMES,
    "mac": st.none() | st.just("02:00:00:00:00:01"),
    "details": st.sampled_from([{}, {"id": 5}, {"remote": "::"}, {"persistent": 1}]),
    "peer": st.none()
    | st.builds(
        FarEnd,
        index=st.integers(1, 6),
        netnsid=st.none() | st.integers(0, 3),
        namespace=st.none() | st.sampled_from([HOST, WEB, OTHER, 999]),
    ),
}
FEW = st.fixed_dictionaries({}, optional=FACTS)


@st.composite
def hosts(draw: st.DrawFn) -> HostSnapshot:
    """Machines whose parts fit together by chance only, as when they change while being read."""
    namespaces: list[NamespaceSnapshot] = []
    for number in draw(st.permutations([HOST, WEB, OTHER])):
        br0 = bridge(2, draw(NAMES), up=draw(st.booleans()), carrier=draw(st.booleans()))
        ports = [
            port(
                3 + n, draw(NAMES), br0, n, state=draw(st.sampled_from(["forwarding", "blocking"]))
            )
            for n in range(draw(st.integers(0, 15)))
        ]
        links = [link(30 + n, draw(NAMES), **draw(FEW)) for n in range(draw(st.integers(0, 4)))]
        addresses = tuple(address(each, "10.0.0.1/8", draw(NAMES)) for each in links)
        names = tuple(draw(st.lists(NAMES, max_size=2)))
        found = place(number, br0, *ports, *links, addresses=addresses, names=names)
        namespaces.append(found)
    return HostSnapshot(
        namespaces=tuple(namespaces), unread=tuple(draw(st.lists(NAMES, max_size=2)))
    )
