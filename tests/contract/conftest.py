"""The engines that the contract binds: each as a `Wire` with ports p1 to p4 and the host's, and
each as what carries a lab."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from tests.alike.kernel_wire import KernelWire
from tests.alike.memory_wire import MemoryWire
from tests.alike.switch_wire import SwitchWire
from tests.alike.wire import Wire
from tests.contract.labs import LAB_ENGINES, LabEngine
from tests.engine.networks import needs_cache, needs_root

PORTS = ("p1", "p2", "p3", "p4")

OF_SYSTEM: Final = (
    pytest.param("kernel", marks=needs_root),
    pytest.param("user", marks=needs_root),
    pytest.param("user-with-cache", marks=needs_cache),
)


def _make(engine: str, folder: Path) -> Wire:
    match engine:
        case "memory":
            return MemoryWire(PORTS)
        case "kernel":
            return KernelWire(PORTS)
        case "user":
            return SwitchWire(PORTS, folder, has_cache=False)
    return SwitchWire(PORTS, folder, has_cache=True)


def _skip_unless_able(request: pytest.FixtureRequest, able: Collection[str]) -> None:
    """An engine is asked for nothing that the test's `needs` mark names and it can't do."""
    for mark in request.node.iter_markers("needs"):
        if lacking := [name for name in mark.args if name not in able]:
            pytest.skip(f"{request.param} is not asked for {', '.join(lacking)}")


@pytest.fixture(params=["memory", *OF_SYSTEM])
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wire]:
    """A switch of every engine that can do what the test needs."""
    with closing(_make(request.param, tmp_path)) as made:
        _skip_unless_able(request, {operation.__name__ for operation in made.operations})
        yield made


@pytest.fixture(params=OF_SYSTEM)
def engine(request: pytest.FixtureRequest) -> LabEngine:
    """Every engine that carries labs and can do what the test needs."""
    found = LAB_ENGINES[request.param]
    _skip_unless_able(request, found.able)
    return found
