"""Bridges that tunnels make one network of."""

from __future__ import annotations

import pytest

from linkspan.errors import Mistake
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


def lab_text(*links: str) -> str:
    return LAB.format(links="\n".join(f"  - {{kind: vxlan, {link}}}" for link in links))


def lab(*links: str) -> Topology:
    return loads(lab_text(*links), "lab.yaml")


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


def test_an_address_is_there_once_on_all_parts_of_a_network() -> None:
    links = (
        "bridge: br1, vni: 10, remote: 192.0.2.2",
        "bridge: br2, vni: 10, remote: 192.0.2.1",
    )
    with pytest.raises(Mistake, match="node b, port eth0: 10.7.0.1 is on bridge br1 already"):
        loads(lab_text(*links).replace("10.7.0.12", "10.7.0.1"), "lab.yaml")
    assert loads(lab_text().replace("10.7.0.12", "10.7.0.1"), "lab.yaml")
    everywhere = lab_text(*links).replace("br2: {node: h2", "br2: {node: h2, address: 10.7.0.1/24")
    assert loads(everywhere, "lab.yaml")
    twice = lab_text().replace("address: 10.7.0.1/24", "address: [10.7.0.1/24, 10.7.0.1/25]")
    with pytest.raises(Mistake, match="bridge br1: 10.7.0.1 is on bridge br1 already"):
        loads(twice, "lab.yaml")


def test_tunnels_of_other_segments_and_ports_join_nothing() -> None:
    topology = lab(
        "bridge: br1, vni: 10, remote: 192.0.2.2",
        "bridge: br2, vni: 12, remote: 192.0.2.1",
        "bridge: br3, vni: 10, port: 4790, remote: 192.0.2.1",
    )
    assert segment(topology, "br1") == ("br1",)
    assert lender(topology, segment(topology, "br3")) == "br3"
    assert len(dynamic(topology, "br1")) == 1
