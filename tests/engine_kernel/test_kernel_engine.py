"""Changes carried out on bridges of the kernel, judged by ip(8) and by traffic."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.engine.networks import needs_root
from tests.engine_kernel.bridge_in_kernel import (
    BRIDGE_MAC,
    KernelLab,
    a_bridge,
    a_port,
    mac_of,
)
from tests.machine import wait_until

from linkspan.engine.kernel.engine import KernelEngine
from linkspan.errors import Bug, Refusal
from linkspan.model.state import (
    Address,
    AddressKey,
    BridgeKey,
    Entry,
    EntryKey,
    PortKey,
    Uplink,
    UplinkKey,
)
from linkspan.sandbox.namespaces import inside

pytestmark = needs_root
BR0, WEB, DB = BridgeKey("br0"), PortKey("web", "eth0"), PortKey("db", "eth0")
STATION = "02:00:00:00:00:99"


def test_bridge_keeps_its_mac_and_its_mtu_whatever_its_ports_have(lab: KernelLab) -> None:
    lab.add_bridge()
    lab.add_port("web", mtu=1300)
    lab.run("host", "ip", "link", "set", "web.eth0", "address", "00:00:00:00:00:01")
    bridge = lab.link("host", "br0")
    assert (bridge["address"], bridge["mtu"]) == (BRIDGE_MAC, 1500)
    assert bridge["ifalias"] == "linkspan:lab:br0"
    assert bridge["linkinfo"]["info_kind"] == "bridge"
    lab.change(WEB, before=a_port("web", mtu=1300))
    assert lab.link("host", "br0")["address"] == BRIDGE_MAC


@pytest.mark.parametrize("mtu", [1280, 1499, 1500, 9000])
def test_bridge_of_any_mtu_keeps_it(lab: KernelLab, mtu: int) -> None:
    lab.add_bridge(mtu=mtu)
    lab.add_port("web", mtu=1200)
    assert lab.link("host", "br0")["mtu"] == mtu


def test_a_bridge_is_changed_in_place(lab: KernelLab) -> None:
    before = lab.add_bridge(ageing_time=60.0, stp="stp")
    index = lab.link("host", "br0")["ifindex"]
    after = a_bridge(mtu=9000, forward_delay=0.0, priority=4096)
    lab.change(BR0, before, after)
    found = lab.link("host", "br0")
    data = found["linkinfo"]["info_data"]
    assert (found["ifindex"], found["mtu"]) == (index, 9000)
    assert (data["ageing_time"], data["stp_state"]) == (30000, 0)
    assert (data["forward_delay"], data["priority"]) == (0, 4096)
    lab.change(BR0, after, before)
    data = lab.link("host", "br0")["linkinfo"]["info_data"]
    assert (data["ageing_time"], data["stp_state"], data["forward_delay"]) == (6000, 1, 1500)


@pytest.mark.skipif(
    not Path("/proc/sys/net/bridge").exists(), reason="br_netfilter is not loaded: nothing to keep"
)
def test_netfilter_is_kept_off_in_a_sandbox(lab: KernelLab) -> None:
    calls = [f"net.bridge.bridge-nf-call-{table}tables" for table in ("ip", "ip6", "arp")]
    assert lab.run("host", "sysctl", "-n", *calls).split() == ["1"] * 3
    lab.add_bridge()
    assert lab.run("host", "sysctl", "-n", *calls).split() == ["0"] * 3
    assert lab.run("other", "sysctl", "-n", *calls).split() == ["1"] * 3


def test_a_port_is_a_veth_pair_with_a_mark_at_both_ends(lab: KernelLab) -> None:
    lab.add_bridge()
    lab.add_port("web", mtu=1400, isolated=True, unicast_flood=False)
    near, far = lab.link("host", "web.eth0"), lab.link("web", "eth0")
    assert (near["master"], near["mtu"], "UP" in near["flags"]) == ("br0", 1400, True)
    assert (far["address"], far["mtu"], "UP" in far["flags"]) == (mac_of("web"), 1400, False)
    assert near["ifalias"] == far["ifalias"] == "linkspan:lab:web.eth0"
    assert near["inet6_addr_gen_mode"] == "none"
    data = near["linkinfo"]["info_slave_data"]
    assert (data["isolated"], data["flood"], data["learning"]) == (True, False, True)
    assert lab.links("web") == {"eth0"}
    lab.change(WEB, before=a_port("web"))
    assert lab.links("web") == set()
    assert lab.links("host") == {"br0"}


def test_a_port_may_lie_in_the_namespace_of_the_bridge(lab: KernelLab) -> None:
    lab.add_bridge()
    lab.change(PortKey("host", "eth9"), after=a_port("host"))
    assert lab.links("host") == {"br0", "eth9", "host.eth9"}
    assert "master" not in lab.link("host", "eth9")
    lab.change(PortKey("host", "eth9"), before=a_port("host"))
    assert lab.links("host") == {"br0"}


def test_one_option_of_a_port_is_one_change(lab: KernelLab) -> None:
    lab.add_bridge()
    before = lab.add_port("web", isolated=True)
    after = a_port("web", cost=9, hairpin=True)
    lab.change(WEB, before, after)
    data = lab.link("host", "web.eth0")["linkinfo"]["info_slave_data"]
    assert (data["isolated"], data["hairpin"], data["cost"]) == (False, True, 9)
    lab.change(WEB, after, a_port("web"))
    data = lab.link("host", "web.eth0")["linkinfo"]["info_slave_data"]
    assert (data["isolated"], data["hairpin"], data["cost"]) == (False, False, 2)


def test_mac_and_mtu_of_a_port_change_in_place(lab: KernelLab) -> None:
    lab.add_bridge()
    before = lab.add_port("web")
    index = lab.link("web", "eth0")["ifindex"]
    after = a_port("db", mtu=1280)  # the MAC of another
    lab.change(WEB, before, after)
    far = lab.link("web", "eth0")
    assert (far["address"], far["mtu"], far["ifindex"]) == (mac_of("db"), 1280, index)
    assert lab.link("host", "web.eth0")["mtu"] == 1280


def test_a_port_has_no_address_even_when_its_mtu_begins_to_suffice(lab: KernelLab) -> None:
    lab.run("host", "sysctl", "-wq", "net.ipv6.conf.all.disable_ipv6=0")
    lab.run("host", "sysctl", "-wq", "net.ipv6.conf.default.disable_ipv6=0")
    lab.add_bridge()
    before = lab.add_port("web", mtu=1200)
    lab.up("web")
    lab.change(WEB, before, a_port("web", mtu=1500))
    lab.add_port("db")
    lab.up("db")
    for name in ("web.eth0", "db.eth0"):
        wait_until(lambda name=name: "LOWER_UP" in lab.link("host", name)["flags"])
        assert lab.link("host", name)["inet6_addr_gen_mode"] == "none"


def conversation(lab: KernelLab) -> tuple[socket.socket, socket.socket]:
    """A TCP connection from web to db."""
    with inside(lab.networks["db"]), socket.create_server(("10.0.0.2", 80)) as listening:
        with inside(lab.networks["web"]):
            near = socket.create_connection(("10.0.0.2", 80), timeout=20)
        far, _ = listening.accept()
    far.settimeout(20)
    return near, far


def say(near: socket.socket, far: socket.socket, words: bytes) -> None:
    near.sendall(words)
    assert far.recv(100) == words


@pytest.mark.parametrize(("bridge", "place"), [("br1", "host"), ("far", "other")])
def test_a_connection_outlives_moving_both_ports(lab: KernelLab, bridge: str, place: str) -> None:
    lab.add_bridge("br0")
    lab.add_bridge(bridge, node=place)
    for node in ("host", place):
        lab.run(node, "ip", "link", "set", "br0" if node == "host" else bridge, "up")
    lab.run(place, "ip", "link", "set", bridge, "up")
    web, db = lab.add_port("web"), lab.add_port("db", isolated=False)
    lab.up("web", "10.0.0.1/24")
    lab.up("db", "10.0.0.2/24")
    near, far = conversation(lab)
    with near, far:
        say(near, far, b"before")
        index = lab.link("web", "eth0")["ifindex"]
        lab.change(WEB, web, a_port("web", bridge=bridge, hairpin=True))
        near.sendall(b"meanwhile")  # db is not there yet
        lab.change(DB, db, a_port("db", bridge=bridge))
        assert far.recv(100) == b"meanwhile"
        say(far, near, b"after")
        assert lab.link("web", "eth0")["ifindex"] == index
    moved = lab.link(place, "web.eth0")
    assert (moved["master"], moved["ifalias"]) == (bridge, "linkspan:lab:web.eth0")
    assert moved["linkinfo"]["info_slave_data"]["hairpin"]
    assert moved["inet6_addr_gen_mode"] == "none"


def test_a_port_that_was_taken_out_is_put_back(lab: KernelLab) -> None:
    lab.add_bridge()
    wanted = lab.add_port("web", isolated=True)
    lab.run("host", "ip", "link", "set", "web.eth0", "nomaster")
    lab.change(WEB, before=a_port("web", bridge=""), after=wanted)
    near = lab.link("host", "web.eth0")
    assert near["master"] == "br0"
    assert near["linkinfo"]["info_slave_data"]["isolated"]


def test_nothing_that_is_not_ours_is_deleted(lab: KernelLab) -> None:
    lab.run("host", "ip", "link", "add", "br0", "address", BRIDGE_MAC, "type", "bridge")
    lab.run("host", "ip", "link", "set", "br0", "alias", "linkspan:lab2:br0")
    with pytest.raises(Refusal, match=r"br0 is not ours: expected .*:lab:br0, found .*:lab2:br0"):
        lab.change(BR0, before=a_bridge())
    with pytest.raises(Refusal, match="make the bridge br0: File exists"):
        lab.change(BR0, after=a_bridge())
    lab.run("web", "ip", "link", "add", "eth0", "type", "bridge")
    with pytest.raises(Refusal, match="eth0 is not ours: expected .*, found none"):
        lab.change(WEB, before=a_port("web"))
    with pytest.raises(Refusal, match="is not ours"):
        lab.change(WEB, after=a_port("web"))
    assert lab.links("host") == {"br0"}
    assert lab.links("web") == {"eth0"}


def test_what_is_gone_is_deleted_already(lab: KernelLab) -> None:
    lab.change(BR0, before=a_bridge())
    lab.change(WEB, before=a_port("web"))
    lab.change(UplinkKey("host", "nic"), before=Uplink(bridge="br0", engine="kernel"))
    lab.change(EntryKey("br0", STATION), before=Entry(port="web.eth0"))
    assert lab.links("host") == set()


def test_what_was_made_and_not_marked_is_made_anew_or_deleted(lab: KernelLab) -> None:
    lab.run("host", "ip", "link", "add", "br0", "address", BRIDGE_MAC, "type", "bridge")
    lab.add_bridge()
    assert lab.link("host", "br0")["ifalias"] == "linkspan:lab:br0"
    lab.run(
        "web", "ip", "link", "add", "eth0", "address", mac_of("web"), "type", "veth",
        "peer", "name", "left",
    )  # fmt: skip
    lab.add_port("web")
    assert lab.links("web") == {"eth0"}
    lab.run("web", "ip", "link", "set", "eth0", "alias", "")
    lab.run("host", "ip", "link", "set", "br0", "alias", "")
    lab.change(WEB, before=a_port("web"))
    lab.change(BR0, before=a_bridge())
    assert lab.links("web") == lab.links("host") == set()


def test_static_entries_say_where_an_address_is(lab: KernelLab) -> None:
    lab.add_bridge()
    lab.add_port("web")
    lab.add_port("db")
    key = EntryKey("br0", STATION)
    at_web, at_db = Entry(port="web.eth0"), Entry(port="db.eth0", sticky=True)
    lab.change(key, after=at_web)
    (entry,) = lab.fdb("host", STATION)
    assert (entry["ifname"], entry["state"], entry["flags"]) == ("web.eth0", "static", [])
    lab.change(key, at_web, at_db)
    (entry,) = lab.fdb("host", STATION)
    assert (entry["ifname"], entry["flags"]) == ("db.eth0", ["sticky"])
    lab.change(key, at_db, Entry(port="db.eth0"))
    (entry,) = lab.fdb("host", STATION)
    assert entry["flags"] == []
    lab.change(key, before=Entry(port="db.eth0"))
    assert lab.fdb("host", STATION) == []


def test_an_entry_of_another_bridge_stays_when_a_port_has_taken_it_there(lab: KernelLab) -> None:
    lab.add_bridge()
    lab.add_bridge("br1")
    before = lab.add_port("web")
    lab.add_port("db")
    left, new = EntryKey("br0", STATION), EntryKey("br1", STATION)
    entry = Entry(port="web.eth0")
    lab.change(left, after=entry)
    lab.change(PortKey("web", "eth0"), before, a_port("web", bridge="br1"))
    lab.change(new, after=entry)
    lab.change(left, entry, Entry(port="db.eth0"))
    places = {(entry["ifname"], entry["master"]) for entry in lab.fdb("host", STATION)}
    assert places == {("web.eth0", "br1"), ("db.eth0", "br0")}


def test_an_entry_at_a_port_that_is_not_there_is_refused(lab: KernelLab) -> None:
    lab.add_bridge()
    for port in ("web.eth0", "nic"):
        with pytest.raises(Refusal, match="is not there any more|no interface nic"):
            lab.change(EntryKey("br0", STATION), after=Entry(port=port))


def test_an_uplink_becomes_a_port_and_nothing_else(lab: KernelLab) -> None:
    for name, peer in (("nic", "lan"), ("nic2", "lan2")):
        lab.run("host", "ip", "link", "add", name, "type", "veth", "peer", "name", peer)
    lab.run("host", "ip", "address", "add", "192.0.2.1/24", "dev", "nic")
    lab.add_bridge("br0")
    lab.add_bridge("br1")
    key = UplinkKey("host", "nic")
    before = lab.link("host", "nic")
    first = Uplink(bridge="br0", engine="kernel", options={"isolated": True})
    lab.change(key, after=first)
    nic = lab.link("host", "nic")
    assert (nic["master"], nic["address"]) == ("br0", before["address"])
    assert nic["linkinfo"]["info_slave_data"]["isolated"]
    assert lab.ip("host", "address", "show", "nic")[0]["addr_info"][0]["local"] == "192.0.2.1"
    second = Uplink(bridge="br1", engine="kernel", options={"cost": 7})
    lab.change(key, first, second)
    nic = lab.link("host", "nic")
    assert (nic["master"], nic["linkinfo"]["info_slave_data"]["cost"]) == ("br1", 7)
    lab.change(EntryKey("br1", STATION), after=Entry(port="nic"))
    assert lab.fdb("host", STATION)[0]["ifname"] == "nic"
    lab.change(key, second, Uplink(bridge="br1", engine="kernel"))
    assert lab.link("host", "nic")["linkinfo"]["info_slave_data"]["cost"] == 2
    lab.change(key, before=second)
    released = lab.link("host", "nic")
    del before["promiscuity"], released["promiscuity"]
    assert released == before


def test_an_uplink_of_somebody_else_is_left_alone(lab: KernelLab) -> None:
    lab.run("host", "ip", "link", "add", "nic", "type", "veth", "peer", "name", "lan")
    lab.run("host", "ip", "link", "add", "theirs", "type", "bridge")
    lab.run("host", "ip", "link", "set", "nic", "master", "theirs")
    lab.add_bridge()
    key, ours = UplinkKey("host", "nic"), Uplink(bridge="br0", engine="kernel")
    with pytest.raises(Refusal, match="nic is a port or a member of another interface"):
        lab.change(key, after=ours)
    with pytest.raises(Refusal, match="nic is not a port of br0 any more"):
        lab.change(key, before=ours)
    assert lab.link("host", "nic")["master"] == "theirs"
    with pytest.raises(Refusal, match="there is no interface nic2 on host"):
        lab.change(UplinkKey("host", "nic2"), after=ours)


def test_frames_go_through(lab: KernelLab) -> None:
    lab.add_bridge()
    lab.up("host", "10.0.0.9/24")
    for number, node in enumerate(("web", "db"), 1):
        lab.add_port(node)
        lab.up(node, f"10.0.0.{number}/24")
    near, far = conversation(lab)
    with near, far:
        say(near, far, b"through")
    wait_until(lambda: any(e["ifname"] == "web.eth0" for e in lab.fdb("host", mac_of("web"))))


def test_a_change_of_another_kind_is_our_own_mistake(lab: KernelLab) -> None:
    with pytest.raises(Bug, match="no kernel bridge can"):
        lab.change(AddressKey("web", "eth0", "10.0.0.1/24"), after=Address())


def test_nothing_is_left_open(lab: KernelLab) -> None:
    lab.add_bridge()
    engine = KernelEngine(lab.site, {}, {})
    engine.settle()
    engine.close()
    assert lab.links("host") == {"br0"}
