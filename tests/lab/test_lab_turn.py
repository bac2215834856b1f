"""Commands that change one lab take turns, and who waits too long is told for whom."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.machine import EXAMPLES, Machine, linkspan_command

from linkspan.errors import Mistake
from linkspan.lab.turn import turn

DEMO = EXAMPLES / "three-containers.yaml"
HOLD = (
    "import sys; from linkspan.lab.turn import turn\n"
    "with turn(sys.argv[1]): print('mine', flush=True); sys.stdin.read()"
)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a lab that nobody else has."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return f"turn-{os.getpid()}"


def test_who_holds_a_turn_is_named_with_its_command(lab: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, lab], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        with pytest.raises(Mistake) as refused, turn(lab, patience=0.1):
            pytest.fail("two have the turn")
        assert f"process {holder.pid}: {sys.executable}" in str(refused.value)
        assert lab in str(refused.value)
        holder.communicate("")
    with turn(lab, patience=0):
        pass


def test_a_turn_ends_with_its_holder(lab: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, lab], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        holder.kill()
        holder.wait()
    with turn(lab, patience=0):
        pass


def test_turns_of_other_labs_are_free(lab: str) -> None:
    with turn(lab), turn(f"{lab}-other", patience=0):
        pass


def test_commands_at_the_same_time_come_one_after_the_other(machine: Machine) -> None:
    commands = [
        machine.start(linkspan_command("up", DEMO), stdout=subprocess.PIPE) for _ in range(4)
    ]
    answers = [command.communicate()[0] for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0, 0]
    assert sorted("nothing changed" in answer for answer in answers) == [False, True, True, True]
    machine.linkspan("ping", "demo")
    machine.linkspan("down", "demo")
