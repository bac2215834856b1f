"""The table of options: complete, in the file, and the kernel's numbers there and back."""

from __future__ import annotations

import enum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.base import Engine, MulticastRouter
from linkspan.model.bridge_options import BridgeOptions, SpanningTree
from linkspan.model.kernel_options import (
    Sparse,
    changed,
    derived_cost,
    from_kernel,
    options_of,
    reported,
    sparse,
    to_kernel,
)
from linkspan.model.options import BY_NAME, OPTIONS, Option, OptionScope
from linkspan.model.port_options import PortOptions
from linkspan.model.topology import Bridge, Node, NodePort, SocketKind, SocketPort, Topology
from linkspan.model.validate import validate

BRIDGE, PORT = OptionScope.BRIDGE, OptionScope.PORT
STRUCTS: dict[OptionScope, type[BridgeOptions | PortOptions]] = {
    BRIDGE: BridgeOptions,
    PORT: PortOptions,
}
EXACT_CLOCKS = (100, 250, 1000)
CLOCKS = (*EXACT_CLOCKS, 300)
"""Ticks a second that Linux can be built with (kernel/Kconfig.hz); a tick of 1/300 s is counted
in whole nanoseconds, and what that loses is more than a hundredth after a day."""
A_DAY = 86400.0


def values_of(option: Option) -> st.SearchStrategy[Any]:
    """What a file may say of an option."""
    if issubclass(option.type, enum.Enum):
        return st.sampled_from(option.type)
    if option.type is bool:
        return st.booleans()
    if option.type is str:
        last = st.sampled_from([0, *range(4, 16)])
        return last.map(lambda number: f"01:80:c2:00:00:{number:02x}")
    least, most = option.least, option.most
    assert least is not None
    assert most is not None
    if option.type is float:
        return st.floats(least, most)
    numbers = st.integers(int(least), int(most))
    return numbers | st.none() if option.default is None else numbers


def structs(scope: OptionScope) -> st.SearchStrategy[BridgeOptions | PortOptions]:
    fields = {name: values_of(option) for name, option in BY_NAME[scope].items()}
    return st.fixed_dictionaries({}, optional=fields).map(lambda chosen: STRUCTS[scope](**chosen))


def on_a_clock(scope: OptionScope, attributes: list[tuple[str, Any]], ticks: int) -> Any:
    """The attributes as a kernel gives them back whose clock ticks so often a second.

    clock_t_to_jiffies and jiffies_to_clock_t (kernel/time/time.c), in nanoseconds.
    """
    times = {option.row.attribute for option in OPTIONS if option.type is float}
    tick = (1_000_000_000 + ticks // 2) // ticks
    return [
        (name, raw * ticks // 100 * tick // 10_000_000 if name in times else raw)
        for name, raw in attributes
    ]


def test_every_field_is_a_row_and_every_row_a_field() -> None:
    for scope, cls in STRUCTS.items():
        assert tuple(BY_NAME[scope]) == cls.__struct_fields__
        assert [option.key for option in BY_NAME[scope].values()] == list(
            cls.__struct_encode_fields__
        )
    for option in OPTIONS:
        assert Engine.KERNEL in option.engines, option.name
        assert option.description.endswith("."), option.name


def test_no_two_rows_are_the_same_place_in_a_message() -> None:
    places = [(option.scope, option.row.attribute, option.row.bit) for option in OPTIONS]
    assert len(set(places)) == len(places)


def test_a_new_bridge_and_a_new_port_have_no_options() -> None:
    assert options_of(Bridge()) == {}
    assert options_of(NodePort(bridge="br0")) == options_of(SocketPort(kind=SocketKind.DGRAM)) == {}


def test_what_differs_is_plain_and_under_the_names_of_the_fields() -> None:
    bridge = Bridge(stp=SpanningTree.STP, ageing_time=60, fdb_max_learned=5, vlan_filtering=True)
    assert options_of(bridge) == {
        "stp": "stp",
        "ageing_time": 60.0,
        "fdb_max_learned": 5,
        "vlan_filtering": True,
    }
    port = NodePort(bridge="br0", multicast_router=MulticastRouter.PERMANENT, cost=4)
    assert options_of(port) == {"multicast_router": "permanent", "cost": 4}
    assert msgspec.json.decode(msgspec.json.encode(options_of(bridge))) == options_of(bridge)


@pytest.mark.parametrize("scope", OptionScope)
@given(data=st.data())
def test_what_is_set_comes_back_from_a_kernel_of_any_clock(
    scope: OptionScope, data: st.DataObject
) -> None:
    wanted = options_of(data.draw(structs(scope)))
    everything = changed(scope, {}, wanted) | wanted
    attributes = to_kernel(scope, everything)
    longest = wanted.get("ageing_time", 0)
    assert isinstance(longest, float | int)
    for ticks in CLOCKS if longest <= A_DAY else EXACT_CLOCKS:
        assert from_kernel(scope, on_a_clock(scope, attributes, ticks)) == wanted


def test_defaults_read_as_no_options_on_any_clock() -> None:
    for scope in OptionScope:
        defaults = {option.name: option.default for option in BY_NAME[scope].values()}
        attributes = to_kernel(scope, defaults)
        for ticks in CLOCKS:
            assert from_kernel(scope, on_a_clock(scope, attributes, ticks)) == {}


@pytest.mark.parametrize("scope", OptionScope)
@given(data=st.data())
def test_a_change_leads_from_one_to_the_other(scope: OptionScope, data: st.DataObject) -> None:
    before, after = (options_of(data.draw(structs(scope))) for _ in range(2))
    change = changed(scope, before, after)
    assert sparse(scope, {**before, **change}) == after
    assert changed(scope, after, after) == {}
    assert all(before.get(name) != value for name, value in change.items())


def test_times_are_hundredths_and_never_fall_to_nothing() -> None:
    (times,) = to_kernel(BRIDGE, {"ageing_time": 12.5})
    assert times == ("IFLA_BR_AGEING_TIME", 1250)
    assert options_of(Bridge(ageing_time=0.001)) == {"ageing_time": 0.02}
    assert options_of(Bridge(ageing_time=0.0)) == {"ageing_time": 0.0}


def test_a_provider_bridge_has_a_group_address_of_its_own() -> None:
    """As the kernel gives it one by itself (recalculate_group_addr, net/bridge/br_vlan.c)."""
    provider = {"vlan_filtering": True, "vlan_protocol": "802.1ad"}
    there = {"group_address": "01:80:c2:00:00:08"}
    assert sparse(OptionScope.BRIDGE, provider | there) == provider
    assert sparse(OptionScope.BRIDGE, there) == there
    elsewhere = provider | {"group_address": "01:80:c2:00:00:0e"}
    assert sparse(OptionScope.BRIDGE, elsewhere) == elsewhere


def test_bits_share_one_attribute_and_touch_no_other_bit() -> None:
    wanted: Sparse = {"no_linklocal_learn": True, "mst_enabled": False}
    assert to_kernel(BRIDGE, wanted) == [("IFLA_BR_MULTI_BOOLOPT", {"optval": 1, "optmask": 5})]
    known = {"optval": 0b11, "optmask": 0b01}  # a kernel that has but the first of them
    assert reported(BRIDGE, [("IFLA_BR_MULTI_BOOLOPT", known)]) == {"no_linklocal_learn": True}


def test_the_kernels_other_numbers_for_the_same_choice() -> None:
    assert from_kernel(BRIDGE, [("IFLA_BR_STP_STATE", 2)]) == {"stp": "stp"}
    assert from_kernel(PORT, [("IFLA_BRPORT_MULTICAST_ROUTER", 3)]) == {}
    assert to_kernel(BRIDGE, {"vlan_protocol": "802.1ad"}) == [("IFLA_BR_VLAN_PROTOCOL", 0x88A8)]


def test_none_is_what_the_kernel_makes_of_it() -> None:
    assert to_kernel(BRIDGE, {"fdb_max_learned": None}) == [("IFLA_BR_FDB_MAX_LEARNED", 0)]
    assert from_kernel(BRIDGE, [("IFLA_BR_FDB_MAX_LEARNED", 0)]) == {}
    assert to_kernel(PORT, {"cost": None}) == []
    assert from_kernel(PORT, [("IFLA_BRPORT_COST", 2)], {"cost": derived_cost(10_000)}) == {}
    assert from_kernel(PORT, [("IFLA_BRPORT_COST", 3)], {"cost": 2}) == {"cost": 3}
    assert [derived_cost(speed) for speed in (None, 10, 1000, 10_000, 100_000)] == [
        100,
        100,
        5,
        2,
        1,
    ]


def test_attributes_of_no_option_are_passed_over() -> None:
    assert from_kernel(BRIDGE, [("IFLA_BR_ROOT_ID", {}), ("IFLA_BR_PRIORITY", 4096)]) == {
        "priority": 4096
    }


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if Engine.USER not in option.engines],
    ids=lambda option: f"{option.scope.value}-{option.key}",
)  # fmt: skip
@given(data=st.data())
def test_the_user_engine_takes_no_option_that_it_does_not_have(
    option: Option, data: st.DataObject
) -> None:
    fields = {option.name: data.draw(values_of(option))}
    bridge, port = Bridge(engine=Engine.USER), NodePort(bridge="br0")
    if option.scope is BRIDGE:
        bridge = Bridge(engine=Engine.USER, **fields)
    else:
        port = NodePort(bridge="br0", **fields)
    topology = Topology(
        name="lab", bridges={"br0": bridge}, nodes={"web": Node(ports={"eth0": port})}
    )
    found = [flaw.what for flaw in validate(topology) if "has no" in flaw.what]
    differs = bool(options_of(bridge) or options_of(port))
    assert len(found) == differs
    assert all(option.key in what for what in found)


def test_every_option_of_the_user_engine_is_taken() -> None:
    bridge = Bridge(ageing_time=5, fdb_max_learned=7, group_fwd_mask=0x4000)
    port = NodePort(bridge="br0", hairpin=True, isolated=True, learning=False, group_fwd_mask=4)
    topology = Topology(
        name="lab", bridges={"br0": bridge}, nodes={"web": Node(ports={"eth0": port})}
    )
    assert validate(topology) == []
