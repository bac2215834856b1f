"""Every option of both tables, set on a bridge of the kernel and read by another program.

`ip -d -j link show` is the judge; for what it is too old to know, the attribute's bytes. An option
that this kernel does not have must be among the lacks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.networks import needs_root
from tests.engine_kernel.bridge_in_kernel import KernelLab, a_bridge, a_port, kernel_lab

from linkspan.engine.kernel.capabilities import probe
from linkspan.engine.kernel.messages import bridge_attributes, port_attributes
from linkspan.engine.reading.dump import Dumps, attributes
from linkspan.engine.reading.links import read_interfaces
from linkspan.errors import Refusal
from linkspan.model.kernel_options import from_kernel
from linkspan.model.options import BY_NAME, OPTIONS, OptionScope
from linkspan.model.state import BridgeKey, PortKey
from linkspan.sandbox.namespaces import inside

pytestmark = needs_root
BRIDGE, PORT = OptionScope.BRIDGE, OptionScope.PORT

AS_IP_SHOWS: dict[tuple[OptionScope, str], tuple[Any, str, Any]] = {
    (BRIDGE, "ageing_time"): (12.5, "ageing_time", 1250),
    (BRIDGE, "group_fwd_mask"): (0x4000, "group_fwd_mask", "0x4000"),
    (BRIDGE, "group_address"): ("01:80:c2:00:00:0e", "group_addr", "01:80:c2:00:00:0e"),
    (BRIDGE, "no_linklocal_learn"): (True, "no_linklocal_learn", 1),
    (BRIDGE, "stp"): ("stp", "stp_state", 1),
    (BRIDGE, "priority"): (4096, "priority", 4096),
    (BRIDGE, "forward_delay"): (4.0, "forward_delay", 400),
    (BRIDGE, "hello_time"): (1.0, "hello_time", 100),
    (BRIDGE, "max_age"): (6.0, "max_age", 600),
    (BRIDGE, "vlan_filtering"): (True, "vlan_filtering", 1),
    (BRIDGE, "vlan_protocol"): ("802.1ad", "vlan_protocol", "802.1ad"),
    (BRIDGE, "vlan_default_pvid"): (7, "vlan_default_pvid", 7),
    (BRIDGE, "vlan_stats_enabled"): (True, "vlan_stats_enabled", 1),
    (BRIDGE, "vlan_stats_per_port"): (True, "vlan_stats_per_port", 1),
    (BRIDGE, "multicast_snooping"): (False, "mcast_snooping", 0),
    (BRIDGE, "multicast_vlan_snooping"): (True, "mcast_vlan_snooping", 1),
    (BRIDGE, "multicast_router"): ("permanent", "mcast_router", 2),
    (BRIDGE, "multicast_querier"): (True, "mcast_querier", 1),
    (BRIDGE, "multicast_query_use_ifaddr"): (True, "mcast_query_use_ifaddr", 1),
    (BRIDGE, "multicast_igmp_version"): (3, "mcast_igmp_version", 3),
    (BRIDGE, "multicast_mld_version"): (2, "mcast_mld_version", 2),
    (BRIDGE, "multicast_stats_enabled"): (True, "mcast_stats_enabled", 1),
    (BRIDGE, "multicast_hash_max"): (512, "mcast_hash_max", 512),
    (BRIDGE, "multicast_last_member_count"): (3, "mcast_last_member_cnt", 3),
    (BRIDGE, "multicast_startup_query_count"): (4, "mcast_startup_query_cnt", 4),
    (BRIDGE, "multicast_last_member_interval"): (0.5, "mcast_last_member_intvl", 50),
    (BRIDGE, "multicast_membership_interval"): (130.0, "mcast_membership_intvl", 13000),
    (BRIDGE, "multicast_querier_interval"): (120.0, "mcast_querier_intvl", 12000),
    (BRIDGE, "multicast_query_interval"): (60.0, "mcast_query_intvl", 6000),
    (BRIDGE, "multicast_query_response_interval"): (5.0, "mcast_query_response_intvl", 500),
    (BRIDGE, "multicast_startup_query_interval"): (15.0, "mcast_startup_query_intvl", 1500),
    (BRIDGE, "nf_call_iptables"): (True, "nf_call_iptables", 1),
    (BRIDGE, "nf_call_ip6tables"): (True, "nf_call_ip6tables", 1),
    (BRIDGE, "nf_call_arptables"): (True, "nf_call_arptables", 1),
    (PORT, "hairpin"): (True, "hairpin", True),
    (PORT, "isolated"): (True, "isolated", True),
    (PORT, "learning"): (False, "learning", False),
    (PORT, "unicast_flood"): (False, "flood", False),
    (PORT, "multicast_flood"): (False, "mcast_flood", False),
    (PORT, "broadcast_flood"): (False, "bcast_flood", False),
    (PORT, "group_fwd_mask"): (0x4004, "group_fwd_mask", "0x4004"),
    (PORT, "guard"): (True, "guard", True),
    (PORT, "root_block"): (True, "root_block", True),
    (PORT, "priority"): (8, "priority", 8),
    (PORT, "cost"): (77, "cost", 77),
    (PORT, "locked"): (True, "locked", True),
    (PORT, "proxy_arp"): (True, "proxy_arp", True),
    (PORT, "proxy_arp_wifi"): (True, "proxy_arp_wifi", True),
    (PORT, "neighbour_suppress"): (True, "neigh_suppress", True),
    (PORT, "vlan_tunnel"): (True, "vlan_tunnel", True),
    (PORT, "multicast_router"): ("disabled", "multicast_router", 0),
    (PORT, "multicast_fast_leave"): (True, "fastleave", True),
    (PORT, "multicast_to_unicast"): (True, "mcast_to_unicast", True),
}
"""What is set, what ip(8) calls it, and what it says then."""

AS_BYTES: dict[tuple[OptionScope, str], tuple[Any, int, bytes]] = {
    (BRIDGE, "fdb_max_learned"): (17, 49, struct.pack("=I", 17)),
    (BRIDGE, "mst_enabled"): (True, 46, struct.pack("=I", 1 << 2)),
    (BRIDGE, "fdb_local_vlan_0"): (True, 46, struct.pack("=I", 1 << 3)),
    (PORT, "mab"): (True, 40, b"\1"),
    (PORT, "neighbour_vlan_suppress"): (True, 43, b"\1"),
    (PORT, "multicast_max_groups"): (33, 42, struct.pack("=I", 33)),
    (PORT, "multicast_eht_hosts_limit"): (44, 37, struct.pack("=I", 44)),
}
"""What is set, the attribute's number (include/uapi/linux/if_link.h), and how it begins."""

NEEDED = {"mab": {"locked": True}, "multicast_vlan_snooping": {"vlan_filtering": True}}
"""Options without which the kernel refuses another one."""

CASES = sorted([*AS_IP_SHOWS, *AS_BYTES], key=lambda case: (case[0].value, case[1]))


def lacks(options: dict[str, Any], scope: OptionScope) -> list[str]:
    found = probe(options, {}) if scope is BRIDGE else probe({}, options)
    return [lack.option for lack in found]


@pytest.fixture(scope="module")
def lab() -> Iterator[KernelLab]:
    with kernel_lab(["host", "web"]) as made:
        yield made


def test_there_is_a_case_for_every_option() -> None:
    assert sorted((option.scope.value, option.name) for option in OPTIONS) == [
        (scope.value, name) for scope, name in CASES
    ]


@pytest.mark.parametrize(("scope", "name"), CASES, ids=lambda part: getattr(part, "value", part))
def test_an_option_is_set_as_another_program_sees_it(
    lab: KernelLab, scope: OptionScope, name: str
) -> None:
    value = (AS_IP_SHOWS.get((scope, name)) or AS_BYTES[scope, name])[0]
    options = {**NEEDED.get(name, {}), name: value}
    bridge = a_bridge(**options) if scope is BRIDGE else a_bridge()
    port = a_port("web", **options) if scope is PORT else a_port("web")
    if missing := lacks(options, scope):
        assert BY_NAME[scope][name].key in missing
        return
    lab.change(BridgeKey("br0"), after=bridge)
    try:
        lab.change(PortKey("web", "eth0"), after=port)
        place = "br0" if scope is BRIDGE else "web.eth0"
        if (scope, name) in AS_IP_SHOWS:
            _, shown_as, expected = AS_IP_SHOWS[scope, name]
            part = "info_data" if scope is BRIDGE else "info_slave_data"
            assert lab.link("host", place)["linkinfo"][part][shown_as] == expected
        else:
            _, number, beginning = AS_BYTES[scope, name]
            assert raw_attribute(lab, place, scope, number).startswith(beginning)
        assert read_back(lab, scope) == options
        before, after = (bridge, a_bridge()) if scope is BRIDGE else (port, a_port("web"))
        key = BridgeKey("br0") if scope is BRIDGE else PortKey("web", "eth0")
        lab.change(key, before, after)
        assert read_back(lab, scope) == {}
    finally:
        lab.change(PortKey("web", "eth0"), before=port)
        lab.change(BridgeKey("br0"), before=bridge)


def raw_attribute(lab: KernelLab, name: str, scope: OptionScope, number: int) -> bytes:
    info = attributes(attributes(lab.site.netlink("host").link(name), 16)[18])
    return attributes(info[2 if scope is BRIDGE else 5])[number]


def read_back(lab: KernelLab, scope: OptionScope) -> dict[str, Any]:
    """The options as pyroute2 decodes them, and as the reading of whole namespaces does."""
    netlink = lab.site.netlink("host")
    with inside(lab.networks["host"]), Dumps() as dumps:
        found = {interface.name: interface for interface in read_interfaces(dumps)}
    if scope is BRIDGE:
        options = from_kernel(BRIDGE, bridge_attributes(netlink.link("br0")))
        assert found["br0"].bridge_options == options
    else:
        options = from_kernel(PORT, port_attributes(netlink.link("web.eth0")), {"cost": 2})
        assert found["web.eth0"].port_options == options
    return options


def values(scope: OptionScope) -> st.SearchStrategy[dict[str, Any]]:
    everything = {name: (AS_IP_SHOWS | AS_BYTES)[scope, name][0] for name in BY_NAME[scope]}
    missing = {lack.option for lack in probe(everything, {}) + probe({}, everything)}
    had = {
        name: st.just(value)
        for name, value in everything.items()
        if BY_NAME[scope][name].key not in missing and name not in NEEDED
    }
    return st.fixed_dictionaries({}, optional=had)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_options_change_into_any_others(lab: KernelLab, data: st.DataObject) -> None:
    of_bridge, of_port = values(BRIDGE), values(PORT)
    first, second = ((data.draw(of_bridge), data.draw(of_port)) for _ in range(2))
    bridges = [a_bridge(**first[0]), a_bridge(**second[0])]
    ports = [a_port("web", **first[1]), a_port("web", **second[1])]
    lab.change(BridgeKey("br0"), after=bridges[0])
    try:
        lab.change(PortKey("web", "eth0"), after=ports[0])
        assert (read_back(lab, BRIDGE), read_back(lab, PORT)) == first
        lab.change(BridgeKey("br0"), *bridges)
        lab.change(PortKey("web", "eth0"), *ports)
        assert (read_back(lab, BRIDGE), read_back(lab, PORT)) == second
    finally:
        lab.change(PortKey("web", "eth0"), before=ports[0])
        lab.change(BridgeKey("br0"), before=bridges[0])


def test_the_kernel_is_quoted_where_it_says_why(lab: KernelLab) -> None:
    if probe({}, {"locked": True, "mab": True}):
        pytest.skip("this kernel has no mab, whose refusal is to be quoted")
    bridge = lab.add_bridge()
    with pytest.raises(Refusal, match=r"set mab to True on web\.eth0: Invalid argument \(.*lock"):
        lab.add_port("web", mab=True)
    lab.change(PortKey("web", "eth0"), before=a_port("web"))
    lab.change(BridgeKey("br0"), before=bridge)
