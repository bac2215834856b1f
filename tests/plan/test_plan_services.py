"""The configurations that a file becomes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.dhcp import Span, ipv6_block, size, without
from linkspan.model.load import loads
from linkspan.model.state import Service, ServiceKey
from linkspan.plan.desired import desired

LAB = """
name: lab
bridges:
  br0:
    engine: user
    address: [10.0.0.1/24, "fd00::1/64"]
    mtu: 1400
    dhcp: {range: 10.0.0.2-10.0.0.9, hosts: {web: 10.0.0.20}, lease-time: 600, gateway: none}
    dns: {domain: lab, upstream: 192.0.2.53}
  br1: {engine: user, address: 10.1.0.1/24, dns: {}}
nodes:
  web: {ports: {eth0: {bridge: br0, address: dhcp, mac: "02:00:00:00:00:01"}}}
  vm: {ports: {eth0: {bridge: br0, mac: "02:00:00:00:00:02"}}}
  db: {ports: {eth0: {bridge: br0, address: [10.0.0.5/24, "fd00::1005/64"]}}}
  far: {ports: {eth0: {bridge: br1, address: dhcp, mac: "02:00:00:00:00:03"}}}
"""

IPV4 = st.integers(0, 60).map(lambda number: IPv4Address(0x0A000000 + number))


def services(text: str) -> dict[str, Service]:
    found = {}
    for key, value in desired(loads(text, "lab.yaml")).items():
        if isinstance(key, ServiceKey) and isinstance(value, Service):
            found[f"{key.program} {key.node} {key.interface}"] = value
    return found


def test_a_bridge_becomes_a_configuration_of_dnsmasq() -> None:
    assert services(LAB)["dnsmasq host br0"].text.splitlines() == [
        "interface=br0",
        "bind-dynamic",
        "except-interface=lo",
        "no-hosts",
        "no-ping",
        "domain=lab",
        "local=/lab/",
        "domain-needed",
        "bogus-priv",
        "localise-queries",
        "no-resolv",
        "server=192.0.2.53",
        "host-record=host.lab,host,10.0.0.1",
        "host-record=host.lab,host,fd00::1",
        "host-record=host.lab,host,10.1.0.1",
        "host-record=db.lab,db,10.0.0.5",
        "host-record=db.lab,db,fd00::1005",
        "dhcp-authoritative",
        "dhcp-range=10.0.0.2,10.0.0.4,255.255.255.0,600",
        "dhcp-range=10.0.0.6,10.0.0.9,255.255.255.0,600",
        "dhcp-range=fd00::2000,fd00::2fff,slaac,64,600",
        "dhcp-host=02:00:00:00:00:01,10.0.0.20,web",
        "dhcp-host=02:00:00:00:00:02,vm",
        "dhcp-option=option:router",
        "dhcp-option=option:mtu,1400",
        "enable-ra",
        "ra-param=br0,mtu:1400,600,0",
    ]
    assert "dhcp" not in services(LAB)["dnsmasq host br1"].text


def test_ports_that_ask_have_a_client_each_and_no_other_has() -> None:
    found = services(LAB)
    assert {name for name in found if name.startswith("dhcpcd")} == {
        "dhcpcd web eth0",
        "dhcpcd far eth0",
    }
    assert found["dhcpcd web eth0"].awaits == ("10.0.0.20", "ipv6")
    assert "request 10.0.0.20" in found["dhcpcd web eth0"].text.splitlines()
    assert found["dhcpcd far eth0"].awaits == ("ipv4",)


def test_ranges_and_fixed_leases_of_ipv6_stand_beside_those_of_ipv4() -> None:
    text = LAB.replace("10.0.0.2-10.0.0.9", '["fd00::1000-fd00::1010", 10.0.0.2-10.0.0.9]')
    found = services(text.replace("web: 10.0.0.20", 'web: ["fd00::20", 10.0.0.20], vm: "fd00::21"'))
    lines = found["dnsmasq host br0"].text.splitlines()
    assert [line for line in lines if line.startswith("dhcp-range=fd00")] == [
        "dhcp-range=fd00::1000,fd00::1004,slaac,64,600",
        "dhcp-range=fd00::1006,fd00::1010,slaac,64,600",
    ]
    assert "dhcp-host=02:00:00:00:00:01,[fd00::20],10.0.0.20,web" in lines
    assert "dhcp-host=02:00:00:00:00:02,[fd00::21],vm" in lines
    assert found["dhcpcd web eth0"].awaits == ("10.0.0.20", "fd00::20")


def test_another_range_has_clients_ask_anew_and_another_lease_time_does_not() -> None:
    before = services(LAB)["dhcpcd web eth0"]
    assert services(LAB.replace("10.0.0.9", "10.0.0.8"))["dhcpcd web eth0"] != before
    assert services(LAB.replace("600", "700"))["dhcpcd web eth0"] == before


def test_a_network_that_leads_nowhere_is_told_of_no_router() -> None:
    def lines(forward: str) -> list[str]:
        text = LAB.replace(", gateway: none", "").replace("mtu: 1400", f"mtu: 1400\n    {forward}")
        return services(text)["dnsmasq host br0"].text.splitlines()

    assert "dhcp-option=option:router" in lines("forward: none")
    assert lines("forward: none")[-1] == "ra-param=br0,mtu:1400,600,0"
    for forward in ("forward: nat", "stp: off"):
        assert not any("option:router" in line for line in lines(forward))
        assert lines(forward)[-1] == "ra-param=br0,mtu:1400,600,1800"


def test_a_bridge_may_have_fixed_leases_and_nothing_else() -> None:
    text = LAB.replace("range: 10.0.0.2-10.0.0.9, ", "")
    lines = services(text)["dnsmasq host br0"].text.splitlines()
    assert "dhcp-range=10.0.0.0,static,255.255.255.0,600" in lines


def test_in_scope_host_the_name_servers_of_the_machine_are_asked() -> None:
    text = LAB.replace(", upstream: 192.0.2.53", "").replace("engine: user", "engine: kernel")
    assert "no-resolv" in services(text)["dnsmasq host br0"].text
    assert "no-resolv" not in services(text + "scope: host\n")["dnsmasq host br0"].text


@given(st.lists(st.tuples(IPV4, IPV4).map(sorted), max_size=1), st.sets(IPV4))
def test_what_is_taken_is_left_out_and_nothing_else(
    spans: list[list[IPv4Address]], taken: set[IPv4Address]
) -> None:
    ranges: list[Span] = [(first, last) for first, last in spans]
    left = list(without(ranges, taken))
    wanted = {
        IPv4Address(each)
        for first, last in ranges
        for each in range(int(first), int(last) + 1)
        if IPv4Address(each) not in taken
    }
    assert {
        IPv4Address(each) for first, last in left for each in range(int(first), int(last) + 1)
    } == wanted
    assert size(left) == len(wanted)


@given(st.sets(st.integers(1, 0x8000)))
def test_a_block_of_ipv6_holds_no_address_of_the_file(numbers: set[int]) -> None:
    network = IPv6Network("fd00::/64")
    taken = {network[number] for number in numbers}
    first, last = ipv6_block(network, taken)
    assert network[0] < first < last
    assert not any(first <= IPv6Address(address) <= last for address in taken)


def test_whoever_is_no_node_has_its_fixed_lease_by_its_mac() -> None:
    text = (
        "name: lab\nbridges: {br0: {engine: user, address: 10.0.0.1/24, dhcp: {stations: "
        '{guest: {mac: "52:54:00:00:00:07", address: 10.0.0.9}}}}}'
    )
    lines = services(text)["dnsmasq host br0"].text.splitlines()
    assert "dhcp-range=10.0.0.0,static,255.255.255.0,3600" in lines
    assert "dhcp-host=52:54:00:00:00:07,10.0.0.9,guest" in lines
