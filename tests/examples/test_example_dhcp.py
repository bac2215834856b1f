"""Three containers that know nothing of each other but their names."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from tests.machine import EXAMPLES, Machine

NODES = ("web", "db", "client")


@pytest.mark.parametrize("engine", ["user", "kernel"])
def test_containers_get_addresses_and_reach_each_other_by_name(
    any_machine: Machine, engine: str
) -> None:
    text = (EXAMPLES / "dhcp.yaml").read_text()
    file = any_machine.file(
        text.replace("  br0:\n", f"  br0:\n    engine: {engine}\n"), "dhcp.yaml"
    )
    any_machine.linkspan("up", file)
    for source, destination in permutations(NODES, 2):
        for version, name in (("-4", destination), ("-6", f"{destination}.lab")):
            any_machine.linkspan("exec", source, "ping", version, "-c1", "-W2", name)
    addresses = any_machine.linkspan("exec", "web", "ip", "-j", "address", "show", "eth0").stdout
    (interface,) = json.loads(addresses)
    assert "192.168.122.10" in [each["local"] for each in interface["addr_info"]]
    any_machine.linkspan("down", file)
