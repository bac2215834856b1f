"""The machine on its LAN, as a fixture: each test leaves it as it found it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.machine import ROOT, Machine
from tests.uplink.lan import Lan, lan


@pytest.fixture
def on_lan() -> Iterator[Lan]:
    """A machine with a card on a LAN; the test fails if card or machine differ afterwards."""
    if os.geteuid() != ROOT:
        pytest.skip("needs root: an uplink is the machine's own network card")
    machine = Machine(ROOT)
    try:
        with lan(machine) as made:
            yield made
            made.assert_as_before()
            machine.assert_as_before()
    finally:
        machine.close()
