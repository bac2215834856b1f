"""The MTU of a bridge that is stretched over several hosts."""

from __future__ import annotations

import pytest

from linkspan.model.load import loads
from linkspan.model.topology import dump

LAB = """
name: lab
bridges:
  lan: {{mtu: {lan}}}
  br1: {{node: h1{said}}}
  other: {{node: h1}}
nodes:
  h1: {{kind: host, ports: {{eth0: {{bridge: lan, address: [192.0.2.1/24, "fd00::1/64"]}}}}}}
  h2: {{kind: host, ports: {{eth0: {{bridge: lan, address: [192.0.2.2/24, "fd00::2/64"]}}}}}}
links:
  - {{kind: wireguard, node: h1, address: 10.0.0.1/24, listen: 1, peers: [{{peer: h2}}]}}
  - {{kind: wireguard, node: h2, address: 10.0.0.2/24, listen: 1, peers: [{{peer: h1}}]}}
  - {{kind: vxlan, bridge: br1, vni: 10, {way}}}
"""


def mtu(way: str, lan: int = 1500, said: str = "") -> int:
    topology = loads(LAB.format(lan=lan, said=said, way=way), "lab.yaml")
    assert topology.bridges["other"].mtu == 1500
    assert loads(dump(topology), "lab.yaml") == topology
    return topology.bridges["br1"].mtu


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("remote: 192.0.2.2", 1450),
        ('remote: "fd00::2"', 1430),
        ("group: 239.1.1.1, interface: eth0", 1450),
        ("remote: 10.0.0.2", 1370),
        ("remote: [192.0.2.2, 10.0.0.2]", 1370),
        ("remote: 198.51.100.7", 1450),
    ],
)
def test_it_is_what_fits_through_every_tunnel(way: str, expected: int) -> None:
    assert mtu(way) == expected


def test_a_larger_underlay_makes_it_no_larger_than_usual() -> None:
    assert mtu("remote: 192.0.2.2", lan=9000) == 1500
    assert mtu("remote: 192.0.2.2", lan=1520) == 1470


def test_what_the_file_says_stays() -> None:
    assert mtu("remote: 192.0.2.2", said=", mtu: 1400") == 1400
    assert mtu("remote: 192.0.2.2", lan=9000, said=", mtu: 8000") == 8000


def test_a_bridge_stretched_over_a_stretched_bridge() -> None:
    text = LAB.format(lan=1500, said=", address: 10.9.0.1/24", way="remote: 192.0.2.2")
    text += "  - {kind: vxlan, bridge: other, vni: 11, remote: 10.9.0.2}\n"
    topology = loads(text, "lab.yaml")
    assert {name: bridge.mtu for name, bridge in topology.bridges.items()} == {
        "lan": 1500,
        "br1": 1450,
        "other": 1400,
    }
