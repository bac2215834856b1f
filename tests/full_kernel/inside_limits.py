"""Late and lossy ports of a kernel's bridge, for which the kernel at hand may have no netem."""

from __future__ import annotations

from pathlib import Path

from tests.full_kernel.in_process import Lab

from linkspan.lab.find import find_running
from linkspan.lab.probe import ping

LAB = """
name: slow
bridges: {{br0: {{engine: kernel}}}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.0.0.1/24{limits}}}}}}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.0.0.2/24}}}}}}
"""


def test_limits_change_from_one_discipline_to_the_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path, LAB.format(limits=", bandwidth: 10M"))
    assert "qdisc tbf 6c73:" in lab.run("a", "tc", "qdisc", "show", "dev", "eth0")
    lab.change(LAB.format(limits=", bandwidth: 512k, delay: 0.345678, loss: 0.0123"))
    assert "delay 346ms loss 0.0123% rate 512Kbit" in lab.run("a", "tc", "qdisc")
    lab.change(LAB.format(limits=", delay: 0.25"))
    found = [reach for reach in ping(find_running(None), 5.0) if reach.result == "reached"]
    assert found
    assert all((reach.milliseconds or 0) >= 500 for reach in found)
    assert [port.shape.delay for port in lab.show().bridges[0].ports if port.shape] == [0.25]
    lab.change(LAB.format(limits=", bandwidth: 20M"))
    lab.change(LAB.format(limits=""))
    assert "6c7" not in lab.run("a", "tc", "qdisc") + lab.run("host", "tc", "qdisc")
    lab.end()
