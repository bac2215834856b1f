"""What a kernel shows of a lab is read as what the lab declares, and nobody else's things are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.plan.paper_kernel import LAB, MACS, Namespace, Shown, beside, labs, shown, strangers

from linkspan.model import host_snapshot as read
from linkspan.model import state as facts
from linkspan.model.base import Engine
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.state import (
    Address,
    AddressKey,
    BridgeKey,
    EntryKey,
    Node,
    NodeKey,
    Port,
    PortKey,
    Route,
    RouteKey,
    State,
    Up,
    UpKey,
    UplinkKey,
)
from linkspan.model.topology import HOST, Bridge, NodePort, Topology
from linkspan.model.topology import Node as DeclaredNode
from linkspan.plan.current import MARKED, owned, stacks, steady
from linkspan.plan.current_bridges import kernel_bridges
from linkspan.plan.current_links import wires
from linkspan.plan.desired import desired
from linkspan.plan.difference import plan


def observed(nodes: Mapping[str, NamespaceSnapshot]) -> State:
    """All of what is read of some namespaces."""
    return dict(
        [
            *((NodeKey(node), Node(kind=_kind(node))) for node in nodes),
            *kernel_bridges(LAB, nodes),
            *wires(LAB, nodes),
            *stacks(nodes),
        ]
    )


def _kind(node: str) -> str:
    return "host" if node in (HOST, "rack2") else "container"


@given(labs(), st.sampled_from(["", LAB]))
def test_what_a_kernel_shows_of_a_lab_is_what_the_lab_declares(
    topology: Topology, lab: str
) -> None:
    wanted = desired(topology)
    found = observed(shown(topology, lab))
    assert {key: found.get(key) for key in wanted} == wanted
    assert plan(wanted, owned(found, wanted)) == ()


@given(labs())
def test_only_what_is_marked_or_declared_is_owned(topology: Topology) -> None:
    wanted = desired(topology)
    found = observed(shown(topology))
    assert owned(found, wanted) == wanted
    assert {key for key in found if isinstance(key, MARKED)} == {
        key for key in wanted if isinstance(key, MARKED)
    }


@given(labs(), strangers(), strangers())
def test_what_others_have_beside_a_lab_is_never_removed(
    topology: Topology, on_host: NamespaceSnapshot, on_node: NamespaceSnapshot
) -> None:
    wanted, nodes = desired(topology), shown(topology)
    nodes |= {
        HOST: beside(nodes[HOST], on_host),
        "rack2": beside(nodes["rack2"], on_node),
    }
    found = owned(observed(nodes), wanted)
    assert found == wanted
    nothing: State = {NodeKey(node): Node(kind=_kind(node)) for node in nodes}
    assert {change.key for change in plan(nothing, found)} <= set(wanted)


@given(strangers())
def test_nothing_is_a_labs_without_its_mark(theirs: NamespaceSnapshot) -> None:
    found = observed({HOST: theirs})
    assert not [key for key in found if isinstance(key, BridgeKey | PortKey | UplinkKey | EntryKey)]
    assert owned(found) == {NodeKey(HOST): Node(kind="host")}


def changed(nodes: Shown, node: str, name: str, **fields: object) -> Shown:
    """The same namespaces, but for one interface."""
    place = nodes[node]
    interfaces = [
        replace(each, **fields) if each.name == name else each for each in place.interfaces
    ]
    return {**nodes, node: replace(place, interfaces=tuple(interfaces))}


def without(nodes: Shown, node: str, name: str) -> Shown:
    """The same namespaces without one interface, and without what goes with it."""
    place = nodes[node]
    return {
        **nodes,
        node: NamespaceSnapshot(
            interfaces=tuple(each for each in place.interfaces if each.name != name),
            addresses=tuple(each for each in place.addresses if each.interface != name),
            routes=tuple(each for each in place.routes if each.interface != name),
            fdb=tuple(each for each in place.fdb if name not in (each.port, each.bridge)),
        ),
    }


PAIR: Final = Topology(
    name=LAB,
    bridges={"br0": Bridge(engine=Engine.KERNEL, address=("10.0.0.254/24",))},
    nodes={
        "a": DeclaredNode(
            ports={"eth0": NodePort(bridge="br0", address=("10.0.0.1/24",), isolated=True)},
            gateway=("10.0.0.254",),
        )
    },
)


def left_to_do(nodes: Shown) -> list[str]:
    """The plan for a pair of which that is left."""
    wanted = desired(PAIR)
    return [change.explain() for change in plan(wanted, owned(observed(nodes), wanted), wanted)]


def test_a_port_out_of_its_bridge_is_put_back() -> None:
    nodes = changed(shown(PAIR), HOST, "a.eth0", master=None, master_name=None, port_options=None)
    assert left_to_do(nodes) == [
        "change eth0 of a: bridge br0 instead of none; isolated on instead of off"
    ]


def test_a_deleted_veth_is_made_again() -> None:
    nodes = without(without(shown(PAIR), "a", "eth0"), HOST, "a.eth0")
    assert left_to_do(nodes) == [
        "make eth0 in a, a port of br0",
        "add 10.0.0.1/24 to eth0 of a",
        "set eth0 of a up",
        "route 0.0.0.0/0 of a through 10.0.0.254 by eth0",
    ]


def test_a_bridge_that_somebody_made_in_the_place_of_ours_is_not_ours() -> None:
    nodes = changed(shown(PAIR), HOST, "br0", alias=None, mark=None)
    found = owned(observed(nodes), desired(PAIR))
    assert BridgeKey("br0") not in found
    assert left_to_do(nodes)[0] == "make the bridge br0 on host, kernel engine"


def test_a_port_of_a_node_that_is_gone_is_no_port() -> None:
    nodes = shown(PAIR)
    del nodes["a"]
    assert not [key for key in observed(nodes) if isinstance(key, PortKey)]


def test_an_interface_that_somebody_made_in_the_place_of_ours_is_no_port() -> None:
    nodes = changed(shown(PAIR), "a", "eth0", alias=None, mark=None)
    assert not [key for key in observed(nodes) if isinstance(key, PortKey)]


def test_a_tap_of_ours_is_no_port_of_the_kernels_bridge() -> None:
    nodes = changed(shown(PAIR), HOST, "a.eth0", kind="tap")
    assert not [key for key in observed(nodes) if isinstance(key, PortKey)]


def test_an_address_with_another_prefix_length_is_ours_where_both_cannot_be() -> None:
    declared = [AddressKey("a", "eth0", "fd00::1/64"), AddressKey("a", "eth0", "10.0.0.1/24")]
    found: State = {
        AddressKey("a", "eth0", "fd00::1/48"): Address(),
        AddressKey("a", "eth0", "10.0.0.1/16"): Address(),
        AddressKey("a", "eth1", "fd00::1/48"): Address(),
    }
    assert list(owned(found, declared)) == [AddressKey("a", "eth0", "fd00::1/48")]


def test_a_nic_in_our_bridge_is_an_uplink_and_ours_only_when_it_is_declared() -> None:
    nodes = shown(PAIR)
    place = Namespace()
    place.add("nic0", "physical", MACS.format(1), 1500)
    place.join("nic0", "br0", {})
    nodes[HOST] = beside(nodes[HOST], place.snapshot())
    key = UplinkKey(HOST, "nic0")
    found = observed(nodes)
    assert key in found
    assert key not in owned(found, desired(PAIR))
    assert key in owned(found, desired(PAIR), [key])


def test_only_configured_entries_are_read_and_their_ports_by_their_names() -> None:
    nodes = shown(PAIR)
    entry = read.FdbEntry(
        mac="02:00:00:00:00:42", index=1, port="a.eth0", bridge="br0", vlan=7, flags=("static",)
    )
    nodes[HOST] = replace(nodes[HOST], fdb=(*nodes[HOST].fdb, entry))
    entries = {key: value for key, value in observed(nodes).items() if isinstance(key, EntryKey)}
    assert [(key.bridge, key.mac, key.vlan) for key in entries] == [("br0", entry.mac, 7)]
    assert [getattr(value, "port", None) for value in entries.values()] == ["a.eth0"]


def test_a_shortened_name_of_a_bridges_end_is_still_that_port() -> None:
    long = replace(PAIR, nodes={"a-node-with-a-long-name": PAIR.nodes["a"]})
    nodes = shown(long)
    assert not any(each.name.endswith(".eth0") for each in nodes[HOST].interfaces)
    found = observed(nodes)[PortKey("a-node-with-a-long-name", "eth0")]
    assert isinstance(found, Port)
    assert found.bridge == "br0"


def test_what_an_address_and_a_route_are_is_read_whole() -> None:
    place = NamespaceSnapshot(
        addresses=(
            read.Address(
                address="10.0.0.1/32",
                index=2,
                interface="eth0",
                scope="link",
                flags=("permanent", "noprefixroute"),
                peer="10.0.0.2/32",
                label="eth0:1",
                metric=50,
            ),
        ),
        routes=(
            read.Route(
                destination="192.0.2.0/24",
                gateway="10.0.0.2",
                interface="eth0",
                metric=50,
                table=100,
                preferred_source="10.0.0.1",
                protocol="dhcp",
                flags=("onlink",),
            ),
        ),
    )
    facts = dict(stacks({HOST: place}))
    address = facts[AddressKey(HOST, "eth0", "10.0.0.1/32")]
    assert getattr(address, "connected_route", None) is False
    assert getattr(address, "label", None) == "eth0:1"
    assert facts[RouteKey(HOST, "192.0.2.0/24", 50, 100)] == Route(
        interface="eth0", gateway="10.0.0.2", source="10.0.0.1", onlink=True, protocol="dhcp"
    )
    assert UpKey(HOST, "eth0") not in facts


def test_a_route_for_some_packets_or_of_the_kernels_own_does_not_hide_ours() -> None:
    ours = read.Route(
        destination="::/0", gateway="fd00::1", interface="eth0", metric=1024, protocol="static"
    )
    others = [
        replace(ours, gateway="fe80::1", protocol="ra"),
        replace(ours, gateway="fd00::7", source="fd00:7::/64"),
        replace(ours, gateway="fd00::8", tos=16),
    ]
    for routes in ([ours, *others], [*others, ours]):
        facts = dict(stacks({HOST: NamespaceSnapshot(routes=tuple(routes))}))
        assert facts == {
            RouteKey(HOST, "::/0", 1024): Route(
                interface="eth0", gateway="fd00::1", protocol="static"
            )
        }


def test_up_and_down_are_read_of_every_interface() -> None:
    nodes = changed(shown(PAIR), "a", "eth0", up=False)
    facts = dict(stacks(nodes))
    assert (facts[UpKey("a", "eth0")], facts[UpKey("a", "lo")]) == (Up(up=False), Up(up=True))


def test_the_ageing_time_of_a_changing_spanning_tree_is_no_drift() -> None:
    def bridge(options: facts.Options) -> State:
        value = facts.Bridge(node=HOST, engine="kernel", mac="", mtu=1500, options=options)
        return {BridgeKey("br0"): value}

    known = bridge({"stp": "stp", "forward_delay": 2.0, "ageing_time": 60.0})
    changing = bridge({"stp": "stp", "forward_delay": 2.0, "ageing_time": 4.0})
    assert steady(changing, known) == known
    usual = bridge({"stp": "stp"})
    assert steady(bridge({"stp": "stp", "ageing_time": 30.0}), usual) == usual
    drifted = bridge({"stp": "stp", "ageing_time": 31.0})
    assert steady(drifted, usual) == drifted
    without = bridge({"ageing_time": 30.0})
    assert steady(without, bridge({})) == without
