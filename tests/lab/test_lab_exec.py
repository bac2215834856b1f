"""A command in a node is as if it had been started here: status, streams, signals, terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.machine import EXAMPLES, PATIENCE, Machine, linkspan_command

DEMO = EXAMPLES / "three-containers.yaml"


@pytest.fixture
def lab(any_machine: Machine) -> Iterator[Machine]:
    """A machine on which the lab of the demo is up."""
    any_machine.linkspan("up", DEMO)
    yield any_machine
    any_machine.linkspan("down", "demo")


def in_web(lab: Machine, script: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a shell script in the node web."""
    return lab.run(linkspan_command("exec", "demo/web", "--", "sh", "-c", script), **options)


def test_status_streams_and_folder_are_passed_through(lab: Machine, tmp_path: Path) -> None:
    assert in_web(lab, "exit 0").returncode == 0
    assert in_web(lab, "exit 7").returncode == 7
    assert in_web(lab, "kill -9 $$").returncode == 128 + signal.SIGKILL
    assert in_web(lab, "kill -TERM $$").returncode == 128 + signal.SIGTERM
    done = in_web(lab, "cat; echo problem >&2", input="a line\n")
    assert (done.stdout, done.stderr) == ("a line\n", "problem\n")
    assert in_web(lab, "pwd", cwd="/usr").stdout == "/usr\n"


def test_a_command_that_cannot_run_ends_as_in_a_shell(lab: Machine) -> None:
    missing = lab.linkspan("exec", "demo/web", "--", "no-such-command", status=127)
    assert missing.stderr.startswith("linkspan: no-such-command: command not found\n  next: ")
    forbidden = lab.linkspan("exec", "demo/web", "--", "/etc/hosts-not-executable/x", status=None)
    assert forbidden.returncode == 127
    folder = lab.linkspan("exec", "demo/web", "--", "/etc", status=126)
    assert folder.stderr == "linkspan: /etc: Permission denied\n"


def test_options_after_the_command_are_the_commands_own(lab: Machine) -> None:
    assert lab.linkspan("exec", "web", "echo", "--json", "-h", "--help").stdout == (
        "--json -h --help\n"
    )
    assert lab.linkspan("exec", "web", "--", "echo", "a", "--", "b").stdout == "a -- b\n"


def test_the_node_needs_its_labs_name_only_when_there_are_several(lab: Machine) -> None:
    assert lab.linkspan("exec", "web", "--", "hostname").stdout == "web\n"
    refused = lab.linkspan("exec", "mail", "--", "true", status=2)
    assert "no node named 'mail'" in refused.stderr
    assert "host, web, db, client" in refused.stderr
    assert lab.linkspan("exec", "other/web", "--", "true", status=2).stdout == ""
    lab.linkspan("up", EXAMPLES / "isolated.yaml")
    refused = lab.linkspan("exec", "web", "--", "true", status=2)
    assert "2 labs: demo, isolated" in refused.stderr
    lab.linkspan("down", "isolated")


def test_without_a_command_there_is_a_shell(lab: Machine) -> None:
    done = lab.linkspan("exec", "db", input="hostname; exit 5\n", status=5)
    assert done.stdout == "db\n"
    own = lab.run(
        linkspan_command("exec", "db"), environment={"SHELL": "/bin/cat"}, input="not run\n"
    )
    assert own.stdout == "not run\n"


def test_a_node_has_names_of_its_own(lab: Machine) -> None:
    assert in_web(lab, "hostname; cat /proc/sys/kernel/hostname").stdout == "web\nweb\n"
    hosts = in_web(lab, "cat /etc/hosts").stdout.splitlines()
    assert "192.168.57.3 db" in hosts
    assert "fd00:57::3 db" in hosts
    assert "192.168.57.1 host" in hosts
    assert "nameserver" not in in_web(lab, "cat /etc/resolv.conf").stdout
    script = "import socket; print(socket.gethostbyname('db'), socket.gethostbyname('host'))"
    assert lab.linkspan("exec", "web", "--", "python3", "-c", script).stdout == (
        "192.168.57.3 192.168.57.1\n"
    )
    assert socket.gethostname() != "web"


def test_a_node_sees_its_own_interfaces_only(lab: Machine) -> None:
    for node, expected in (("web", ["eth0", "lo"]), ("host", ["br0", "lo"])):
        assert lab.linkspan("exec", node, "--", "ls", "/sys/class/net").stdout.split() == expected


def test_a_node_sees_the_labs_processes_only(lab: Machine) -> None:
    numbers = in_web(lab, "ls /proc").stdout.split()
    processes = [int(number) for number in numbers if number.isdecimal()]
    assert 1 in processes
    assert len(processes) < 10
    assert os.getpid() not in processes


def test_a_command_inherits_nothing_of_ours(lab: Machine) -> None:
    script = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
    done = lab.linkspan("exec", "web", "--", "python3", "-c", script)
    assert json.loads(done.stdout) == [0, 1, 2]


def test_a_switch_inherits_the_ports_of_its_bridge_only(machine: Machine) -> None:
    machine.linkspan("up", DEMO)
    switch = machine.process("engine.user.process")
    opened = [str(entry.readlink()) for entry in Path(f"/proc/{switch}/fd").iterdir()]
    machine.linkspan("down", "demo")
    assert not [target for target in opened if target.startswith(("mnt:", "uts:", "net:"))]
    assert not [target for target in opened if target.endswith("/lock")]


def test_a_variable_tells_the_command_where_it_is(lab: Machine) -> None:
    assert in_web(lab, "echo $LINKSPAN_LAB/$LINKSPAN_NODE").stdout == "demo/web\n"


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_sent_to_us_reach_the_command(machine: Machine, sent: signal.Signals) -> None:
    machine.linkspan("up", DEMO)
    name = sent.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.05; done"
    with machine.start(
        linkspan_command("exec", "web", "--", "sh", "-c", script), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        assert process.communicate(timeout=20)[0] == f"got {name}\n"
    assert process.returncode == 9
    machine.linkspan("down", "demo")


def read_until(terminal: int, end: bytes) -> bytes:
    """What a terminal shows up to and with `end`."""
    seen = b""
    while end not in seen:
        ready, _, _ = select.select([terminal], [], [], PATIENCE)
        assert ready, f"no {end!r} after {seen!r}"
        seen += os.read(terminal, 1024)
    return seen


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: ours, and the one for the program."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_ctrl_c_on_a_terminal_reaches_the_command_once(
    lab: Machine, terminal: tuple[int, int]
) -> None:
    ours, theirs = terminal
    script = "trap 'echo got it; sleep 0.3; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    process = lab.start(linkspan_command("exec", "web", "--", "sh", "-c", script), terminal=theirs)
    read_until(ours, b"ready\r\n")
    os.write(ours, b"\x03")
    assert read_until(ours, b"got it\r\n").count(b"got it") == 1
    assert process.wait(timeout=20) == 3


def test_a_command_that_ctrl_c_kills_ends_with_130(
    machine: Machine, terminal: tuple[int, int]
) -> None:
    machine.linkspan("up", DEMO)
    ours, theirs = terminal
    process = machine.start(
        linkspan_command("exec", "web", "--", "sh", "-c", "echo ready; exec sleep 100"),
        terminal=theirs,
    )
    read_until(ours, b"ready\r\n")
    os.write(ours, b"\x03")
    assert process.wait(timeout=20) == 130
    machine.linkspan("down", "demo")


def test_ctrl_z_stops_the_command_and_us_until_the_shell_outside_goes_on(
    machine: Machine, terminal: tuple[int, int]
) -> None:
    machine.linkspan("up", DEMO)
    ours, theirs = terminal
    command = " ".join(map(str, linkspan_command("exec", "web", "--", "sh", "-c")))
    # Nothing that starts programs: a shell whose vfork the stop hits is not stopped, ever.
    inner = "echo ready; read line; echo went $line; exit 6"
    process = machine.start(["sh", "-i"], terminal=theirs)
    os.write(ours, f"{command} '{inner}'\n".encode())
    read_until(ours, b"ready\r\n")
    os.write(ours, b"\x1a")
    read_until(ours, b"Stopped")
    os.write(ours, b"fg; echo status=$?; exit\n")
    os.write(ours, b"on\n")
    read_until(ours, b"went on\r\n")
    read_until(ours, b"status=6\r\n")
    process.wait(timeout=20)
    machine.linkspan("down", "demo")


def test_a_command_in_a_pipeline_leaves_the_terminal_to_the_others(
    machine: Machine, terminal: tuple[int, int]
) -> None:
    machine.linkspan("up", DEMO)
    ours, theirs = terminal
    command = " ".join(map(str, linkspan_command("exec", "web", "--", "echo", "from", "web")))
    process = machine.start(["sh", "-i"], terminal=theirs)
    os.write(ours, f"{command} | (cat; read line < /dev/tty; echo heard $line)\n".encode())
    read_until(ours, b"from web\r\n")
    os.write(ours, b"me\n")
    read_until(ours, b"heard me\r\n")
    os.write(ours, b"exit\n")
    process.wait(timeout=20)
    machine.linkspan("down", "demo")


def test_an_interactive_shell_has_its_terminal(machine: Machine, terminal: tuple[int, int]) -> None:
    machine.linkspan("up", DEMO)
    ours, theirs = terminal
    process = machine.start(linkspan_command("exec", "web", "--", "sh", "-i"), terminal=theirs)
    os.write(ours, b"test -t 0 && test -t 1 && echo term''inal; hostname; exit 4\n")
    assert b"terminal\r\nweb\r\n" in read_until(ours, b"web\r\n")
    assert process.wait(timeout=20) == 4
    machine.linkspan("down", "demo")
