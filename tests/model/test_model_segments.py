"""Bridges that tunnels make one network of."""

from __future__ import annotations

import pytest

from linkspan.model.load import loads
from linkspan.model.offers import dynamic
from linkspan.model.segments import lender, segment
from linkspan.model.topology import Topology

LAB = """
name: lab
bridges:
  lan:
  br1: {{node: h1, address: 10.7.0.1/24, dhcp: {{range: 10.7.0.10-10.7.0.20}}}}
  br2: {{node: h2}}
  br3: {{node: h3}}
  other: {{node: h1}}
nodes:
  h1: {{kind: host, ports: {{eth0: {{bridge: lan, address: 192.0.2.1/24}}}}}}
  h2: {{kind: host, ports: {{eth0: {{bridge: lan, address: 192.0.2.2/24}}}}}}
  h3: {{kind: host, ports: {{eth0: {{bridge: lan, address: 192.0.2.3/24}}}}}}
  b: {{ports: {{eth0: {{bridge: br2, address: 10.7.0.12/24}}}}}}
links:
  - {{kind: vxlan, bridge: other, vni: 11, remote: 192.0.2.2}}
{links}
"""


def lab(*links: str) -> Topology:
    lines = (f"  - {{kind: vxlan, {link}}}" for link in links)
    return loads(LAB.format(links="\n".join(lines)), "lab.yaml")


@pytest.mark.parametrize(
    "links",
    [
        (
            "bridge: br1, vni: 10, remote: 192.0.2.2",
            "bridge: br2, vni: 10, remote: [192.0.2.1, 192.0.2.3]",
            "bridge: br3, vni: 10, remote: 192.0.2.2",
        ),
        tuple(
            f"bridge: br{number}, vni: 10, group: 239.1.1.1, interface: eth0"
            for number in (1, 2, 3)
        ),
    ],
)
def test_parts_of_a_stretched_bridge_are_one_network(links: tuple[str, ...]) -> None:
    topology = lab(*links)
    for bridge in ("br1", "br2", "br3"):
        joined = segment(topology, bridge)
        assert joined[0] == bridge
        assert set(joined) == {"br1", "br2", "br3"}
        assert lender(topology, joined) == "br1"
    assert segment(topology, "other") == ("other",)
    spans = [(str(first), str(last)) for first, last in dynamic(topology, "br1")]
    assert spans == [("10.7.0.10", "10.7.0.11"), ("10.7.0.13", "10.7.0.20")]


def test_tunnels_of_other_segments_and_ports_join_nothing() -> None:
    topology = lab(
        "bridge: br1, vni: 10, remote: 192.0.2.2",
        "bridge: br2, vni: 12, remote: 192.0.2.1",
        "bridge: br3, vni: 10, port: 4790, remote: 192.0.2.1",
    )
    assert segment(topology, "br1") == ("br1",)
    assert lender(topology, segment(topology, "br3")) == "br3"
    assert len(dynamic(topology, "br1")) == 1
