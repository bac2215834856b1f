"""Another hand changes something while a change is being carried out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests.machine import Machine

LAB = """
name: office
scope: {scope}
bridges: {{br0: {{engine: kernel, address: 10.9.0.254/24}}}}
"""

PROGRAM = """
import sys
from linkspan.cli.main import main
from linkspan.lab import transaction
from linkspan.model.state import AddressKey

class Disturbed(transaction.Executor):
    '''Takes new addresses away as soon as all is done, as another hand might, so many times.'''
    times = int(sys.argv.pop(1))

    def run(self, changes, note, progress=None):
        super().run(changes, note, progress)
        if Disturbed.times:
            Disturbed.times -= 1
            for change in changes:
                if isinstance(change.key, AddressKey) and change.before is None:
                    self._stack.carry_out(change.inverse)

transaction.Executor = Disturbed
sys.exit(main())
"""


def disturbed(times: int, *arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-c", PROGRAM, str(times), *arguments]


def addresses(machine: Machine) -> list[str]:
    found = json.loads(machine.linkspan("show", "office", "--json").stdout)
    (bridge,) = found["bridges"]
    return [each for each in bridge["addresses"] if not each.startswith("fe80")]


@pytest.mark.parametrize("scope", ["sandbox", "host"])
def test_what_is_undone_in_the_meantime_is_done_once_more(machine: Machine, scope: str) -> None:
    machine.run(disturbed(1, "up", machine.file(LAB.format(scope=scope))), 0)
    assert addresses(machine) == ["10.9.0.254/24"]
    machine.linkspan("down", "office")


def test_what_is_undone_again_and_again_is_taken_back(machine: Machine) -> None:
    file = machine.file(LAB.format(scope="host"))
    refused = machine.run(disturbed(2, "up", file), 3)
    assert "it is still to do: add 10.9.0.254/24 to br0 of host" in refused.stderr
    assert "what had been done was undone" in refused.stderr
    machine.linkspan("show", "office", status=2)
