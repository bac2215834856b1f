"""What all tests share: machines of their own to run labs on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.machine import ORDINARY_USER, ROOT, Machine, why_no_user_namespace


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


@pytest.fixture
def ordinary_machine() -> Iterator[Machine]:
    """A machine used by an ordinary user; the test fails if it leaves anything there."""
    yield from _machine(ORDINARY_USER)


@pytest.fixture(params=[ROOT, ORDINARY_USER], ids=["root", "ordinary-user"])
def any_machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Both of them, one after the other."""
    yield from _machine(request.param)
