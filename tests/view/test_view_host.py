"""A machine as text: what a person reads, compared whole, and whatever is on it."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.view.view_hosts import HOST, OTHER, WEB, address, bridge, hosts, link, place, port, to

from linkspan.model.host_snapshot import (
    BaseChain,
    HostSnapshot,
    LabMention,
    NextHop,
    NftTable,
    Process,
    Route,
)
from linkspan.model.interface_snapshot import FarEnd, Statistics, TapHolder
from linkspan.model.names import Mark
from linkspan.view.host import host_text

GOLDEN = Path(__file__).with_name("small-host.golden.txt")


def small_host() -> HostSnapshot:
    br0 = bridge(2, "br0", bridge_options={"ageing_time": 60.0, "vlan_filtering": True})
    counted = Statistics(10, 1000, 0, 1, 20, 2_000_000, 0, 2)
    to_web = port(3, "ve-web", br0, 1, peer=to(WEB, 2), statistics=counted)
    tap = port(
        4,
        "tap0",
        br0,
        2,
        kind="tap",
        state="blocking",
        port_options={"isolated": True, "learning": False},
        holders=(TapHolder(pid=77, command="qemu", descriptor=9),),
    )
    eno1 = link(5, "eno1", "physical", mark=Mark("office", "br0"), alias="linkspan:office:br0")
    vxlan = link(6, "vx0", "vxlan", details={"id": 7, "port": 4789, "remote": "192.0.2.9"})
    eth0 = link(2, "eth0", peer=FarEnd(index=3, netnsid=1, namespace=HOST, interface="ve-web"))
    hop = NextHop(gateway="192.0.2.1", index=5, interface="eno1", weight=2)
    host = place(
        HOST,
        *(br0, to_web, tap, eno1, vxlan),
        addresses=(
            address(br0, "192.168.57.1/24", "permanent"),
            address(eno1, "192.0.2.7/24", "dynamic"),
            address(eno1, "fe80::5/64", scope="link"),
        ),
        routes=(
            Route(destination="0.0.0.0/0", gateway="192.0.2.254", index=5, interface="eno1"),
            Route(destination="10.0.0.0/8", kind="blackhole", metric=5, protocol="static"),
            Route(destination="172.16.0.0/12", next_hops=(hop,), table=100),
            Route(destination="fe80::/64", index=5, interface="eno1", protocol="kernel"),
        ),
        nft_tables=(
            NftTable(
                family="ip",
                name="filter",
                chains=(
                    BaseChain(
                        name="FORWARD", type="filter", hook="forward", priority=0, policy="drop"
                    ),
                ),
            ),
        ),
        legacy_tables=("ip6 nat",),
    )
    web = place(WEB, eth0, addresses=(address(eth0, "192.168.57.2/24"),), names=("web",))
    held = (Process(pid=7, command="dockerd"),)
    others = tuple(place(number, held_by=held) for number in (103, 104))
    labs = (LabMention(name="demo", state="running"), LabMention(name="old", state="stale"))
    running = place(OTHER, processes=2, process_examples=(Process(pid=5, command="nginx"),))
    return HostSnapshot(
        namespaces=(host, web, running, *others, place(105, lab="demo", node="a")),
        labs=labs,
        unread=("processes that may not be looked into (3)",),
    )


def test_small_host_is_told_whole() -> None:
    assert host_text(small_host(), columns=100) == GOLDEN.read_text().rstrip("\n")


def test_text_for_a_terminal_without_utf8_has_the_same_lines() -> None:
    plain = host_text(small_host(), columns=100, ascii=True)
    assert plain.isascii()
    drawn = host_text(small_host(), columns=100)
    assert list(map(len, plain.splitlines())) == list(map(len, drawn.splitlines()))


def test_machine_with_nothing_says_so() -> None:
    assert host_text(HostSnapshot(namespaces=(place(HOST),))) == (
        "This machine: no bridge, 0 interfaces, 0 further network namespaces\n\n"
        "There is no lab; linkspan up FILE makes one."
    )


def test_far_end_that_was_not_found_is_said_to_be_so() -> None:
    br0 = bridge(2, "br0")
    lost = port(3, "ve0", br0, 1, peer=FarEnd(index=2, netnsid=4))
    idle = port(4, "tap0", br0, 2, kind="tap", carrier=False)
    unknown = port(5, "tap1", br0, 3, kind="tap")
    text = host_text(HostSnapshot(namespaces=(place(HOST, br0, lost, idle, unknown),)))
    assert "in a namespace that was not found" in text
    assert "nobody has it open" in text
    assert "unknown program" in text


def test_bridge_with_many_ports_is_a_list() -> None:
    br0 = bridge(2, "br0")
    ports = [port(n + 2, f"ve{n}", br0, n, peer=to(200 + n, 2)) for n in range(1, 41)]
    nodes = [
        place(200 + n, link(2, "eth0", peer=FarEnd(index=n + 2, netnsid=0)), names=(f"node{n}",))
        for n in range(1, 41)
    ]
    text = host_text(HostSnapshot(namespaces=(place(HOST, br0, *ports), *nodes)), columns=80)
    (first,) = [line for line in text.splitlines() if "─" in line and " node1 " in line]
    assert first.lstrip().startswith("╟─   1  node1 ")
    assert "40 ports" in text


@given(hosts(), st.integers(40, 200), st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_there_is_can_be_shown_and_steers_no_terminal(
    snapshot: HostSnapshot, columns: int, ascii: bool
) -> None:
    text = host_text(snapshot, columns, ascii)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert text.isascii() or not ascii
    for line in text.splitlines():
        assert line == line.rstrip()
        if set(line) & set("╔║╚┌│└"):
            assert len(line) <= columns
