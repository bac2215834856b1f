"""A machine's bridges as a file: the same values, and a comment for what is no value."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.view.view_hosts import HOST, OTHER, WEB, address, bridge, hosts, link, place, port, to

from linkspan.errors import Mistake
from linkspan.interop.host import import_host
from linkspan.interop.written import drop, lines, scalar
from linkspan.model.host_snapshot import FdbEntry, HostSnapshot, Process, Route
from linkspan.model.interface_snapshot import FarEnd, Interface, TapHolder
from linkspan.model.load import loads
from linkspan.model.names import Mark
from linkspan.model.position import YamlMapping, YamlScalar
from linkspan.model.topology import StaticEntry
from linkspan.model.yaml_reader import read

BR0 = bridge(2, "br0", mtu=1400, bridge_options={"ageing_time": 60.0})
PORT = port(3, "ve0", BR0, 1, peer=to(WEB, 2), port_options={"isolated": True})
ETH0 = link(
    2,
    "eth0",
    peer=FarEnd(index=3, netnsid=0, namespace=HOST, interface="ve0"),
    mtu=1400,
    mac="02:00:00:01:00:01",
)


def machine(*more: Interface, **facts: Any) -> HostSnapshot:
    """br0 with the container web, and what else is given, on the host."""
    addresses = (address(BR0, "10.0.0.1/24"), address(BR0, "fe80::1/64", scope="link"))
    route = Route(destination="0.0.0.0/0", gateway="10.0.0.1", index=2, interface="eth0")
    web = place(
        WEB,
        ETH0,
        addresses=(address(ETH0, "10.0.0.2/24"), address(ETH0, "fd00::2/64")),
        routes=(route,),
        names=("web",),
    )
    host = place(HOST, BR0, PORT, *more, **{"addresses": addresses, **facts})
    return HostSnapshot(namespaces=(host, web))


def test_bridge_and_node_say_what_the_snapshot_says() -> None:
    imported = import_host(machine(), "host.yaml")
    made = imported.topology.bridges["br0"]
    assert (made.mac, made.mtu, made.up) == (BR0.mac, 1400, True)
    assert made.address == ("10.0.0.1/24",)
    assert made.ageing_time == 60.0
    node = imported.topology.nodes["web"]
    assert node.gateway == ("10.0.0.1",)
    eth0 = node.ports["eth0"]
    assert (eth0.bridge, eth0.mac, eth0.mtu, eth0.isolated) == ("br0", ETH0.mac, None, True)
    assert eth0.address == ("10.0.0.2/24", "fd00::2/64")


def test_text_is_the_file_of_the_topology() -> None:
    imported = import_host(machine(), "host.yaml")
    assert loads(imported.text, "elsewhere.yaml") == imported.topology
    assert imported.text.startswith("# ")


def test_what_has_no_words_is_told_where_it_would_stand() -> None:
    holder = TapHolder(pid=7, command="qemu", descriptor=3, guest="web")
    tap = port(10, "tap0", BR0, 2, kind="tap", holders=(holder,))
    lost = port(11, "ve1", BR0, 3, peer=FarEnd(index=2, netnsid=3))
    tunnel = port(12, "vx0", BR0, 4, kind="vxlan", details={"id": 5, "remote": "192.0.2.1"})
    odd = port(13, "odd0", BR0, 5, kind="odd")
    fixed = entry("02:00:00:00:00:77", "vx0", "static")
    alone = link(14, "wg0", "wireguard")
    imported = import_host(machine(tap, lost, tunnel, odd, alone, fdb=(fixed,)), "host.yaml")
    for told in (
        "port tap0 (tap): held open by guest web (qemu, pid 7)",
        "port ve1 (veth): the namespace of its other end was not found",
        "port vx0 (vxlan): tunnel with VNI 5 to 192.0.2.1",
        "port odd0 (odd): the file has no ports of this kind",
        "static entries without words here: 02:00:00:00:00:77 at vx0",
    ):
        assert [line for line in imported.text.splitlines() if line.startswith(f"    # {told}")]
    assert "# Interfaces on none of the bridges: wg0" in imported.text


def entry(mac: str, port: str, *flags: str, vlan: int | None = None) -> FdbEntry:
    return FdbEntry(mac=mac, index=3, port=port, bridge="br0", flags=flags, vlan=vlan)


def test_static_entries_stand_at_their_bridge() -> None:
    fdb = (
        entry("02:00:00:00:00:71", "ve0", "static", vlan=1),
        entry("02:00:00:00:00:71", "ve0", "static"),
        entry("02:00:00:00:00:72", "ve0", "sticky", "static"),
        entry("02:00:00:00:00:73", "ve0", "static", vlan=7),
        entry("02:00:00:00:00:74", "ve0", "extern_learn"),
        entry("02:00:00:00:00:75", "ve0", "permanent"),
    )
    imported = import_host(machine(fdb=fdb), "host.yaml")
    assert imported.topology.bridges["br0"].fdb == {
        "02:00:00:00:00:71": StaticEntry(port="web.eth0"),
        "02:00:00:00:00:72": StaticEntry(port="web.eth0", sticky=True),
    }
    assert "without words here: 02:00:00:00:00:73 in VLAN 7 at ve0" in imported.text


def test_card_is_an_uplink_or_said_to_be_left_out() -> None:
    imported = import_host(machine(port(10, "eno1", BR0, 2, kind="physical")), "host.yaml")
    (line,) = [line for line in imported.text.splitlines() if "eno1" in line]
    assert line.strip().startswith(("uplink: eno1", "# without uplink"))


def test_namespaces_get_names_that_nodes_may_have() -> None:
    bridges = [bridge(2 + n, f"br{n}") for n in range(6)]
    ports = [port(20 + n, f"ve{n}", bridges[n], 1, peer=to(200 + n, 2)) for n in range(6)]
    facts: list[dict[str, Any]] = [
        {"names": ("Ünï Cöde",)},
        {"names": ("host",)},
        {"names": ("/var/run/docker/netns/5a1b",)},
        {
            "names": ("/run/docker/netns/77",),
            "process_examples": (Process(pid=1, command="postgres"),),
        },
        {"process_examples": (Process(pid=1, command="nginx"),)},
        {"held_by": (Process(pid=2, command="nginx"),)},
    ]
    ends = [
        place(200 + n, link(2, "eth0", mac=f"02:00:00:01:00:0{n}"), **fact)
        for n, fact in enumerate(facts)
    ]
    snapshot = HostSnapshot(namespaces=(place(HOST, *bridges, *ports), *ends))
    nodes = import_host(snapshot, "host.yaml").topology.nodes
    assert list(nodes) == ["n-c-de", "host-2", "5a1b", "postgres", "nginx", "nginx-2"]


def test_namespace_on_two_bridges_is_one_node() -> None:
    other = bridge(5, "br1")
    second = port(6, "ve9", other, 1, peer=to(WEB, 3))
    eth1 = link(
        3,
        "eth1",
        mac="02:00:00:01:00:02",
        peer=FarEnd(index=6, netnsid=0, namespace=HOST, interface="ve9"),
    )
    namespaces = machine(other, second).namespaces
    web = place(WEB, ETH0, eth1, names=("web",))
    imported = import_host(HostSnapshot(namespaces=(namespaces[0], web)), "host.yaml")
    ports = imported.topology.nodes["web"].ports
    assert {name: each.bridge for name, each in ports.items()} == {"eth0": "br0", "eth1": "br1"}


def test_bridges_of_labs_stay_in_their_files() -> None:
    own = bridge(9, "lab0", mark=Mark("office", "lab0"))
    imported = import_host(machine(own), "host.yaml")
    assert list(imported.topology.bridges) == ["br0"]
    assert "# bridge lab0 belongs to the lab office" in imported.text


def test_host_without_a_bridge_has_nothing_to_write() -> None:
    eno1 = link(2, "eno1", "physical")
    with pytest.raises(Mistake, match="the host has no bridge that could be written"):
        import_host(HostSnapshot(namespaces=(place(HOST, eno1), place(OTHER))), "host.yaml")


@given(hosts())
@settings(max_examples=60, deadline=None)
def test_whatever_there_is_the_file_loads(snapshot: HostSnapshot) -> None:
    try:
        imported = import_host(snapshot, "host.yaml")
    except Mistake:
        return
    assert loads(imported.text, "host.yaml") == imported.topology
    assert imported.topology.bridges.keys() <= {each.name for each in snapshot.host.interfaces}


@given(st.text(max_size=20) | st.booleans() | st.integers(-(10**9), 10**9))
def test_scalars_are_read_back_as_they_were(value: str | int | bool) -> None:
    text = f"key: {scalar(value)}\n"
    try:
        root = read(text, "file").root
    except Mistake:
        assert isinstance(value, str)
        assert not value.isprintable(), "only what steers a terminal is no text for a file"
        return
    assert isinstance(root, YamlMapping)
    found = root.values["key"]
    assert isinstance(found, YamlScalar)
    assert found.value == value


def test_every_line_knows_what_it_says() -> None:
    tree = {"a": {"address": ["x", "y"], "b": {}}, "c": True}
    written = list(lines(tree, {("a",): ["why"]}))
    assert [line for _, line in written] == [
        "a:",
        "  # why",
        "  address:",
        "    - x",
        "    - " + '"y"',
        "  b: {}",
        "c: true",
    ]
    assert written[3][0] == ("a", "address", 0)
    drop(tree, ("a", "address", 0))
    drop(tree, ("a", "address", 0))
    assert tree == {"a": {"b": {}}, "c": True}
