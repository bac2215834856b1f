"""Limited ports of our own switch, and on a kernel without netem. What every engine does with them
is in tests/contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.networks import needs_root
from tests.engine.running_lab import lab, round_trip, transfer
from tests.engine.stations import wait_until

from linkspan.engine.kernel.capabilities import cannot_shape
from linkspan.engine.user.configuration import OFF_BY_FILE
from linkspan.errors import Mistake
from linkspan.lab.find import Place
from linkspan.lab.observe import observe
from linkspan.lab.up import up
from linkspan.model.shaping import Shape

pytestmark = needs_root


def file_of(engine: str) -> str:
    return f"""
bridges: {{br0: {{engine: {engine}}}}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.1/24, delay: 0.05}}}}}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.2/24}}}}}}
"""


@pytest.mark.parametrize("cache", ["auto", "off"])
def test_no_flow_of_a_limited_port_is_kept_and_a_successor_knows_the_limits(
    tmp_path: Path, cache: str
) -> None:
    with lab(tmp_path, file_of(f"user, cache: {cache}")) as running:
        running.quieten("host", "a", "b")
        near, far = running.connect("a", "b", "10.9.0.2")
        transfer(near, far, 1 << 20)
        snapshot = running.snapshot()
        assert snapshot.cache == ("on" if cache == "auto" else OFF_BY_FILE)
        assert snapshot.flows == 0
        running.kill_switch()
        wait_until(lambda: running.starts() == 2, "the switch is back")
        assert round_trip(near, far) >= 0.1
        (port,) = (port for port in running.snapshot().ports if port.name == "a.eth0")
        assert port.shape is not None
        assert port.shape.words == "0.05 s late"


@pytest.mark.skipif(
    cannot_shape([Shape(delay=1.0)]) is None, reason="this kernel can delay what is sent"
)
def test_what_this_kernel_lacks_is_told_before_anything_is_touched(tmp_path: Path) -> None:
    file = tmp_path / "late.yaml"
    file.write_text(f"name: late\n{file_of('kernel')}")
    with pytest.raises(Mistake, match=r"no delay and loss: .* CONFIG_NET_SCH_NETEM"):
        up(file)
    with lab(tmp_path, file_of("auto")) as running:
        assert "no delay and loss" in observe(Place(running.name)).bridges[0].engine_reason
        assert running.snapshot().engine == "user"
