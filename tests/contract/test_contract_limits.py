"""Slow, late and lossy ports of a lab, whichever engine carries it."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.contract.labs import LabEngine, changes
from tests.engine.running_lab import RunningLab, lab, round_trip, transfer

from linkspan.lab.find import Place
from linkspan.lab.observe import observe
from linkspan.plan.difference import CHANGED, DECLARED, DRIFT, REMOVED

LOST_SECONDS = 0.2


def file_of(engine: LabEngine, limits: str = "") -> str:
    return f"""
bridges: {{br0: {{{engine.fields}}}}}
nodes:
  a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.1/24{limits}}}}}}}
  b: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.2/24}}}}}}
"""


def connect(running: RunningLab) -> tuple[socket.socket, socket.socket]:
    near, far = running.connect("a", "b", "10.9.0.2")
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def shown_bandwidths(running: RunningLab) -> list[str | None]:
    (bridge,) = observe(Place(running.name)).bridges
    return [port.shape.bandwidth for port in bridge.ports if port.shape is not None]


def assert_4_megabits(near: socket.socket, far: socket.socket) -> None:
    """2.1 Mbit take half a second, less what may wait on the line and what may be sent at once."""
    began = time.monotonic()
    transfer(near, far, 1 << 18)
    assert time.monotonic() - began >= 0.2


def test_a_bandwidth_holds_in_both_directions_and_connections_stay(
    tmp_path: Path, engine: LabEngine
) -> None:
    with lab(tmp_path, file_of(engine)) as running:
        near, far = connect(running)
        transfer(near, far, 1 << 20)
        slow = file_of(engine, ", bandwidth: 4M")
        assert changes(running, tmp_path, slow) == [("limit eth0 of a: 4Mbit/s", DECLARED)]
        assert changes(running, tmp_path, slow) == []
        assert_4_megabits(near, far)
        assert_4_megabits(far, near)
        assert shown_bandwidths(running) == ["4M"]

        engine.lift_by_hand(running, "a")
        ((_, why),) = changes(running, tmp_path, slow)
        assert why in DRIFT
        assert_4_megabits(near, far)
        assert changes(running, tmp_path, file_of(engine, ", bandwidth: 100M")) == [
            ("change the limits of eth0 of a: bandwidth 100M instead of 4M", CHANGED)
        ]
        assert changes(running, tmp_path, file_of(engine)) == [
            ("lift the limits of eth0 of a", REMOVED)
        ]
        assert shown_bandwidths(running) == []
        transfer(near, far, 1 << 20)


@pytest.mark.needs("delay", "loss")
def test_a_late_port_is_late_in_both_directions_and_a_lossy_one_loses(
    tmp_path: Path, engine: LabEngine
) -> None:
    with lab(tmp_path, file_of(engine)) as running:
        near, far = connect(running)
        late = file_of(engine, ", delay: 0.05")
        assert changes(running, tmp_path, late) == [("limit eth0 of a: 0.05 s late", DECLARED)]
        assert round_trip(near, far) >= 0.1
        assert changes(running, tmp_path, file_of(engine, ", delay: 0.02, bandwidth: 4M")) == [
            (
                "change the limits of eth0 of a: bandwidth 4M instead of none; "
                "delay 0.02 instead of 0.05",
                CHANGED,
            )
        ]
        assert_4_megabits(near, far)
        assert round_trip(near, far) >= 0.04
        changes(running, tmp_path, file_of(engine, ", loss: 100"))
        near.sendall(b"lost")
        far.settimeout(LOST_SECONDS)
        with suppress(TimeoutError):
            assert not far.recv(4)
        changes(running, tmp_path, file_of(engine))
        far.settimeout(near.gettimeout())
        assert far.recv(4) == b"lost"
        assert round_trip(near, far) < 0.04


def test_limits_move_with_the_port(tmp_path: Path, engine: LabEngine) -> None:
    def file(bridge: str) -> str:
        return f"""
bridges:
  br0: {{{engine.fields}}}
  br1: {{{engine.fields}, node: other}}
nodes:
  other: {{kind: host}}
  a: {{ports: {{eth0: {{bridge: {bridge}, address: 10.9.0.1/24, bandwidth: 4M}}}}}}
  b: {{ports: {{eth0: {{bridge: {bridge}, address: 10.9.0.2/24}}}}}}
"""

    with lab(tmp_path, file("br0")) as running:
        near, far = connect(running)
        assert [what for what, _ in changes(running, tmp_path, file("br1"))] == [
            f"change eth0 of {node}: bridge br1 instead of br0" for node in ("a", "b")
        ]
        assert changes(running, tmp_path, file("br1")) == []
        assert_4_megabits(near, far)
