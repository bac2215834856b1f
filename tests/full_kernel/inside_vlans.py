"""Options of bridges that a kernel without VLAN filtering can only refuse."""

from __future__ import annotations

import json
from pathlib import Path

from tests.full_kernel.in_process import Lab

LAB = """
name: vlans
bridges:
  br0: {{engine: kernel, vlan-filtering: true, {options}}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.0.0.1/24}}}}}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.0.0.2/24, neighbour-suppress: true}}}}}}
"""
FIRST = "vlan-default-pvid: 7, vlan-stats-enabled: true, vlan-protocol: 802.1ad"
SECOND = "vlan-default-pvid: 9"


def test_options_of_vlan_filtering_are_set_read_and_changed(tmp_path: Path) -> None:
    lab = Lab(tmp_path, LAB.format(options=FIRST))
    link = json.loads(lab.run("host", "ip", "-j", "-d", "link", "show", "br0"))
    found = link[0]["linkinfo"]["info_data"]
    assert (found["vlan_filtering"], found["vlan_default_pvid"]) == (1, 7)
    assert (found["vlan_protocol"], found["vlan_stats_enabled"]) == ("802.1ad", 1)
    lab.wait_for_reach(("a", "10.0.0.2"), ("b", "10.0.0.1"))

    lab.change(LAB.format(options=SECOND))
    said = json.loads(lab.run("host", "bridge", "-j", "vlan", "show"))
    assert {vlan["vlan"] for port in said for vlan in port["vlans"]} == {9}
    lab.end()
