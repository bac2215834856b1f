"""One namespace read by us and by iproute2, which share no code: they must say the same."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.networks import namespace, needs_root, veth
from tests.engine.stations import wait_until

from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import NOT_UNDERSTOOD, read_all_of_it, read_namespace
from linkspan.engine.user.devices import open_tap
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface, Querier, VlanEntry
from linkspan.model.names import Mark
from linkspan.sandbox.namespaces import inside

pytestmark = [
    needs_root,
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2 as the judge"),
]

AF_BRIDGE = 7
NO_FILTERING, FILTERING = (struct.pack("=HHB", 5, 7, value) for value in (0, 1))
"""IFLA_BR_VLAN_FILTERING"""

COMMANDS = """
link set lo up
link add br0 address 02:00:00:00:00:0a type bridge ageing_time 6000 stp_state 1 priority 4096
link add br1 type bridge
link add p1 type veth peer name eth0 netns {far}
link add p2 type veth peer name p2far
link add vx type vxlan id 77 remote 192.0.2.9 local 192.0.2.1 dstport 4789
link add mv link p2far type macvlan mode bridge
link property add dev p2 altname a-name-much-longer-than-fifteen-bytes
link set p1 alias linkspan:lab:br0
link set vx alias whatever
link set p1 master br0
link set vx master br0
link set p2 master br1
link set p1 mtu 1400 type bridge_slave hairpin on isolated on cost 7
link set br0 up
link set br1 up
link set p1 up
link set p2 up
link set p2far up
link set mv up
addr add 192.168.57.1/24 brd + dev br0
addr add 192.168.57.9/24 dev br0
addr add 10.0.0.1 peer 10.0.0.2/32 dev p2far metric 70
addr add 192.0.2.77/24 dev p2far valid_lft 1000 preferred_lft 500
addr add fd00:57::1/64 dev br0 nodad
addr add fd00:58::1/64 dev p2far noprefixroute
route add default via 192.168.57.254 dev br0 metric 50 src 192.168.57.9 mtu 1300
route add 198.51.100.0/24 via 203.0.113.1 dev br0 onlink proto static
route add 203.0.113.0/24 nexthop via 192.168.57.3 weight 2 nexthop via 10.0.0.2 dev p2far
route add blackhole 100.64.0.0/10
route add 172.16.0.0/12 dev p2far table 100
route add fd97::/64 dev p2far table 100
route add fd99::/64 via fd00:57::2 dev br0 pref high expires 1000
route add unreachable fd98::/32
neigh add 192.168.57.20 lladdr 02:00:00:00:00:20 dev br0
neigh add fd00:57::20 lladdr 02:00:00:00:00:21 dev br0 router
neigh add proxy fd00:57::99 dev br0
link set p1 type bridge_slave mcast_router 2
"""
BRIDGE_COMMANDS = """
mdb add dev br0 port p1 grp 239.1.1.1 permanent
mdb add dev br0 port p1 grp 01:02:03:04:05:06 permanent
mdb add dev br1 port p2 grp ff05::5 temp
fdb add 02:00:00:00:00:31 dev p1 master static
fdb add 02:00:00:00:00:32 dev p2 master sticky static
fdb add 02:00:00:00:00:33 dev vx self dst 192.0.2.10
"""


def run(*arguments: str, text: str = "") -> str:
    done = subprocess.run(arguments, input=text, capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def told_by(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*arguments) or "[]")
    return found


@pytest.fixture(scope="module")
def world() -> Iterator[None]:
    """The test stands in a namespace with some of everything."""
    with namespace(ipv6=True) as near, namespace(ipv6=True) as far, inside(near):
        commands = COMMANDS.format(far=f"/proc/{os.getpid()}/fd/{far}")
        for line in filter(None, commands.splitlines()):
            run("ip", *line.split())
        for line in filter(None, BRIDGE_COMMANDS.splitlines()):
            run("bridge", *line.split())
        tap = open_tap("tap0")
        try:
            yield
        finally:
            os.close(tap)


@pytest.fixture
def read(world: None) -> NamespaceSnapshot:
    with Dumps() as dumps:
        return read_namespace(dumps)


def short(identifier: str) -> str:
    """A bridge's identifier as ip(8) writes it, without leading zeros."""
    priority, _, mac = identifier.partition(".")
    return f"{priority}.{':'.join(f'{int(part, 16):x}' for part in mac.split(':'))}"


def by_name(read: NamespaceSnapshot) -> dict[str, Interface]:
    return {each.name: each for each in read.interfaces}


def test_interfaces_are_those_of_ip(read: NamespaceSnapshot) -> None:
    told = told_by("ip", "-d", "-s", "-j", "link")
    assert [each.name for each in read.interfaces] == [each["ifname"] for each in told]
    for mine, theirs in zip(read.interfaces, told, strict=True):
        assert mine.index == theirs["ifindex"]
        assert mine.mtu == theirs["mtu"]
        assert mine.mac == theirs["address"]
        assert mine.operstate.upper() == theirs["operstate"]
        assert mine.up is ("UP" in theirs["flags"])
        assert mine.carrier is ("LOWER_UP" in theirs["flags"])
        assert mine.alias == theirs.get("ifalias")
        assert mine.master_name == theirs.get("master")
        assert list(mine.other_names) == theirs.get("altnames", [])
        assert mine.transmit_queue == theirs.get("txqlen", 0)
        assert mine.promiscuity == theirs["promiscuity"]
        assert (
            mine.ipv6.get("addr_gen_mode") == {"eui64": 0, "none": 1}[theirs["inet6_addr_gen_mode"]]
        )
        counted, rx, tx = mine.statistics, theirs["stats64"]["rx"], theirs["stats64"]["tx"]
        # The network goes on while the two are read.
        assert counted.errors_in <= rx["errors"]
        assert counted.drops_in <= rx["dropped"]
        assert counted.drops_out <= tx["dropped"]
        assert counted.bytes_in <= rx["bytes"]
        assert counted.frames_out <= tx["packets"]


def test_statistics_are_those_of_ip() -> None:
    with namespace() as network, inside(network):
        run("ip", "link", "set", "lo", "up")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(bytes(1000), ("127.0.0.1", 9))
        (told,) = told_by("ip", "-s", "-j", "link")
        with Dumps() as dumps:
            (loopback,) = read_namespace(dumps).interfaces
    counted = loopback.statistics
    assert (counted.frames_in, counted.bytes_in) == (
        told["stats64"]["rx"]["packets"],
        told["stats64"]["rx"]["bytes"],
    )
    assert (counted.frames_out, counted.bytes_out) == (
        told["stats64"]["tx"]["packets"],
        told["stats64"]["tx"]["bytes"],
    )
    assert counted.bytes_out > 1000


def test_kind_says_what_made_the_interface(read: NamespaceSnapshot) -> None:
    kinds = {name: each.kind for name, each in by_name(read).items()}
    wanted = {"lo": "loopback", "br0": "bridge", "p1": "veth", "vx": "vxlan", "mv": "macvlan"}
    assert kinds.items() >= {**wanted, "tap0": "tap"}.items()


def test_bridge_and_port_options_are_those_of_ip(read: NamespaceSnapshot) -> None:
    told = {each["ifname"]: each for each in told_by("ip", "-d", "-j", "link")}
    found = by_name(read)
    for name in ("br0", "br1"):
        theirs, state = told[name]["linkinfo"]["info_data"], found[name].bridge_state
        assert state is not None
        assert short(state.id) == theirs["bridge_id"]
        assert short(state.root_id) == theirs["root_id"]
        assert (state.root_port, state.root_path_cost) == (
            theirs["root_port"],
            theirs["root_path_cost"],
        )
        assert state.topology_change == bool(theirs["topology_change"])
    for name in ("p1", "vx", "p2"):
        slave, port = told[name]["linkinfo"]["info_slave_data"], found[name].port_state
        assert port is not None
        assert port.number == int(slave["no"], 16)
        assert port.id == int(slave["id"], 16)
        assert port.state == slave["state"]
        assert short(port.bridge_id) == slave["bridge_id"]
        assert short(port.root_id) == slave["root_id"]
    assert found["br0"].bridge_options == {"ageing_time": 60.0, "stp": "stp", "priority": 4096}
    assert found["br1"].bridge_options == {}
    assert found["p1"].port_options == {
        "hairpin": True,
        "isolated": True,
        "cost": 7,
        "multicast_router": "permanent",
    }
    assert found["p2"].port_options == {}, "the cost of a veth is what the kernel makes of it"
    assert found["vx"].port_options == {}
    assert found["lo"].port_options is None
    assert found["p1"].bridge_options is None


def test_mark_of_ours_is_recognised_and_other_aliases_are_not(read: NamespaceSnapshot) -> None:
    found = by_name(read)
    assert found["p1"].mark == Mark("lab", "br0")
    assert found["vx"].mark is None


def test_far_end_is_told_by_index_and_namespace(read: NamespaceSnapshot) -> None:
    found = by_name(read)
    here, there = found["p2"].peer, found["p1"].peer
    assert here is not None
    assert there is not None
    assert (here.netnsid, here.interface) == (None, "p2far")
    assert here.index == found["p2far"].index
    assert there.netnsid is not None
    assert there.interface is None
    parent = found["mv"].peer
    assert parent is not None
    assert parent.interface == "p2far"
    assert found["lo"].peer is None


def test_details_of_a_kind(read: NamespaceSnapshot) -> None:
    found = by_name(read)
    vxlan = found["vx"].details
    assert (vxlan["id"], vxlan["remote"], vxlan["local"]) == (77, "192.0.2.9", "192.0.2.1")
    assert (vxlan["port"], vxlan["learning"]) == (4789, 1)
    assert found["tap0"].details["vnet_hdr"] == 1
    assert found["tap0"].details["persistent"] == 0


class Answers(Dumps):
    """Gives what a kernel with VLAN filtering answered, for those kernels that have none."""

    def entries(self, number: int, header: bytes) -> list[bytes]:
        answers: list[bytes] = super().entries(number, header)
        if header[0] != AF_BRIDGE:
            return [answer.replace(NO_FILTERING, FILTERING) for answer in answers]
        vlans = [(0x06, 1), (0x08, 10), (0x10, 12), (0x04, 20)]
        infos = b"".join(struct.pack("=HHHH", 8, 2, flags, vlan) for flags, vlan in vlans)
        message = struct.pack("=BxHiII", AF_BRIDGE, 1, socket.if_nametoindex("p2"), 0, 0)
        return [message + struct.pack("=HH", len(infos) + 4, 26 | 0x8000) + infos]


def test_vlans_are_read_where_a_bridge_filters_them(world: None) -> None:
    with Answers() as dumps:
        found = by_name(read_namespace(dumps))
    assert found["p2"].vlans == (
        VlanEntry(first=1, last=1, pvid=True, untagged=True),
        VlanEntry(first=10, last=12),
        VlanEntry(first=20, last=20, untagged=True),
    )
    assert found["p1"].vlans == ()


def test_addresses_are_those_of_ip(read: NamespaceSnapshot) -> None:
    told = [
        (each["ifname"], one)
        for each in told_by("ip", "-d", "-j", "addr")
        for one in each["addr_info"]
    ]
    mine = {(each.interface, each.address): each for each in read.addresses}
    assert len(mine) == len(told) == len(read.addresses)
    for interface, theirs in told:
        each = mine[interface, f"{theirs['local']}/{theirs['prefixlen']}"]
        assert each.scope == theirs["scope"]
        assert each.broadcast == theirs.get("broadcast")
        assert each.label == theirs.get("label")
        assert each.peer == (
            f"{theirs['address']}/{theirs['prefixlen']}" if "address" in theirs else None
        )
        assert each.metric == theirs.get("metric", 0)
        assert (each.valid is None) == (theirs["valid_life_time"] == 0xFFFFFFFF)
        assert (each.preferred is None) == (theirs["preferred_life_time"] == 0xFFFFFFFF)
        for flag in ("secondary", "temporary", "nodad", "tentative", "noprefixroute", "dynamic"):
            assert (flag in each.flags) == bool(theirs.get(flag)), (each, flag)
    assert mine["br0", "192.168.57.9/24"].flags == ("secondary", "permanent")
    assert mine["p2far", "192.0.2.77/24"].valid is not None


def route_of(theirs: dict[str, Any], any_address: str) -> tuple[Any, ...]:
    destination = theirs["dst"].replace("default", f"{any_address}/0")
    network = ipaddress.ip_network(destination)
    hops = tuple(
        (hop.get("gateway"), hop["dev"], hop["weight"]) for hop in theirs.get("nexthops", [])
    )
    return (
        str(network),
        theirs.get("type", "unicast"),
        theirs.get("gateway"),
        theirs.get("dev"),
        theirs.get("metric", 0),
        theirs.get("prefsrc"),
        theirs["protocol"],
        tuple(flag for flag in theirs["flags"] if flag in ("onlink", "linkdown", "dead")),
        hops,
        theirs.get("pref"),
    )


def test_routes_are_those_of_ip(read: NamespaceSnapshot) -> None:
    wanted = [
        route_of(each, any_address)
        for family, any_address in (("-4", "0.0.0.0"), ("-6", "::"))
        for table in ("main", "100")
        for each in told_by("ip", "-d", "-j", family, "route", "show", "table", table)
        if each.get("type") != "multicast"
    ]
    found = [
        (
            each.destination,
            each.kind,
            each.gateway,
            each.interface,
            each.metric,
            each.preferred_source,
            each.protocol,
            tuple(flag for flag in each.flags if flag in ("onlink", "linkdown", "dead")),
            tuple((hop.gateway, hop.interface, hop.weight) for hop in each.next_hops),
            each.preference,
        )
        for each in read.routes
        if each.table in (254, 100) and each.kind != "multicast"
    ]
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_routes_keep_table_metrics_scope_and_expiry(read: NamespaceSnapshot) -> None:
    routes = {each.destination: each for each in read.routes if each.protocol != "kernel"}
    assert routes["172.16.0.0/12"].table == 100
    assert routes["172.16.0.0/12"].scope == "link"
    assert routes["0.0.0.0/0"].metrics == {"mtu": 1300}
    assert routes["0.0.0.0/0"].scope == "global"
    expires = routes["fd99::/64"].expires
    assert expires is not None
    assert 0 < expires <= 1000
    assert not [each for each in read.routes if each.table == 255]


def test_neighbours_are_those_of_ip(read: NamespaceSnapshot) -> None:
    found = {(each.interface, each.address): each for each in read.neighbours}
    one = found["br0", "192.168.57.20"]
    assert (one.mac, one.state) == ("02:00:00:00:00:20", "permanent")
    assert found["br0", "fd00:57::20"].flags == ("router",)
    assert "proxy" in found["br0", "fd00:57::99"].flags
    assert {key[1] for key in found} >= {each["dst"] for each in told_by("ip", "-j", "neigh")}


def test_fdb_is_that_of_bridge(read: NamespaceSnapshot) -> None:
    told = told_by("bridge", "-s", "-j", "fdb")
    wanted = sorted(
        (each["mac"], each["ifname"], each.get("master"), each.get("vlan"), each.get("dst"))
        for each in told
    )
    found = sorted((each.mac, each.port, each.bridge, each.vlan, each.remote) for each in read.fdb)
    assert sorted(found, key=str) == sorted(wanted, key=str)
    flags = {each.mac: each.flags for each in read.fdb if each.bridge}
    assert flags["02:00:00:00:00:31"] == ("static",)
    assert flags["02:00:00:00:00:32"] == ("sticky", "static")
    assert flags[by_name(read)["p1"].mac or ""] == ("permanent",)


def test_groups_are_those_of_bridge(read: NamespaceSnapshot) -> None:
    (told,) = told_by("bridge", "-d", "-j", "mdb")
    wanted = {(one["grp"], one["port"], one["dev"], one["state"]) for one in told["mdb"]}
    found = {
        (each.group, each.port, each.bridge, "permanent" if each.permanent else "temp")
        for each in read.groups
    }
    fixed = {
        ("239.1.1.1", "p1", "br0", "permanent"),
        ("01:02:03:04:05:06", "p1", "br0", "permanent"),
        ("ff05::5", "p2", "br1", "temp"),
    }
    assert fixed <= wanted
    assert fixed <= found
    # Hosts join and leave groups by themselves between the two readings.
    assert {each for each in found if each[3] == "permanent"} == {
        each for each in wanted if each[3] == "permanent"
    }
    assert read.multicast_routers == ("p1",)
    assert told["router"] == {"br0": [{"port": "p1"}]}


def test_querier_of_a_bridge_is_itself_or_one_that_it_heard() -> None:
    with namespace() as near, namespace() as far:
        veth(near, "card", "card", far)
        for network, querier in ((near, 0), (far, 1)):
            with inside(network):
                run("ip", "link", "add", "br0", "type", "bridge", "mcast_querier", str(querier))
                run("ip", "link", "set", "br0", "up")
        assert queriers(near) == ()
        assert [(each.port, each.timer) for each in queriers(far)] == [(None, None)] * 2
        with inside(far):
            run("ip", "addr", "add", "192.0.2.1/24", "dev", "br0")
            run("ip", "link", "set", "br0", "type", "bridge", "mcast_query_use_ifaddr", "1")
        for network in (near, far):
            with inside(network):
                run("ip", "link", "set", "card", "master", "br0")
        found = wait_until(lambda: queriers(near), "the query")
        with inside(near):
            card = socket.if_nametoindex("card")
    heard = {each.address: each for each in found}
    assert heard["192.0.2.1"].port == card
    assert (heard["192.0.2.1"].timer or 0) > 0


def queriers(network: int) -> tuple[Querier, ...]:
    with inside(network), Dumps() as dumps:
        state = by_name(read_namespace(dumps))["br0"].bridge_state
    assert state is not None
    return state.queriers


def test_names_with_odd_characters_are_read_and_printable_as_json() -> None:
    with namespace() as network, inside(network):
        names = ['a"b\\c', "ä-é", "\x1b[31m", "-x", "{}$(id)"]
        for name in names:
            run("ip", "link", "add", "name", name, "type", "bridge")
        raw = b"\xff\xfe!"
        subprocess.run([b"ip", b"link", b"add", b"name", raw, b"type", b"bridge"], check=True)
        with Dumps() as dumps:
            found = [each.name for each in read_namespace(dumps).interfaces]
        assert found == ["lo", *names, "\\xff\\xfe!"]


class Restless(Dumps):
    """A kernel whose lists change while they are read, some times or for ever."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def _ask(self, number: int, flags: int, body: bytes) -> tuple[list[bytes], bool]:
        messages, _ = super()._ask(number, flags, body)
        self.times -= 1
        return ([], False) if self.times > 0 else (messages, self.times == 0)


@pytest.mark.parametrize("times", [0, 3, 1000])
def test_list_that_changed_while_it_was_read_is_asked_for_again(times: int) -> None:
    with Restless(times) as dumps:
        found = dumps.entries(18, bytes(16))
    assert bool(found) is (times < 1000)


class Garbled(Dumps):
    """A kernel whose answers have other bytes in some places."""

    def __init__(self, changes: list[tuple[int, int]]) -> None:
        super().__init__()
        self.changes = changes

    def entries(self, number: int, header: bytes) -> list[bytes]:
        messages: list[bytes] = []
        for message in super().entries(number, header):
            changed = bytearray(message)
            for place, value in self.changes:
                changed[place % len(changed)] = value
            messages.append(bytes(changed))
        return messages


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=12))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answer_that_makes_no_sense_is_not_understood_and_no_bug(
    world: None, changes: list[tuple[int, int]]
) -> None:
    with Garbled(changes) as dumps, contextlib.suppress(*NOT_UNDERSTOOD):
        found = read_namespace(dumps)
        assert msgspec.json.encode(found)


def test_what_is_not_understood_is_said_and_the_rest_is_read(
    world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(dumps: Dumps) -> NamespaceSnapshot:
        raise LookupError(dumps)

    monkeypatch.setattr("linkspan.engine.reading.namespace.read_namespace", fail)
    found = read_all_of_it(with_nft=True)
    (unread,) = found.unread
    assert unread.startswith("interfaces: the kernel's answer is not understood (LookupError(")


def test_kernel_that_refuses_says_so() -> None:
    with Dumps() as dumps, pytest.raises(OSError, match="the kernel refuses"):
        dumps.entries(0x7F, bytes(16))


def test_more_routes_and_addresses_than_one_answer_holds() -> None:
    with namespace() as network, inside(network):
        run("ip", "link", "set", "lo", "up")
        lines = [f"addr add 10.{n >> 8}.{n & 255}.1/32 dev lo\n" for n in range(3000)]
        lines += [f"route add blackhole 11.{n >> 8}.{n & 255}.0/24\n" for n in range(3000)]
        run("ip", "-batch", "-", text="".join(lines))
        with Dumps() as dumps:
            read = read_namespace(dumps)
        assert len({each.address for each in read.addresses} - {"127.0.0.1/8"}) == 3000
        assert len(read.routes) == 3000
