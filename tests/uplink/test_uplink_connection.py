"""Nobody's connection is lost while the machine's only card becomes an uplink, and none after."""

from __future__ import annotations

import json
import time

import pytest
from tests.machine import wait_until
from tests.uplink.lan import GATEWAY, HOST, HOST6, HOST_MAC, Lan, ip, run

ENGINES = {
    "kernel": "engine: kernel",
    "user": "engine: user",
    "user-without-cache": "engine: user, cache: off",
}


def office(lan: Lan, engine: str) -> str:
    """A file with the card as uplink, and a container beside the host on the LAN."""
    text = f"""
name: office
scope: host
bridges:
  br0: {{{ENGINES[engine]}, uplink: eth0}}
nodes:
  web: {{gateway: {GATEWAY}, ports: {{eth0: {{bridge: br0, address: 10.9.0.5/24}}}}}}
"""
    return str(lan.machine.file(text, "office.yaml"))


@pytest.mark.parametrize("engine", ENGINES)
def test_sessions_go_on_through_take_over_confirm_and_release(on_lan: Lan, engine: str) -> None:
    sessions = on_lan.sessions()
    said = on_lan.machine.linkspan("up", office(on_lan, engine)).stdout
    assert f"{HOST}/24" in said
    assert "linkspan confirm office" in said
    for session in sessions:
        session.check()
    web = on_lan.container("web")
    sessions.append(on_lan.connect(on_lan.client, "10.9.0.5", server=web))
    assert on_lan.who_has(HOST) == [HOST_MAC]
    assert on_lan.who_has(HOST6) == [HOST_MAC]
    on_lan.machine.linkspan("confirm")
    for session in sessions:
        session.check()
    assert on_lan.machine.linkspan("plan", office(on_lan, engine), "--check").returncode == 0
    container = sessions.pop()
    container.close()
    on_lan.machine.linkspan("down", "office")
    on_lan.assert_as_before()
    for session in sessions:
        session.check()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_without_the_uplink_releases_it_and_keeps_the_rest(on_lan: Lan, engine: str) -> None:
    sessions = on_lan.sessions()
    path = office(on_lan, engine)
    on_lan.machine.linkspan("up", path)
    on_lan.machine.linkspan("confirm")
    text = on_lan.machine.folder.joinpath("office.yaml").read_text()
    on_lan.machine.linkspan("up", on_lan.machine.file(text.replace(", uplink: eth0", ""), "b.yaml"))
    for session in sessions:
        session.check()
    links = json.loads(ip(on_lan.host, "-j addr"))
    card = next(link for link in links if link["ifname"] == "eth0")
    assert "master" not in card
    assert HOST in [each["local"] for each in card["addr_info"]]
    assert any(link["ifname"] == "br0" for link in links)
    assert on_lan.machine.linkspan("plan", "b.yaml").stdout.startswith("nothing to do")
    on_lan.machine.linkspan("down", "office")


def test_the_neighbours_are_told(on_lan: Lan) -> None:
    heard = on_lan.listen_for_announcements()
    on_lan.machine.linkspan("uplink", "br0", "eth0")
    frames = []
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            frames.append(heard.recv(2048))
        except TimeoutError:
            break
    own = bytes([10, 9, 0, 2])
    told = [frame for frame in frames if frame[12:14] == b"\x08\x06" and frame[28:32] == own]
    assert any(frame[38:42] == own for frame in told)
    assert any(frame[54:55] == b"\x88" for frame in frames), "no neighbour advertisement"
    on_lan.machine.linkspan("recover")


def test_without_a_file_a_lab_comes_and_goes_with_the_uplink(on_lan: Lan) -> None:
    sessions = on_lan.sessions()
    said = on_lan.machine.linkspan("uplink", "br0", "eth0", "--confirm-within", "50").stdout
    assert "br0 has 10.9.0.2/24" in said
    assert f"{GATEWAY} answers" in said
    assert "uplink: eth0" in said
    on_lan.machine.linkspan("confirm", "br0")
    again = on_lan.machine.linkspan("uplink", "br0", "eth0").stdout
    assert "nothing changed" in again
    on_lan.machine.linkspan("uplink", "--release", "br0")
    on_lan.assert_as_before()
    for session in sessions:
        session.check()


def test_what_the_stack_was_told_of_the_card_is_told_of_the_bridge(on_lan: Lan) -> None:
    told = {"net.ipv4.conf.eth0.rp_filter": "2", "net.ipv6.conf.eth0.accept_ra": "0"}
    for name, value in told.items():
        run(on_lan.host, "sysctl", "-qw", f"{name}={value}")
    on_lan.before = on_lan.look()
    on_lan.machine.linkspan("uplink", "br0", "eth0")
    for name, value in told.items():
        moved = name.replace("eth0", "br0")
        assert run(on_lan.host, "sysctl", "-n", moved).strip() == value
    on_lan.machine.linkspan("recover")


def test_lifetimes_go_on(on_lan: Lan) -> None:
    ip(on_lan.host, "addr add 10.9.0.44/24 dev eth0 valid_lft 900 preferred_lft 600")
    on_lan.before = on_lan.look()
    on_lan.machine.linkspan("uplink", "br0", "eth0")
    on_lan.machine.linkspan("confirm")
    (link,) = json.loads(ip(on_lan.host, "-j addr show br0"))
    (moved,) = [each for each in link["addr_info"] if each.get("local") == "10.9.0.44"]
    assert 600 < moved["valid_life_time"] <= 900
    assert 300 < moved["preferred_life_time"] <= 600
    on_lan.machine.linkspan("uplink", "--release", "br0")


def test_a_router_s_address_is_asked_for_again(on_lan: Lan) -> None:
    scapy = pytest.importorskip("scapy.all")
    advertisement = (
        scapy.Ether(dst="33:33:00:00:00:01")
        / scapy.IPv6(src="fe80::1", dst="ff02::1", hlim=255)
        / scapy.ICMPv6ND_RA(routerlifetime=1800)
        / scapy.ICMPv6NDOptPrefixInfo(prefix="2001:db8:9::", prefixlen=64)
    )
    own = "2001:db8:9:0:5054:ff:fe09:2"

    def advertise_until(interface: str) -> None:
        def has_it() -> bool:
            on_lan.send_from_gateway(bytes(advertisement))
            return own in ip(on_lan.host, f"-6 addr show dev {interface} -tentative")

        wait_until(has_it)

    advertise_until("eth0")
    on_lan.machine.linkspan("uplink", "br0", "eth0")
    advertise_until("br0")
    assert own not in ip(on_lan.host, "-6 addr show dev eth0")
    on_lan.machine.linkspan("recover")
    advertise_until("eth0")
    ip(on_lan.host, "-6 addr flush dev eth0 dynamic", "-6 route flush dev eth0 proto ra")
    ip(on_lan.host, "-6 route del 2001:db8:9::/64 dev eth0")
