"""The engines that the contract binds: each as a `Wire` with ports p1 to p4 and the host's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.alike.kernel_wire import KernelWire
from tests.alike.memory_wire import MemoryWire
from tests.alike.switch_wire import SwitchWire
from tests.alike.wire import Wire
from tests.engine.networks import needs_cache, needs_root

PORTS = ("p1", "p2", "p3", "p4")


def _make(engine: str, folder: Path) -> Wire:
    match engine:
        case "memory":
            return MemoryWire(PORTS)
        case "kernel":
            return KernelWire(PORTS)
        case "user":
            return SwitchWire(PORTS, folder, has_cache=False)
    return SwitchWire(PORTS, folder, has_cache=True)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("kernel", marks=needs_root),
        pytest.param("user", marks=needs_root),
        pytest.param("user-with-cache", marks=needs_cache),
    ]
)
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wire]:
    """A switch of every engine that can do what the test's `needs` mark names."""
    with closing(_make(request.param, tmp_path)) as made:
        for mark in request.node.iter_markers("needs"):
            able = {operation.__name__ for operation in made.operations}
            lacking = [name for name in mark.args if name not in able]
            if lacking:
                pytest.skip(f"{request.param} is not asked for {', '.join(lacking)}")
        yield made
