"""Our switch as its users get it: a lab of two containers on one bridge with `engine: user`.

The lab makes its own namespaces, so the stage's are not used. It is owned by a process of its own
(lab_keeper.py) that takes it down when the trial ends or the bench dies.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.contenders.base import ADDRESSES, Wired
from bench.stage import COMMAND_LIMIT, Endpoint, Namespace, Stage, TrialError, first_line

REPOSITORY = Path(__file__).resolve().parents[2]
LAB = """\
name: {name}
bridges:
  br0: {{engine: user}}
nodes:
  left: {{ports: {{eth0: {{bridge: br0, address: {left}/24}}}}}}
  right: {{ports: {{eth0: {{bridge: br0, address: {right}/24}}}}}}
"""


class LinkspanUser:
    """linkspan's user engine."""

    name = "linkspan_user"
    summary = "our switch, user engine, taps"

    def missing(self) -> str:
        found = find_spec("linkspan") and find_spec("msgspec") and find_spec("pyroute2")
        return "" if found else "not installed: make install"

    def version(self) -> str:
        import linkspan

        command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return f"linkspan {linkspan.__version__}"
        return f"linkspan {linkspan.__version__} {done.stdout.strip()}".rstrip()

    def wire(self, stage: Stage) -> Wired:
        file = stage.folder / "lab.yaml"
        name = f"bench{os.getpid()}"
        file.write_text(LAB.format(name=name, left=ADDRESSES[0], right=ADDRESSES[1]))
        command = [sys.executable, "-m", "bench.contenders.lab_keeper", str(file)]
        keeper = stage.start_reporting(command)
        stage.callback(let_go, keeper)
        announced = first_line(keeper)
        if not announced:
            raise TrialError(f"no lab: {keeper.communicate()[1].strip()}")
        places: dict[str, Any] = json.loads(announced)
        ends = [
            Endpoint(Namespace(int(places[node])), address)
            for node, address in zip(("left", "right"), ADDRESSES, strict=True)
        ]
        return Wired(ends[0], ends[1], switch_pids=tuple(places["switches"]))


def let_go(keeper: subprocess.Popen[str]) -> None:
    """Have the lab taken down. Raises TrialError when that takes more than 20 seconds."""
    assert keeper.stdin is not None
    keeper.stdin.close()
    if keeper.poll():
        return  # it has said why already
    try:
        status = keeper.wait(COMMAND_LIMIT)
    except subprocess.TimeoutExpired:
        raise TrialError("the lab was not taken down in time") from None
    if status:
        raise TrialError(f"taking the lab down failed with exit status {status}")
