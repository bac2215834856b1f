"""Whatever there is and whatever there should be: the plan leads from one to the other, nothing
stands on what is not there on the way, and what is not concerned is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.rules import RulesKey
from linkspan.model.state import (
    Address,
    AddressKey,
    AnyKey,
    Bridge,
    BridgeKey,
    Entry,
    EntryKey,
    MountKey,
    Node,
    NodeKey,
    Options,
    Port,
    PortKey,
    Route,
    RouteKey,
    SettingKey,
    ShapingKey,
    Socket,
    SocketKey,
    State,
    Up,
    UpKey,
    Uplink,
    UplinkKey,
    Veth,
    VethKey,
    decode,
    encode,
    parents,
)
from linkspan.plan.change import Change
from linkspan.plan.difference import KINDS, plan

NODES, BRIDGES, INTERFACES = ("host", "a", "b"), ("br0", "br1", "eth1"), ("eth0", "eth1")
COIN: st.SearchStrategy[bool] = st.booleans()
OPTIONS: st.SearchStrategy[Options] = st.dictionaries(
    st.sampled_from(["hairpin", "isolated"]), COIN, max_size=2
)


@st.composite
def states(draw: st.DrawFn) -> State:
    """A state in which whatever something stands on is there."""
    state: State = {NodeKey("host"): Node(kind="host")}
    for node in draw(st.sets(st.sampled_from(NODES[1:]))):
        state[NodeKey(node)] = Node(kind=draw(st.sampled_from(["container", "host"])))
    nodes = [key.node for key in state if isinstance(key, NodeKey)]
    for name in draw(st.sets(st.sampled_from(BRIDGES))):
        state[BridgeKey(name)] = Bridge(
            node=draw(st.sampled_from(nodes)),
            engine=draw(st.sampled_from(["user", "kernel"])),
            mac="02:00:00:00:00:01",
            mtu=draw(st.sampled_from([1500, 9000])),
            options=draw(OPTIONS),
        )
    bridges = {
        key.bridge: value
        for key, value in state.items()
        if isinstance(key, BridgeKey) and isinstance(value, Bridge)
    }
    interfaces = [(value.node, name) for name, value in bridges.items()]
    for node in nodes:
        for interface in draw(st.sets(st.sampled_from(INTERFACES))) if bridges else ():
            if (node, interface) in interfaces:
                continue
            bridge = draw(st.sampled_from(sorted(bridges)))
            engine = bridges[bridge].engine
            state[PortKey(node, interface)] = Port(
                bridge=bridge, engine=engine, mac="", mtu=1500, options=draw(OPTIONS)
            )
            interfaces.append((node, interface))
            if draw(COIN):
                mac = draw(st.sampled_from(["02:00:00:00:00:11", "02:00:00:00:00:12"]))
                state[EntryKey(bridge, mac)] = Entry(port=f"{node}.{interface}")
    for number in range(draw(st.integers(0, 2)) if nodes else 0):
        ends = [(draw(st.sampled_from(sorted(nodes))), f"wire{number}{side}") for side in "ab"]
        for end, far in (ends, ends[::-1]):
            state[VethKey(*end)] = Veth(
                peer_node=far[0],
                peer_interface=far[1],
                mac="",
                mtu=draw(st.sampled_from([1400, 1500])),
            )
            interfaces.append(end)
    with_others: bool = draw(COIN)
    if bridges and with_others:
        bridge = draw(st.sampled_from(sorted(bridges)))
        state[SocketKey(bridge, "vm")] = Socket(kind=draw(st.sampled_from(["a", "b"])), mtu=1500)
        uplink = Uplink(bridge=bridge, engine=bridges[bridge].engine)
        state[UplinkKey("host", "nic0")] = uplink
    interfaces.append(("host", "nic0"))
    for node, interface in interfaces:
        for address in draw(st.sets(st.sampled_from(["10.0.0.1/24", "10.0.0.2/24"]))):
            state[AddressKey(node, interface, address)] = Address()
        state[UpKey(node, interface)] = Up(up=draw(COIN))
        if draw(COIN):
            state[RouteKey(node, "0.0.0.0/0")] = Route(interface=interface, gateway="10.0.0.254")
    return state


def carry_out(changes: Sequence[Change], state: State) -> State:
    """The state after some changes, as a kernel would have it: what stands on a thing goes with
    it, and nothing is made twice or on what is not there.
    """
    now = dict(state)
    for change in changes:
        if change.after is None:
            assert now[change.key] == change.before
            forget(change.key, now)
            continue
        if change.before is None:
            assert change.key not in now, f"{change.explain()}: it is there already"
        now[change.key] = change.after
        assert all(key in now for key in parents(change.key, now)), change.explain()
    return now


def forget(gone: AnyKey, now: State) -> None:
    """Remove something and what the kernel removes with it: addresses, routes, FDB entries, and a
    namespace's or an interface's settings, mounts, limits and rules.
    """
    by_itself = (AddressKey, UpKey, RouteKey, EntryKey, SettingKey, RulesKey, MountKey, ShapingKey)
    for key in [key for key in now if isinstance(key, by_itself) and gone in parents(key, now)]:
        del now[key]
    del now[gone]


@given(states(), states())
def test_a_plan_leads_from_what_there_is_to_what_there_should_be(
    current: State, desired: State
) -> None:
    assert carry_out(plan(desired, current), current) == desired


@given(states(), states())
def test_the_plan_back_leads_back(current: State, desired: State) -> None:
    assert carry_out(plan(current, desired), desired) == current


@given(states())
def test_what_is_as_it_should_be_needs_nothing(state: State) -> None:
    assert plan(state, state) == ()
    assert plan(decode(encode(state)), state) == ()


@given(states(), states())
def test_only_what_differs_or_stands_on_what_is_made_anew_is_touched(
    current: State, desired: State
) -> None:
    for change in plan(desired, current):
        same = current.get(change.key) == desired.get(change.key)
        assert not same or "anew" in change.reason


@given(states(), states())
def test_every_change_says_what_and_why_and_has_an_inverse(current: State, desired: State) -> None:
    for change in plan(desired, current):
        assert change.reason
        assert change.explain()
        assert "{" not in change.explain()
        assert change.inverse.inverse.key == change.key
        assert (change.inverse.before, change.inverse.after) == (change.after, change.before)


def test_an_address_is_added_where_it_goes_before_it_is_deleted_where_it_was() -> None:
    def with_address_on(interface: str) -> State:
        return {
            NodeKey("host"): Node(kind="host"),
            BridgeKey("br0"): Bridge(node="host", engine="kernel", mac="", mtu=1500),
            AddressKey("host", interface, "10.0.0.1/24"): Address(),
            RouteKey("host", "0.0.0.0/0"): Route(interface=interface, gateway="10.0.0.254"),
        }

    steps = [change.explain() for change in plan(with_address_on("br0"), with_address_on("eth0"))]
    assert steps == [
        "add 10.0.0.1/24 to br0 of host",
        "route 0.0.0.0/0 of host through 10.0.0.254 by br0 instead of through 10.0.0.254 by eth0",
        "delete 10.0.0.1/24 from eth0 of host",
    ]


def test_moving_a_port_to_another_bridge_changes_the_port_and_nothing_else() -> None:
    def with_port_on(bridge: str) -> State:
        both: State = {
            BridgeKey(name): Bridge(node="host", engine="user", mac="", mtu=1500)
            for name in ("br0", "br1")
        }
        return {
            NodeKey("host"): Node(kind="host"),
            NodeKey("a"): Node(kind="container"),
            **both,
            PortKey("a", "eth0"): Port(bridge=bridge, engine="user", mac="", mtu=1500),
            AddressKey("a", "eth0", "10.0.0.1/24"): Address(),
        }

    (change,) = plan(with_port_on("br1"), with_port_on("br0"))
    assert change.explain() == "change eth0 of a: bridge br1 instead of br0"


def test_every_kind_of_thing_has_a_rank_and_words() -> None:
    from linkspan.plan.wordings import WORDINGS

    kinds = set(AnyKey.__args__)
    assert set(KINDS) == kinds == set(WORDINGS)
