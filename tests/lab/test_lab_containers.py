"""Commands, environments and mounts of containers, changed while they run."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.lab.actions import actions
from tests.machine import Machine, wait_until

LAB = """
name: office
nodes:
  web:
    command: {command}
    env: {{GREETING: {greeting}, NUMBER: 7}}
    mounts: [{mounts}]
  other: {{}}
"""
UNMOUNT = 'import ctypes; assert ctypes.CDLL(None).umount2(b"/mnt", 0) == 0'
"""What umount(8) does, which would leave a folder in the machine's /run."""

HELLO = '[sh, -c, "echo $GREETING from $LINKSPAN_NODE; exec sleep 1000"]'


def written(command: str = HELLO, greeting: str = "hello", mounts: str = "") -> str:
    return LAB.format(command=command, greeting=greeting, mounts=mounts)


def in_node(machine: Machine, *command: str, node: str = "web", status: int = 0) -> str:
    return machine.linkspan("exec", f"office/{node}", "--", *command, status=status).stdout


def logged(machine: Machine) -> Sequence[str]:
    return machine.linkspan("logs", "office/web").stdout.splitlines()


def test_a_command_writes_to_its_log_and_is_changed_by_itself(any_machine: Machine) -> None:
    machine = any_machine
    assert actions(machine, "up", written()) == []
    wait_until(lambda: logged(machine) == ["hello from web"])
    assert in_node(machine, "sh", "-c", "echo $GREETING $NUMBER") == "hello 7\n"
    assert in_node(machine, "sh", "-c", "echo $GREETING", node="other") == "\n"
    assert actions(machine, "up", written(greeting="bye")) == [
        "~ change the command of web: GREETING=bye instead of GREETING=hello"
    ]
    wait_until(lambda: logged(machine) == ["hello from web", "bye from web"])
    assert actions(machine, "up", written(greeting="bye")) == []
    assert actions(machine, "up", written("[sleep, 999]", "bye")) == [
        "~ change the command of web: sleep 999 instead of sh -c 'echo $GREETING from"
        " $LINKSPAN_NODE; exec sleep 1000'"
    ]
    assert actions(machine, "up", written("[]")) == ["- end sleep 999 in web"]
    refused = machine.linkspan("logs", "office/web", status=2)
    assert "web of office has no command" in refused.stderr
    assert in_node(machine, "ps", "-e", "-o", "comm=").split() == ["lab:office", "ps"]
    machine.linkspan("down", "office")


def test_a_command_that_ends_is_started_again_without_what_it_left(machine: Machine) -> None:
    script = '[sh, -c, "sleep 1000 & echo begun; exit 3"]'
    actions(machine, "up", written(script))
    wait_until(lambda: len(logged(machine)) > 2)
    shown = machine.linkspan("show", "office").stdout
    assert "exited 3" in shown
    actions(machine, "up", written("[sleep, 999]"))
    wait_until(lambda: in_node(machine, "ps", "-e", "-o", "args=").count("sleep") == 1)
    machine.linkspan("down", "office")


def test_mounts_come_and_go_while_the_node_runs(any_machine: Machine) -> None:
    machine = any_machine
    for name in ("one", "two"):
        folder = machine.folder / name
        folder.mkdir()
        (folder / "name").write_text(name)
        folder.chmod(0o777)
    one, two = (f"{machine.folder}/{name}:/mnt" for name in ("one", "two"))
    assert actions(machine, "up", written()) == []
    pid = in_node(machine, "pgrep", "-x", "sleep")
    assert actions(machine, "up", written(mounts=f'"{one}:ro"')) == [
        f"+ mount {machine.folder}/one over /mnt in web, read-only"
    ]
    assert in_node(machine, "cat", "/mnt/name") == "one"
    in_node(machine, "touch", "/mnt/x", status=1)
    assert actions(machine, "up", written(mounts=f'"{one}"')) == [
        "~ change /mnt in web: read-only off instead of on"
    ]
    in_node(machine, "touch", "/mnt/x")
    assert (machine.folder / "one/x").exists()
    assert actions(machine, "up", written(mounts=f'"{two}"')) == [
        f"~ change /mnt in web: source {machine.folder}/two instead of {machine.folder}/one"
    ]
    assert in_node(machine, "cat", "/mnt/name") == "two"
    in_node(machine, sys.executable, "-c", UNMOUNT)
    assert actions(machine, "up", written(mounts=f'"{two}"')) == [
        f"+ mount {machine.folder}/two over /mnt in web"
    ]
    assert actions(machine, "up", written(mounts=f'"{two}"')) == []
    assert "name" not in in_node(machine, "ls", "/mnt", node="other")
    assert actions(machine, "up", written()) == ["- unmount /mnt in web"]
    assert "name" not in in_node(machine, "ls", "/mnt")
    assert in_node(machine, "pgrep", "-x", "sleep") == pid, "the command went on"
    machine.linkspan("down", "office")


def test_what_is_not_there_is_told_before_anything_is_touched(machine: Machine) -> None:
    file = machine.file(written(mounts="./nothing:/srv, /etc/hostname:/mnt, /tmp:/no/such"))
    error = machine.linkspan("up", file, status=2).stderr
    assert f"mount 1: there is no {machine.folder}/nothing" in error
    assert "/etc/hostname is a file, and /mnt is not" in error
    assert "there is no /no/such on this machine" in error
    error = machine.linkspan("plan", machine.file(written("no-such-program")), status=4).stderr
    assert "no-such-program is not installed" in error


def test_a_command_ends_with_a_lab_that_is_killed(machine: Machine) -> None:
    actions(machine, "up", written("[sleep, 987654]"))
    wait_until(lambda: _sleepers() == 1)
    os.kill(machine.process("linkspan.sandbox.init"), signal.SIGKILL)
    wait_until(lambda: _sleepers() == 0)
    assert "is up" in machine.linkspan("up", machine.file(written("[sleep, 987654]"))).stdout
    wait_until(lambda: _sleepers() == 1)
    machine.linkspan("down", "office")
    assert _sleepers() == 0


def _sleepers() -> int:
    found = 0
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            found += (process / "cmdline").read_bytes() == b"sleep\x00987654\x00"
    return found
