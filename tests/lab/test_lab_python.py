"""Labs from Python, and the demo, which is a Python program."""

from __future__ import annotations

import re
import sys

import pytest
from tests.machine import EXAMPLES, REPOSITORY, Machine

from linkspan.errors import LinkspanError, Missing, Mistake, Refusal
from linkspan.lab.handle import _error

PROGRAM = """
import subprocess, sys, threading
import linkspan
from linkspan.errors import Mistake

stop = threading.Event()
threads = [threading.Thread(target=stop.wait) for _ in range(8)]
for thread in threads:
    thread.start()

with linkspan.up(sys.argv[1]) as lab:
    names = {}
    def ask(node):
        names[node] = lab[node].run(["hostname"], capture_output=True, text=True, check=True).stdout
    askers = [threading.Thread(target=ask, args=[node]) for node in ("web", "db", "client")]
    for asker in askers: asker.start()
    for asker in askers: asker.join()
    print(sorted(names.items()))
    print(lab["web"].run(["sh", "-c", "exit 5"]).returncode)
    try:
        lab["web"].run(["false"], check=True)
    except subprocess.CalledProcessError as error:
        print("failed", error.returncode)
    with lab["db"].start(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cat:
        print(cat.communicate("through a node\\n")[0], end="")
    print(all(reach.result == "reached" for reach in lab.ping()))
    print([node.name for node in lab.snapshot().nodes])
    try:
        lab["mail"]
    except KeyError as error:
        print(error)
stop.set()
try:
    lab.snapshot()
except Mistake as error:
    print(str(error).splitlines()[0])
"""


def test_a_program_with_threads_uses_a_lab(any_machine: Machine) -> None:
    program = [sys.executable, "-c", PROGRAM, str(EXAMPLES / "three-containers.yaml")]
    assert any_machine.run(program, 0).stdout.splitlines() == [
        "[('client', 'client\\n'), ('db', 'db\\n'), ('web', 'web\\n')]",
        "5",
        "failed 1",
        "through a node",
        "True",
        "['host', 'web', 'db', 'client']",
        "\"demo has no node 'mail'; it has host, web, db, client\"",
        "there is no lab named 'demo'",
    ]
    assert any_machine.traces() - any_machine.before == []


def test_an_exception_in_the_block_takes_the_lab_down(machine: Machine) -> None:
    program = (
        "import linkspan, sys\n"
        "try:\n"
        "    with linkspan.up(sys.argv[1]):\n"
        "        raise RuntimeError('of the program')\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
    )
    done = machine.run([sys.executable, "-c", program, EXAMPLES / "isolated.yaml"], 0)
    assert done.stdout == "of the program\n"
    assert machine.traces() - machine.before == []


def test_a_lab_that_was_taken_down_inside_the_block_is_no_error(machine: Machine) -> None:
    program = (
        "import linkspan, sys\n"
        "with linkspan.up(sys.argv[1]) as lab:\n"
        "    lab.down()\n"
        "print('done')\n"
    )
    done = machine.run([sys.executable, "-c", program, EXAMPLES / "isolated.yaml"], 0)
    assert done.stdout == "done\n"


def test_a_wrong_file_raises_what_the_command_says(machine: Machine) -> None:
    program = (
        "import linkspan, sys\n"
        "from linkspan.errors import Mistake\n"
        "try:\n"
        "    linkspan.up(sys.argv[1])\n"
        "except Mistake as error:\n"
        "    print(error)\n"
    )
    file = machine.file("bridges: {br0: {colour: red}}")
    done = machine.run([sys.executable, "-c", program, file], 0)
    assert done.stdout.startswith(f"{file}:1:")
    assert "colour" in done.stdout
    assert (
        done.stdout.rstrip()
        == machine.linkspan("up", file, status=2).stderr.removeprefix("linkspan: ").rstrip()
    )


@pytest.mark.parametrize(("status", "kind"), [(2, Mistake), (3, Refusal), (4, Missing)])
def test_statuses_become_exceptions_and_back(status: int, kind: type[LinkspanError]) -> None:
    error = _error(status, "what it said")
    assert type(error) is kind
    assert error.exit_code == status
    assert str(error) == "what it said"


def test_the_demo(any_machine: Machine) -> None:
    done = any_machine.run([sys.executable, REPOSITORY / "examples" / "demo.py"], 0)
    text = done.stdout
    for part in ("web", "db", "client", "192.168.57.1/24", "br0"):
        assert part in text
    assert "12 of 12 pairs reach each other" in text
    learned = [line for line in text.splitlines() if line.startswith("br0 ") and "learned" in line]
    assert {line.split()[3] for line in learned} == {"web.eth0", "db.eth0", "client.eth0"}
    (gigabits,) = re.findall(r"^([\d.]+) Gbit/s", text, re.MULTILINE)
    assert float(gigabits) > 0
    assert "The lab is down again; nothing of it is left." in text
    assert done.stderr == ""
    assert any_machine.traces() - any_machine.before == []
