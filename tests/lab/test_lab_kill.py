"""`kill -9` of any part at any moment: afterwards there is a whole lab or none, and `down`
leaves nothing. The `machine` fixture checks that at the end of every test.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time

import pytest
from tests.machine import EXAMPLES, Machine, linkspan_command, wait_until

DEMO = EXAMPLES / "three-containers.yaml"


def kill(machine: Machine, *words: str) -> None:
    machine.run(["kill", "-9", str(machine.process(*words))], 0)


def settle(machine: Machine) -> str:
    """Wait until the lab is complete or gone, and say which."""

    def state() -> str:
        if (machine.labs / "demo" / "topology.json").exists() and machine.processes():
            return "complete"
        return "" if machine.processes() else "gone"

    wait_until(state, lambda: machine.processes())
    return state()


def test_a_killed_init_process_takes_the_lab_with_it(any_machine: Machine) -> None:
    any_machine.linkspan("up", DEMO)
    kill(any_machine, "linkspan.sandbox.init")
    wait_until(lambda: not any_machine.processes(), any_machine.processes)
    any_machine.linkspan("down", "demo")
    assert any_machine.traces() - any_machine.before == []


def test_down_right_after_a_killed_init_process(machine: Machine) -> None:
    machine.linkspan("up", DEMO)
    kill(machine, "linkspan.sandbox.init")
    machine.linkspan("down", "demo")
    machine.assert_as_before()


def test_a_killed_switch_comes_back_and_goes_with_the_lab(any_machine: Machine) -> None:
    any_machine.linkspan("up", DEMO)
    old = any_machine.process("engine.user.process")
    any_machine.run(["kill", "-9", str(old)], 0)
    wait_until(
        lambda: any(
            process != old and "engine.user.process" in line
            for process, line in any_machine.processes().items()
        )
    )
    any_machine.linkspan("ping", "demo")
    snapshot = json.loads(any_machine.linkspan("show", "demo", "--json").stdout)
    assert snapshot["bridges"][0]["restarts"] == 1
    any_machine.linkspan("down", "demo")
    assert any_machine.traces() - any_machine.before == []


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_up_that_is_ended_at_random_moments(any_machine: Machine, sent: signal.Signals) -> None:
    moments = random.Random(f"moments of {sent.name}")
    for _ in range(10):
        delay = moments.uniform(0, 0.5)
        with any_machine.start(
            linkspan_command("up", DEMO), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(delay)
            process.send_signal(sent)
        if settle(any_machine) == "complete":
            any_machine.linkspan("ping", "demo")
        if (any_machine.labs / "demo").exists():
            any_machine.linkspan("down", "demo")
        any_machine.assert_as_before()


def test_up_whose_parts_are_all_stopped_at_once_can_be_taken_down(machine: Machine) -> None:
    moments = random.Random("stopped")
    for _ in range(3):
        with machine.start(
            linkspan_command("up", DEMO), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(moments.uniform(0.1, 0.25))
            process.send_signal(signal.SIGSTOP)
            machine.linkspan("down", "demo", status=None)
            process.kill()
        settle(machine)
        if (machine.labs / "demo").exists():
            machine.linkspan("down", "demo")
        machine.assert_as_before()


def test_down_that_is_killed_at_random_moments(machine: Machine) -> None:
    moments = random.Random("moments of down")
    for _ in range(5):
        machine.linkspan("up", DEMO)
        with machine.start(
            linkspan_command("down", "demo"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(moments.uniform(0.03, 0.12))
            process.kill()
        if (machine.labs / "demo").exists():
            machine.linkspan("down", "demo", status=None)
        machine.assert_as_before()


def test_commands_in_nodes_end_with_the_lab(any_machine: Machine) -> None:
    any_machine.linkspan("up", DEMO)
    runs = [
        any_machine.start(
            linkspan_command("exec", "demo/web", "--", "sh", "-c", script), stdout=subprocess.PIPE
        )
        for script in (
            "echo on; exec sleep 1000",
            "trap '' TERM HUP INT; echo on; while :; do sleep 1; done",
            "setsid sleep 1000 & echo on; wait",
        )
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "on\n"
    any_machine.linkspan("down", "demo")
    for run in runs:
        run.communicate(timeout=20)
        assert run.returncode == 128 + signal.SIGKILL
    any_machine.assert_as_before()


def test_a_killed_exec_leaves_its_command_to_the_lab(machine: Machine) -> None:
    machine.linkspan("up", DEMO)
    run = machine.start(
        linkspan_command("exec", "demo/web", "--", "sh", "-c", "echo on; exec sleep 1000"),
        stdout=subprocess.PIPE,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "on\n"
    run.kill()
    run.wait(timeout=20)
    assert "sleep 1000" in "".join(machine.processes().values())
    machine.linkspan("down", "demo")
    assert machine.traces() - machine.before == []


def test_ctrl_c_of_up_says_so(machine: Machine) -> None:
    text = "\n".join(
        ["name: demo", "bridges: {br0: {}}", "nodes:", *(f"  n{n}: {{}}" for n in range(300))]
    )
    with machine.start(
        linkspan_command("up", machine.file(text)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: any("sandbox.init" in line for line in machine.processes().values()))
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == ""
    assert errors.strip().endswith("linkspan: interrupted")
    assert "Traceback" not in errors
    machine.assert_as_before()
