"""Late and lossy wires, for which the kernel at hand may have no netem."""

from __future__ import annotations

from pathlib import Path

from tests.full_kernel.in_process import Lab

from linkspan.lab.find import find_running
from linkspan.lab.probe import ping

WIRE = """
name: wired
nodes: {{a: {{}}, b: {{}}}}
links:
  - kind: veth
{limits}
    ends:
      - {{node: a, interface: eth1, address: 10.0.0.1/24}}
      - {{node: b, interface: eth1, address: 10.0.0.2/24}}
"""


def test_a_wire_is_late_lossy_and_slow_in_both_directions(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WIRE.format(limits="    bandwidth: 10M"))
    lab.change(WIRE.format(limits="    bandwidth: 512k\n    delay: 0.345678\n    loss: 0.0123"))
    for node in ("a", "b"):
        assert "delay 346ms loss 0.0123% rate 512Kbit" in lab.run(node, "tc", "qdisc")
    lab.change(WIRE.format(limits="    delay: 0.25"))
    found = [reach for reach in ping(find_running(None), 5.0) if reach.result == "reached"]
    assert found
    assert all((reach.milliseconds or 0) >= 500 for reach in found)
    assert [
        each.shape.delay for node in lab.show().nodes for each in node.interfaces if each.shape
    ] == [0.25, 0.25]
    lab.change(WIRE.format(limits=""))
    assert "6c7" not in lab.run("a", "tc", "qdisc") + lab.run("b", "tc", "qdisc")
    lab.end()
