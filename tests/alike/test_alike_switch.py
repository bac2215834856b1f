"""The real switch process and the kernel's bridge are alike, with and without the in-kernel cache.

The sequences are those of `test_alike.py`, less what can't be asked through sockets.
"""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

import pytest
from tests.alike.compare import explain, first_difference
from tests.alike.generate import PORTS, Generator
from tests.alike.kernel_wire import KernelWire
from tests.alike.switch_wire import SwitchWire, is_comparable
from tests.alike.wire import Send
from tests.engine.networks import needs_cache, needs_root

TENTH = 10
"""Of the frames of `test_alike.py`: a process has to be asked about each."""

FDB_EVERY = 32


@pytest.mark.parametrize(
    "has_cache",
    [
        pytest.param(False, marks=needs_root, id="cache-off"),
        pytest.param(True, marks=needs_cache, id="cache-on"),
    ],
)
def test_the_switch_process_and_the_kernels_bridge_are_alike(
    has_cache: bool, tmp_path: Path, alike_seed: int, alike_frames: int
) -> None:
    print(f"--alike-seed {alike_seed} --alike-frames {alike_frames}")
    drawn = Generator(alike_seed).steps(alike_frames // TENTH, 0.05)
    numbers = itertools.count()

    def switch() -> SwitchWire:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return SwitchWire(PORTS, folder, has_cache)

    def kernel() -> KernelWire:
        return KernelWire(PORTS)

    with closing(kernel()) as left, closing(switch()) as right:
        able = (Send, *right.operations)
        steps = [step for step in drawn if isinstance(step, able) and is_comparable(step)]
        found = first_difference(left, right, steps, FDB_EVERY)
        assert bool(right.most_flows) is has_cache or found is not None
    if found is not None:
        pytest.fail(explain(kernel, switch, steps[: found.position + 1], alike_seed))
