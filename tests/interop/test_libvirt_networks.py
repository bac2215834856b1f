"""Networks of libvirt's, read and written: the same network either way, and nothing left unsaid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.errors import Mistake
from linkspan.interop.libvirt import import_network
from linkspan.interop.libvirt_network import write
from linkspan.model.load import loads
from linkspan.model.topology import Bridge, Topology

DEFAULT = b"""\
<network connections='1'>
  <name>default</name>
  <uuid>bd5b0b5f-5c2d-4c2e-8f3b-2f2b3c3d3e3f</uuid>
  <forward mode='nat'>
    <nat>
      <port start='1024' end='65535'/>
    </nat>
  </forward>
  <bridge name='virbr0' stp='on' delay='0'/>
  <mac address='52:54:00:0a:cd:21'/>
  <mtu size='1400'/>
  <domain name='vms' localOnly='yes'/>
  <dns><forwarder addr='192.0.2.53'/><host ip='192.168.122.9'><hostname>nas</hostname></host></dns>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <tftp root='/srv'/>
    <dhcp>
      <range start='192.168.122.2' end='192.168.122.254'><lease expiry='2' unit='hours'/></range>
      <host mac='52:54:00:00:00:07' name='web' ip='192.168.122.10'/>
      <host mac='52:54:00:00:00:08' ip='192.168.122.11'/>
      <bootp file='pxelinux.0'/>
    </dhcp>
  </ip>
  <ip family='ipv6' address='fd00:122::1' prefix='64'/>
</network>
"""
"""What `virsh net-dumpxml default` may print."""


def read(xml: bytes | str) -> tuple[Topology, Bridge, str]:
    imported = import_network(xml if isinstance(xml, bytes) else xml.encode(), "net.xml")
    (bridge,) = imported.topology.bridges.values()
    assert loads(imported.text, "again.yaml") == imported.topology
    return imported.topology, bridge, imported.text


def test_the_default_network_becomes_a_bridge_of_scope_host() -> None:
    _, _, text = read(DEFAULT)
    assert (
        text
        == """\
# A network of libvirt's, as `virsh net-dumpxml` shows it.
# line 1: without words here: <network connections='1'>
# line 3: without words here: <uuid>bd5b0b5f-5c2d-4c2e-8f3b-2f2b3c3d3e3f
# line 6: without words here: <port start='1024' end='65535'>
# line 13: without words here: <host ip='192.168.122.9'>
# line 13: without words here: <hostname>nas
# line 15: without words here: <tftp root='/srv'>
# line 20: without words here: <bootp file='pxelinux.0'>
name: default
scope: host
bridges:
  virbr0:
    engine: kernel
    mac: "52:54:00:0a:cd:21"
    mtu: 1400
    stp: stp
    forward-delay: 2
    address:
      - 192.168.122.1/24
      - "fd00:122::1/64"
    dhcp:
      range: "192.168.122.2-192.168.122.254"
      stations:
        web:
          mac: "52:54:00:00:00:07"
          address: 192.168.122.10
        "52-54-00-00-00-08":
          mac: "52:54:00:00:00:08"
          address: 192.168.122.11
      lease-time: 7200
    forward: nat
    forward-ipv6: routed
    dns:
      domain: vms
      upstream: 192.0.2.53
"""
    )


@pytest.mark.parametrize(
    ("inside", "forward", "said"),
    [
        ("<forward/>", "nat", ""),
        ("<forward mode='route' dev='eth1'/>", "routed", "<forward dev='eth1'>"),
        ("<forward mode='open'/>", "routed", "mode open"),
        ("", "none", ""),
        ("<portgroup name='a' default='yes'/>", "none", "<portgroup name='a' default='yes'>"),
        ("<port isolated='yes'/>", "none", "<port isolated='yes'>"),
        ("<title>a -- title</title>", "none", "<title>a -- title"),
        ("<bandwidth><inbound average='1'/></bandwidth>", "none", "<inbound average='1'>"),
        ("<domain name='Not A Domain'/>", "none", "without domain Not A Domain"),
        ("<dnsmasq:options><dnsmasq:option value='foo'/></dnsmasq:options>", "none", "'foo'"),
    ],
)
def test_modes_are_words_and_what_has_none_is_told(inside: str, forward: str, said: str) -> None:
    xml = f"<network><name>My Net</name>{inside}<ip address='10.0.0.1' prefix='24'/></network>"
    topology, bridge, text = read(xml)
    assert (topology.name, list(topology.bridges)) == ("my-net", ["virbr0"])
    assert bridge.forward is not None
    assert (bridge.forward.value, bridge.address) == (forward, ("10.0.0.1/24",))
    assert said in text
    assert "called My Net" in text


def test_a_network_on_a_bridge_that_is_there_says_nothing_of_it() -> None:
    topology, bridge, text = read(
        "<network><name>lan</name><forward mode='bridge'/><bridge name='br0'/></network>"
    )
    assert (bridge.address, bridge.forward, list(topology.bridges)) == ((), None, ["br0"])
    assert "as it is" in text


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("<ip address='10.1.2.3'/>", "10.1.2.3/8"),
        ("<ip address='172.16.0.1'/>", "172.16.0.1/16"),
        ("<ip address='192.168.1.1'/>", "192.168.1.1/24"),
        ("<ip family='ipv6' address='fd00::1'/>", "fd00::1/64"),
        ("<ip address='10.0.0.1' netmask='255.255.128.0'/>", "10.0.0.1/17"),
    ],
)
def test_an_address_without_a_prefix_has_that_of_its_class(address: str, expected: str) -> None:
    _, bridge, _ = read(f"<network><name>n</name>{address}</network>")
    assert bridge.address == (expected,)


@pytest.mark.parametrize(
    ("xml", "place", "what"),
    [
        ("<domain><name>a</name></domain>", "1:1", "but a <domain>"),
        ("<network/>", "1:1", "has no name"),
        ("<network><name/></network>", "1:10", "has no name"),
        ("<network>\n<name>a</name>\n<forward mode='passthrough'/></network>", "3:1", "no bridge"),
        ("<network><name>a</name><forward mode='bridge'/></network>", "1:24", "network card"),
        ("<network><name>a</name><forward mode='x'/></network>", "1:24", "no forward mode x"),
        ("<network><name>a</name><ip address='10.0.0.300'/></network>", "1:24", "<ip>"),
        ("<network><name>a</name><mtu size='big'/></network>", "1:24", "size is no number"),
        (
            "<network><name>a</name><forward mode='bridge'/><bridge name='b'/>"
            "<virtualport type='openvswitch'/></network>",
            "1:66",
            "Open vSwitch",
        ),
    ],
)
def test_what_is_no_network_with_a_bridge_is_refused(xml: str, place: str, what: str) -> None:
    with pytest.raises(Mistake) as error:
        read(xml)
    assert str(error.value).startswith(f"net.xml:{place}: ")
    assert what in str(error.value)
    assert all(fault.expected and fault.next_step for fault in error.value.faults)


LAB = """
name: lab
bridges:
  br0:
    stp: stp
    forward-delay: 4
    mtu: 1400
    address: [10.0.0.1/24, "fd00::1/64", 10.1.0.1/24]
    forward: nat
    publish: ["8080:web:80"]
    ageing-time: 60
    dhcp:
      range: [10.0.0.2-10.0.0.99, 10.1.0.2-10.1.0.9, "fd00::100-fd00::1ff"]
      hosts: {web: [10.0.0.100, "fd00::9"]}
      stations: {guest: {mac: "52:54:00:00:00:07", address: 10.0.0.101}}
      lease-time: 600
      gateway: none
    dns: {domain: vms, upstream: 192.0.2.53}
nodes:
  web: {ports: {eth0: {bridge: br0, address: dhcp, mac: "02:00:00:00:00:01"}}}
  db: {ports: {eth0: {bridge: br0, address: [10.0.0.5/24, "fd00::5/64"]}}}
"""


def test_a_bridge_becomes_a_network_with_comments_for_the_rest() -> None:
    topology = loads(LAB, "lab.yaml")
    text = write(topology, "br0")
    assert text.startswith('<network>\n  <name>lab</name>\n  <forward mode="nat">')
    assert '<host ip="10.0.0.5">\n      <hostname>db</hostname>' in text
    for remark in (
        *("web, db", "ageing-time", "8080:web:80", "gateway none"),
        *("one network a family; not 10.1.0.2-10.1.0.9", "IPv6; not fd00::9"),
    ):
        assert any(remark in line for line in text.splitlines() if "<!--" in line), remark
    _, bridge, _ = read(text)
    before = topology.bridges["br0"]
    assert bridge.dhcp is not None
    assert bridge.dhcp.leases == ("10.0.0.100", "10.0.0.101")
    assert bridge.dhcp.range == ("10.0.0.2-10.0.0.99", "fd00::100-fd00::1ff")
    assert bridge.dhcp.stations["web"].mac == "02:00:00:00:00:01"
    for field in ("stp", "forward_delay", "mtu", "address", "forward", "dns"):
        assert getattr(bridge, field) == getattr(before, field), field


def test_a_bridge_of_scope_host_is_used_as_it_is() -> None:
    topology = loads("name: lab\nscope: host\nbridges: {br0: {address: 10.0.0.1/24}, br1: {}}", "-")
    assert write(topology, "br0") == (
        '<network>\n  <name>lab-br0</name>\n  <forward mode="bridge" />\n'
        '  <bridge name="br0" />\n</network>\n'
    )


NUMBERS = st.integers(1, 120)


@given(
    third=st.integers(0, 255),
    forward=st.sampled_from(["none", "nat", "routed"]),
    mtu=st.integers(1280, 9000),
    dhcp=st.none() | st.tuples(NUMBERS, NUMBERS, st.integers(120, 86400)),
    has_names=st.booleans(),
    has_ipv6=st.booleans(),
    has_ipv6_range=st.booleans(),
)
def test_written_and_read_again_it_is_the_same_network(
    third: int,
    forward: str,
    mtu: int,
    dhcp: tuple[int, int, int] | None,
    has_names: bool,
    has_ipv6: bool,
    has_ipv6_range: bool,
) -> None:
    network = f"10.0.{third}"
    addresses = [f"{network}.1/24", *(["fd00::1/64"] if has_ipv6 else [])]
    bridge: dict[str, object] = {"address": addresses, "forward": forward, "mtu": mtu}
    if dhcp is not None:
        first, more, lease = dhcp
        ranges = [f"{network}.{first + 1}-{network}.{first + more + 1}"]
        ranges += ["fd00::100-fd00::1ff"] if has_ipv6 and has_ipv6_range else []
        bridge["dhcp"] = {"range": ranges, "lease-time": lease}
    elif has_ipv6:
        bridge["dhcp"] = {}
    if has_names:
        bridge["dns"] = {"domain": "vms"}
    before = loads(repr({"name": "lab", "bridges": {"br0": bridge}}).replace("'", '"'), "-")
    after = import_network(write(before, "br0").encode(), "net.xml").topology
    for field in ("address", "forward", "mtu", "dhcp", "dns", "stp", "forward_delay"):
        assert getattr(after.bridges["br0"], field) == getattr(before.bridges["br0"], field), field
