"""Every known difference between our switch and the Linux bridge is there, and is written down."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from tests.alike.exceptions import EXCEPTIONS, Outcome, Unlike, write_alike
from tests.alike.kernel_wire import KernelWire
from tests.alike.memory_wire import MemoryWire
from tests.alike.wire import HOST, Refused, Step, Wire
from tests.engine.networks import needs_root

PORTS = ("p1", "p2", "p3")


def outcome(wire: Wire, steps: Sequence[Step]) -> Outcome:
    """What the last of some steps led to."""
    with closing(wire):
        for step in steps[:-1]:
            wire.take(step)
        try:
            found = wire.take(steps[-1])
        except Refused:
            return ("refused",)
    return tuple(sorted(found, key=lambda port: (port == HOST, port)))


@needs_root
@pytest.mark.parametrize("row", EXCEPTIONS, ids=lambda row: row.subject)
def test_the_exception_is_true(row: Unlike) -> None:
    assert row.in_linux != row.in_ours
    kernel = KernelWire(PORTS, tells_stacks_apart=True, **dict(row.bridge))
    assert outcome(kernel, row.steps) == row.in_linux
    assert outcome(MemoryWire(PORTS), row.steps) == row.in_ours


def test_docs_alike_is_written_from_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "alike.md"
    assert page.read_text() == write_alike()
