"""The same random frames and operations go into the kernel's bridge and ours: all alike?

    pytest tests/alike --alike-seed N --alike-frames N

replays a run or makes a longer one. A run that finds a difference prints the fewest steps that
show it. What is known to differ stands in `exceptions.py`.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing

import pytest
from tests.alike.compare import Difference, explain, first_difference, readable
from tests.alike.generate import PORTS, Generator
from tests.alike.kernel_wire import KernelWire
from tests.alike.memory_wire import MemoryWire, number_of
from tests.alike.wire import Deliveries, Flush, Operation, Refused, Send, SetOption, Step, Wire
from tests.engine.networks import needs_root

from linkspan.bridge.reasons import Reason, Stage
from linkspan.types import BROADCAST, Mac

SHARES = (0.02, 0.1, 0.4)
"""Of operations among the steps: few let flows be cached, many let states meet that seldom do."""

A = Mac(bytes.fromhex("020000000001"))
FRAME = BROADCAST + A + b"\x88\xb5" + bytes(46)


def kernel() -> KernelWire:
    return KernelWire(PORTS)


def memory() -> MemoryWire:
    return MemoryWire(PORTS)


@needs_root
@pytest.mark.parametrize("share", SHARES)
def test_the_kernels_bridge_and_ours_are_alike(
    share: float, alike_seed: int, alike_frames: int
) -> None:
    print(f"--alike-seed {alike_seed} --alike-frames {alike_frames}")
    steps = Generator(alike_seed).steps(alike_frames // len(SHARES), share)
    with closing(kernel()) as left, closing(memory()) as right:
        found = first_difference(left, right, steps)
    if found is not None:
        pytest.fail(explain(kernel, memory, steps[: found.position + 1], alike_seed))


def test_the_random_sequences_lead_everywhere() -> None:
    reasons: Counter[Reason] = Counter()
    hits = refused = 0
    for share in SHARES:
        wire = memory()
        for step in Generator(1).steps(7000, share):
            wire.reason = None
            try:
                wire.take(step)
            except Refused:
                refused += 1
            if wire.reason is not None:
                reasons[wire.reason] += 1
        hits += wire.hits
    ends = {reason for reason in Reason if reason.stage not in (Stage.ENGINE, Stage.REPORT)}
    flood_only = {Reason.UNICAST_FLOOD_OFF, Reason.MULTICAST_FLOOD_OFF, Reason.BROADCAST_FLOOD_OFF}
    never = {Reason.BRIDGE_DOWN, Reason.HOST_DOWN}
    assert {reason for reason in ends - flood_only - never if reasons[reason] < 3} == set()
    assert hits > 2000
    assert refused > 100


# the comparison itself


class Faulty(MemoryWire):
    """Forgets to flood to p3 once p2 was flushed and has hairpin on."""

    def __init__(self) -> None:
        super().__init__(PORTS)
        self.flushed = False

    def send(self, port: str, frame: bytes) -> Deliveries:
        found = super().send(port, frame)
        port2 = self.bridge.ports.get(number_of("p2"))
        if self.flushed and port2 is not None and port2.options.hairpin:
            found.pop("p3", None)
        return found

    def run(self, operation: Operation) -> None:
        self.flushed |= operation == Flush("p2")
        super().run(operation)


def test_a_difference_is_found_and_shown_with_the_fewest_steps() -> None:
    steps = Generator(7).steps(2000, 0.5)
    found = first_difference(memory(), Faulty(), steps)
    assert found is not None
    told = explain(memory, Faulty, steps[: found.position + 1], 7)
    assert "seed 7" in told
    shown = [line.strip() for line in told.splitlines() if line.startswith("    ")]
    assert len(shown) <= 6
    assert any(line.startswith("SetOption(port='p2', name='hairpin'") for line in shown)
    assert "Flush(port='p2')" in shown


def test_the_same_seed_draws_the_same_steps() -> None:
    assert Generator(3).steps(300) == Generator(3).steps(300) != Generator(4).steps(300)


def test_a_refused_operation_and_a_late_entry_are_differences_too() -> None:
    class Refusing(MemoryWire):
        def run(self, operation: Operation) -> None:
            raise Refused

    def difference(right: Wire, *steps: Step) -> Difference | None:
        return first_difference(memory(), right, steps)

    found = difference(Refusing(PORTS), SetOption("p1", "hairpin", 1))
    assert found is not None
    assert (found.left, found.right) == ({}, "refused")
    forgetful = memory()
    forgetful.bridge.set_ageing_time(0)
    found = difference(forgetful, Send("p1", FRAME))
    assert found is not None
    assert found.what == "the FDB"
    assert found.left == {A: ("p1", "learned")}


def test_frames_are_written_short() -> None:
    assert readable(Send("p1", FRAME)) == (
        "Send(port='p1', frame=<ffffffffffff02000000000188b5 + 46 zeros>)"
    )


@needs_root
def test_a_frame_has_gone_all_its_way_when_the_tap_has_taken_it() -> None:
    with closing(kernel()) as wire:
        for _ in range(2000):
            assert len(wire.take(Send("p1", FRAME))) == len(PORTS)
            assert wire.receive() == {}
