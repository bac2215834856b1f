"""What all tests share: machines of their own to run labs on, and options of a test run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from tests.machine import ORDINARY_USER, ROOT, Machine, why_no_user_namespace

# How long one example takes says more about the machine's other work than about what is tested.
settings.register_profile("linkspan", deadline=None)
settings.load_profile("linkspan")

ALIKE_SEED = 1
ALIKE_FRAMES = 20_000


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("alike", "comparing our switch with the kernel's bridge")
    group.addoption("--alike-seed", type=int, default=ALIKE_SEED, help="of the random sequences")
    group.addoption("--alike-frames", type=int, default=ALIKE_FRAMES, help="in all of them")


@pytest.fixture
def alike_seed(request: pytest.FixtureRequest) -> int:
    """What the random sequences are drawn from."""
    seed: int = request.config.getoption("--alike-seed")
    return seed


@pytest.fixture
def alike_frames(request: pytest.FixtureRequest) -> int:
    """How many frames the random sequences have together."""
    frames: int = request.config.getoption("--alike-frames")
    return frames


def _machine(user: int) -> Iterator[Machine]:
    if user == ROOT and os.geteuid() != ROOT:
        pytest.skip("needs root: the lab is to be made without a user namespace")
    if user != ROOT and (reason := why_no_user_namespace()):
        pytest.skip(reason)
    machine = Machine(user if os.geteuid() == ROOT else os.geteuid())
    try:
        yield machine
        machine.assert_as_before()
    finally:
        machine.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine used by root; the test fails if it leaves anything there."""
    yield from _machine(ROOT)


@pytest.fixture(scope="module")
def shared_machine() -> Iterator[Machine]:
    """A machine used by root, for a lab that several tests of a module only look at."""
    yield from _machine(ROOT)


@pytest.fixture
def ordinary_machine() -> Iterator[Machine]:
    """A machine used by an ordinary user; the test fails if it leaves anything there."""
    yield from _machine(ORDINARY_USER)


@pytest.fixture(params=[ROOT, ORDINARY_USER], ids=["root", "ordinary-user"])
def any_machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Both of them, one after the other."""
    yield from _machine(request.param)
