"""Lines that are slow, late and lossy, by a clock of the test's own; and real ports behind them."""

from __future__ import annotations

import itertools
import random
import struct
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.stations import frame_of, station, wait_until
from tests.engine.switch_process import Switch

from linkspan.bridge.reasons import Reason
from linkspan.engine.user.devices import VNET_HEADER_BYTES
from linkspan.engine.user.shaping import MOST_BYTES, Line
from linkspan.model.shaping import LEAST_BACKLOG, Shape

A, B = station(1), station(2)

FRAMES = st.lists(st.tuples(st.floats(0, 0.05), st.integers(14, 65536)), min_size=1, max_size=60)
"""Time since the frame before in seconds, length in bytes."""
SHAPES = st.builds(
    Shape,
    bandwidth=st.none() | st.sampled_from(["8k", "1M", "10M", "100G"]),
    delay=st.sampled_from([0.0, 0.001, 0.5]),
    loss=st.sampled_from([0.0, 30.0]),
)


def of_size(length: int, number: int = 0) -> bytes:
    """A frame with its vnet header, known by its number."""
    return bytes(VNET_HEADER_BYTES) + struct.pack("!Q", number).ljust(length, b"\0")


def taken(line: Line, now: float) -> list[int]:
    """The numbers of the frames that are due."""
    found = []
    while (frame := line.take(now)) is not None:
        found.append(struct.unpack_from("!Q", frame, VNET_HEADER_BYTES)[0])
    return found


def test_a_line_without_limits_gives_back_at_once() -> None:
    line = Line(Shape(), "x")
    assert line.put(of_size(100, 7), 1.0) is None
    assert line.due == 1.0
    assert taken(line, 1.0) == [7]
    assert line.due is None


def test_a_late_line_gives_back_after_its_delay_in_order() -> None:
    line = Line(Shape(delay=0.5), "x")
    for number in range(3):
        line.put(of_size(100, number), number / 10)
    assert taken(line, 0.4999) == []
    assert taken(line, 0.5) == [0]
    assert taken(line, 0.7) == [1, 2]


def test_a_slow_line_passes_its_bandwidth_and_no_more() -> None:
    line = Line(Shape(bandwidth="1M"), "x")
    frames = 80
    for number in range(frames):
        assert line.put(of_size(1250, number), 0.0) is None
    # 1250 bytes are 10 ms of 1 Mbit/s.
    for step in range(frames + 1):
        assert taken(line, step / 100 + 1e-6) == ([step - 1] if step else [])


def test_a_slow_line_drops_what_it_can_not_keep() -> None:
    line = Line(Shape(bandwidth="1M"), "x")
    fates = [line.put(of_size(984), 0.0) for _ in range(200)]
    assert fates == [None] * (LEAST_BACKLOG // 984) + [Reason.FULL_RING] * (
        200 - LEAST_BACKLOG // 984
    )
    late = Line(Shape(delay=60), "x")
    fates = [late.put(of_size(65536), 0.0) for _ in range(300)]
    assert fates.count(None) == MOST_BYTES // 65536


def test_a_lossy_line_loses_what_its_seed_says() -> None:
    line, chance = Line(Shape(loss=10), "br0 a in"), random.Random("br0 a in")
    expected = [chance.random() * 100 < 10 for _ in range(1000)]
    lost = [line.put(of_size(60), 0.0) is Reason.QDISC_DROP for _ in range(1000)]
    assert lost == expected
    assert sum(lost) == 98
    assert all(Line(Shape(loss=100), "x").put(of_size(60), 0.0) for _ in range(100))


@given(shape=SHAPES, later=SHAPES, frames=FRAMES, at=st.integers(0, 60))
def test_nothing_overtakes_comes_early_or_faster_than_the_line(
    shape: Shape, later: Shape, frames: list[tuple[float, int]], at: int
) -> None:
    line, now, put = Line(shape, "x"), 0.0, {}
    for number, (pause, length) in enumerate(frames):
        now += pause
        if number == at:
            line.reshape(later)
        if line.put(of_size(length, number), now) is None:
            put[number] = (now, length, line.shape)
    came: list[tuple[int, float]] = []
    while (due := line.due) is not None:
        came += [(number, due) for number in taken(line, due)]
    assert [number for number, _ in came] == sorted(put)
    for number, due in came:
        assert due >= put[number][0] + put[number][2].delay
    if shape.bits is not None:
        alike = [(due, put[number][1]) for number, due in came if number < at]
        for (first, _), (due, length) in itertools.pairwise(alike):
            assert due - first >= length * 8 / shape.bits - 1e-6


def shaped(switch: Switch, port: str, shape: Shape | None) -> None:
    fields = None if shape is None else {"loss": shape.loss, "delay": shape.delay}
    switch.call("shape", port=port, shape=fields)


def test_a_thousand_frames_through_a_lossy_port(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "b")
        switch.start()
        a, b = switch.stream_peer("a"), switch.stream_peer("b")
        shaped(switch, "a", Shape(loss=10))
        frames = [frame_of(B, A, struct.pack("!I", number)) for number in range(1000)]
        chance = random.Random("br0 a in")
        expected = [frame for frame in frames if chance.random() * 100 >= 10]
        a.send(*frames)
        assert [b.receive() for _ in expected] == expected
        counters = switch.counters("a")
        assert (counters.frames_in, counters.drops["QDISC_DROP"]) == (1001, 98)
        shaped(switch, "a", None)
        a.send(*frames)
        assert [b.receive() for _ in frames] == frames


def test_frames_that_are_under_way_arrive_when_the_delay_is_lifted(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "b")
        switch.start()
        a, b = switch.stream_peer("a"), switch.stream_peer("b")
        shaped(switch, "b", Shape(delay=60))
        frames = [frame_of(B, A, struct.pack("!I", number)) for number in range(20)]
        a.send(*frames)
        wait_until(lambda: switch.counters("b").frames_out == 20, "they are under way")
        shaped(switch, "b", None)
        assert [b.receive() for _ in frames] == frames
