"""A process that owns one lab: it takes it down when its standard input ends.

usage: python -m bench.contenders.lab_keeper FILE

A lab is made to outlive the program that brought it up; the bench must leave nothing, even when it
is killed. Its death closes this process's input, so the lab goes. Once the lab is up, one line of
JSON tells where it is: a process in each of the nodes `left` and `right`, and the switch's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import linkspan

RESIDENT = "cat"  # lives in a node until its input ends
SWITCH_MODULE = b"linkspan.engine.user.process"
LIMIT = 10.0  # seconds until a command in a node must run


def processes() -> list[int]:
    """Every process that can be seen from here."""
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]


def arguments_of(pid: int) -> list[bytes]:
    """A process's command line; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def resident(command: subprocess.Popen[bytes]) -> int:
    """The process that a started command became inside its node, as seen from outside.

    Raises TimeoutError.
    """
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        for pid in map(int, children.read_text(encoding="ascii").split()):
            if arguments_of(pid)[:1] == [RESIDENT.encode()]:
                return pid
        time.sleep(0.02)
    raise TimeoutError(f"no {RESIDENT} in the node after {LIMIT:.0f} s")


def switches_beside(pid: int) -> list[int]:
    """The switch processes of the lab that a process belongs to: a lab is one PID namespace."""

    def lab(member: int) -> str:
        try:
            return str(Path(f"/proc/{member}/ns/pid").readlink())
        except OSError:
            return ""

    here = lab(pid)
    return [
        other
        for other in processes()
        if SWITCH_MODULE in arguments_of(other) and lab(other) == here
    ]


def main() -> None:
    """Bring the lab up, say where it is, wait, take it down."""
    os.setsid()  # a Ctrl-C is for the bench; this process still has to clean up
    with linkspan.up(sys.argv[1]) as lab:
        commands = [
            lab[node].start([RESIDENT], stdin=subprocess.PIPE) for node in ("left", "right")
        ]
        left, right = map(resident, commands)
        print(json.dumps({"left": left, "right": right, "switches": switches_beside(left)}))
        sys.stdout.flush()
        sys.stdin.read()
        for command in commands:
            assert command.stdin is not None
            command.stdin.close()
            command.wait()


if __name__ == "__main__":
    main()
