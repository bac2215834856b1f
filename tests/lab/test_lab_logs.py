"""`linkspan logs`, with and without --follow, on commands that go on writing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.machine import Machine, linkspan_command, wait_until

from linkspan.sandbox import output

LAB = """
name: office
nodes:
  web: {command: [sh, -c, "COMMAND"]}
  other: {}
"""
WAITS = "printf 'one\\ntwo\\nthree\\n'; until [ -e /mnt/go ]; do sleep 0.05; done; "
"""What its node's /mnt says lets it go on."""


def waiting(more: str) -> str:
    """A lab whose command writes three lines and, when it is let, more."""
    text = LAB.replace("COMMAND", WAITS.replace("\\", "\\\\") + more)
    return text.replace("web: {", 'web: {mounts: ["./web:/mnt"], ')


@contextmanager
def following(machine: Machine, *options: str) -> Iterator[subprocess.Popen[str]]:
    with machine.start(
        linkspan_command("logs", "--follow", *options, "office/web"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        yield process


def test_a_command_is_followed_until_its_lab_ends(any_machine: Machine) -> None:
    machine, folder = any_machine, any_machine.folder / "web"
    folder.mkdir()
    machine.linkspan("up", machine.file(waiting("printf 'four\\\\nfive'; exec sleep 1000")))
    wait_until(lambda: machine.linkspan("logs", "web").stdout == "one\ntwo\nthree\n")
    assert machine.linkspan("logs", "-n", "1", "web").stdout == "three\n"
    assert machine.linkspan("logs", "--tail", "0", "web").stdout == ""
    asked = machine.linkspan("logs", "--json", "-n2", "office/web").stdout
    assert json.loads(asked) == {"node": "web", "lines": ["two", "three"]}
    with following(machine, "-n", "1") as text, following(machine, "--json") as values:
        assert text.stdout is not None
        assert values.stdout is not None
        assert text.stdout.readline() == "three\n"
        said = [json.loads(values.stdout.readline()) for _ in range(3)]
        assert said == [{"node": "web", "line": each} for each in ("one", "two", "three")]
        (folder / "go").touch()
        assert text.stdout.readline() == "four\n"
        machine.linkspan("down", "office")
        assert text.stdout.read() == "five"
        assert values.stdout.read().splitlines() == [
            '{"node":"web","line":"four"}',
            '{"node":"web","line":"five"}',
        ]
        assert (text.wait(), values.wait()) == (0, 0)


def test_following_ends_with_the_command_a_killed_lab_and_quietly_by_ctrl_c(
    machine: Machine,
) -> None:
    ends = machine.file(LAB.replace("COMMAND", "echo begun; exec sleep 1000"))
    none = machine.file("name: office\nnodes: {web: {}, other: {}}\n", "none.yaml")
    for how in ("ctrl-c", "removed", "killed"):
        machine.linkspan("up", ends)
        with following(machine) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            if how == "ctrl-c":
                process.send_signal(signal.SIGINT)
            elif how == "removed":
                machine.linkspan("up", none)
            else:
                os.kill(machine.process("linkspan.sandbox.init"), signal.SIGKILL)
            assert process.communicate() == ("", "")
            assert process.returncode == (130 if how == "ctrl-c" else 0)
    machine.linkspan("down", "office")


def test_a_command_that_writes_without_end_is_cut_and_followed_over_the_cut(
    machine: Machine,
) -> None:
    (machine.folder / "web").mkdir()
    chatty = (
        "for i in $(seq 40); do seq -f 'a line that is as long as lines are %.0f' $((i * 1000 + 1))"
        " $((i * 1000 + 1000)); sleep 0.06; done; echo last; exec sleep 1000"
    )
    machine.linkspan("up", machine.file(waiting(chatty)))
    log = machine.labs / "office/logs/web.log"
    with following(machine, "-n", "1") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "three\n"
        (machine.folder / "web/go").touch()
        numbers = []
        while (line := process.stdout.readline()) != "last\n":
            numbers.append(int(line.rpartition(" ")[2]))
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "")
    assert numbers == list(range(1001, 41001))
    wait_until(lambda: log.stat().st_size <= output.LARGEST)
    assert "missed" not in machine.linkspan("logs", "web").stderr
    machine.linkspan("down", "office")
