"""A wire that is made slow, slower and fast again while connections go through it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.contract.labs import changes
from tests.engine.running_lab import lab, transfer

from linkspan.engine.kernel.lines import set_line
from linkspan.engine.netlink import Netlink
from linkspan.lab.find import Place
from linkspan.lab.observe import observe
from linkspan.plan.difference import CHANGED, DRIFT
from linkspan.sandbox.namespaces import inside

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: enters the lab's nodes")

WIRE = """
nodes: {{a: {{}}, b: {{}}}}
links:
  - kind: veth{limits}
    ends:
      - {{node: a, interface: eth1, address: 10.9.0.1/24}}
      - {{node: b, interface: eth1, address: 10.9.0.2/24}}
"""


def file(bandwidth: str = "") -> str:
    return WIRE.format(limits=f"\n    bandwidth: {bandwidth}" if bandwidth else "")


def test_a_wire_is_slow_in_both_directions_and_connections_stay(tmp_path: Path) -> None:
    with lab(tmp_path, file()) as running:
        near, far = running.connect("a", "b", "10.9.0.2")
        transfer(near, far, 1 << 20)
        assert changes(running, tmp_path, file("4M")) == [
            (f"change eth1 of {node}: bandwidth 4M instead of none", CHANGED) for node in "ab"
        ]
        assert changes(running, tmp_path, file("4M")) == []
        for sender, receiver in ((near, far), (far, near)):
            began = time.monotonic()
            transfer(sender, receiver, 1 << 18)  # half a second, less what may wait on the line
            assert time.monotonic() - began >= 0.2
        ends = [
            each
            for node in observe(Place(running.name)).nodes
            for each in node.interfaces
            if each.peer
        ]
        assert [end.wire for end in ends] == ["-- b:eth1 (4Mbit/s)", "-- a:eth1 (4Mbit/s)"]

        with inside(running.network("a")), Netlink() as netlink:
            set_line(netlink, netlink.index("eth1"), None)
        assert changes(running, tmp_path, file("4M")) == [
            ("change eth1 of a: bandwidth 4M instead of none", DRIFT[0])
        ]
        assert changes(running, tmp_path, file()) == [
            (f"change eth1 of {node}: bandwidth none instead of 4M", CHANGED) for node in "ab"
        ]
        began = time.monotonic()
        transfer(near, far, 1 << 20)
        assert time.monotonic() - began < 2, "4 Mbit/s would take more than two seconds"
