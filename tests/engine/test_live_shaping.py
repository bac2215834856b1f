"""Limits of ports come, change and go by `up`, while connections stay; and hold after a kill."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import msgspec
import pytest
from tests.engine.networks import needs_root
from tests.engine.running_lab import RunningLab, lab, transfer
from tests.engine.stations import wait_until

from linkspan.engine.kernel.capabilities import cannot_shape
from linkspan.engine.netlink import Netlink
from linkspan.engine.queueing import drop_shapes, read_shapes
from linkspan.engine.reading.dump import Dumps
from linkspan.errors import Mistake
from linkspan.lab.find import Place
from linkspan.lab.observe import observe
from linkspan.lab.up import up
from linkspan.model.shaping import Shape
from linkspan.plan.difference import CHANGED, DECLARED, DRIFT, REMOVED
from linkspan.sandbox.namespaces import inside

pytestmark = needs_root
both_caches = pytest.mark.parametrize("cache", ["auto", "off"])


def file_of(cache: str, limits: str = "", engine: str = "user") -> str:
    own = f", cache: {cache}" if engine == "user" else ""
    return f"""
bridges: {{br0: {{engine: {engine}{own}}}}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.1/24{limits}}}}}}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.2/24}}}}}}
"""


def changes(running: RunningLab, tmp_path: Path, text: str) -> list[tuple[str, str]]:
    """What `up` with another file does, and why."""
    file = tmp_path / f"{running.name}.yaml"
    file.write_text(f"name: {running.name}\n{text}")
    return [(change.explain(), change.reason) for change in up(file).plan]


def round_trip(near: socket.socket, far: socket.socket) -> float:
    """The shortest of some, in seconds."""
    took = []
    for _ in range(5):
        began = time.monotonic()
        near.sendall(b"?")
        far.sendall(far.recv(1))
        assert near.recv(1) == b"?"
        took.append(time.monotonic() - began)
    return min(took)


@both_caches
def test_limits_come_change_and_go_and_connections_stay(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(cache)) as running:
        near, far = running.connect("a", "b", "10.9.0.2")
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transfer(near, far, 1 << 20)
        late = file_of(cache, ", delay: 0.05")
        assert changes(running, tmp_path, late) == [("limit eth0 of a: 0.05 s late", DECLARED)]
        assert changes(running, tmp_path, late) == []
        assert round_trip(near, far) >= 0.1

        running.kill_switch()
        wait_until(lambda: running.starts() == 2, "the switch is back")
        assert round_trip(near, far) >= 0.1

        slow = file_of(cache, ", delay: 0.02, bandwidth: 4M")
        assert changes(running, tmp_path, slow) == [
            (
                "change the limits of eth0 of a: bandwidth 4M instead of none; "
                "delay 0.02 instead of 0.05",
                CHANGED,
            )
        ]
        began = time.monotonic()
        transfer(near, far, 1 << 18)
        # 2.6 Mbit, of which 128 KiB may wait on the line when the last of it is sent.
        assert time.monotonic() - began >= 0.3
        (port,) = (port for port in running.snapshot().ports if port.name == "a.eth0")
        assert port.shape is not None
        assert port.shape.words == "4Mbit/s, 0.02 s late"

        running.call("shape", port="a.eth0", shape=None)
        assert changes(running, tmp_path, slow) == [
            ("limit eth0 of a: 4Mbit/s, 0.02 s late", DRIFT[1])
        ]
        assert changes(running, tmp_path, file_of(cache)) == [
            ("lift the limits of eth0 of a", REMOVED)
        ]
        assert round_trip(near, far) < 0.04
        transfer(near, far, 1 << 20)
        assert running.starts() == 2


def test_the_kernel_keeps_no_flow_of_a_limited_port(tmp_path: Path) -> None:
    with lab(tmp_path, file_of("auto", ", delay: 0.001")) as running:
        running.quieten("host", "a", "b")
        near, far = running.connect("a", "b", "10.9.0.2")
        transfer(near, far, 1 << 20)
        snapshot = running.snapshot()
        assert snapshot.cache == "on"
        assert snapshot.flows == 0


def test_the_kernels_bridge_limits_both_directions_and_connections_stay(tmp_path: Path) -> None:
    with lab(tmp_path, file_of("", engine="kernel")) as running:
        near, far = running.connect("a", "b", "10.9.0.2")
        slow = file_of("", ", bandwidth: 4M", "kernel")
        assert changes(running, tmp_path, slow) == [("limit eth0 of a: 4Mbit/s", DECLARED)]
        assert changes(running, tmp_path, slow) == []
        for one, other in ((near, far), (far, near)):
            began = time.monotonic()
            transfer(one, other, 1 << 18)
            # 2.6 Mbit, less what may wait on the line and what may be sent at once.
            assert time.monotonic() - began >= 0.2
        shown = json.dumps(msgspec.to_builtins(observe(Place(running.name)).bridges))
        assert '"shape": {"bandwidth": "4M"' in shown

        with inside(running.network("a")), Netlink() as netlink:
            netlink.run(drop_shapes(netlink.index("eth0"))[:1])
        ((what, why),) = changes(running, tmp_path, slow)
        assert (what, why) == (
            "change the limits of eth0 of a: bandwidth 4M instead of none",
            DRIFT[0],
        )
        assert changes(running, tmp_path, file_of("", engine="kernel")) == [
            ("lift the limits of eth0 of a", REMOVED)
        ]
        with inside(running.network("a")), Dumps() as dumps:
            assert read_shapes(dumps) == {}
        transfer(near, far, 1 << 20)


@pytest.mark.skipif(
    cannot_shape([Shape(delay=1.0)]) is None, reason="this kernel can delay what is sent"
)
def test_what_this_kernel_lacks_is_told_before_anything_is_touched(tmp_path: Path) -> None:
    file = tmp_path / "late.yaml"
    file.write_text(f"name: late\n{file_of('', ', delay: 0.05', 'kernel')}")
    with pytest.raises(Mistake, match=r"no delay and loss: .* CONFIG_NET_SCH_NETEM"):
        up(file)
    with lab(tmp_path, file_of("", ", delay: 0.05", "auto")) as running:
        assert "no delay and loss" in observe(Place(running.name)).bridges[0].engine_reason
        assert running.snapshot().engine == "user"


MOVING = """
bridges:
  br0: {{engine: {engine}}}
  br1: {{engine: {engine}, node: other}}
nodes:
  other: {{kind: host}}
  a: {{ports: {{eth0: {{bridge: {bridge}, address: 10.9.0.1/24, {limits}}}}}}}
  b: {{ports: {{eth0: {{bridge: {bridge}, address: 10.9.0.2/24}}}}}}
"""


@pytest.mark.parametrize(
    ("engine", "limits"), [("user", "delay: 0.05"), ("kernel", "bandwidth: 4M")]
)
def test_limits_move_with_the_port(tmp_path: Path, engine: str, limits: str) -> None:
    with lab(tmp_path, MOVING.format(engine=engine, bridge="br0", limits=limits)) as running:
        near, far = running.connect("a", "b", "10.9.0.2")
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        moved = MOVING.format(engine=engine, bridge="br1", limits=limits)
        done = changes(running, tmp_path, moved)
        assert [what for what, _ in done] == [
            f"change eth0 of {node}: bridge br1 instead of br0" for node in ("a", "b")
        ]
        assert changes(running, tmp_path, moved) == []
        if engine == "user":
            assert round_trip(near, far) >= 0.1
        else:
            began = time.monotonic()
            transfer(near, far, 1 << 18)
            assert time.monotonic() - began >= 0.2
