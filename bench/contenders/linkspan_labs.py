"""Our switch as its users get it: a lab of containers on one bridge with `engine: user`.

Two contenders: with the in-kernel cache, and with `cache: off`, where every frame crosses Python.
The lab makes its own namespaces, so the stage's are not used. It is owned by a process of its own
(lab_keeper.py) that takes it down when the trial ends or the bench dies.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from bench.contenders.base import Wired, addresses
from bench.stage import (
    COMMAND_LIMIT,
    NETWORK_BITS,
    Endpoint,
    Namespace,
    Stage,
    TrialError,
    first_line,
)

REPOSITORY = Path(__file__).resolve().parents[2]
HEAD = """\
name: {name}
bridges:
  br0: {{engine: user, cache: {cache}}}
nodes:
"""
NODE = "  {name}: {{ports: {{eth0: {{bridge: br0, address: {address}/{bits}}}}}}}\n"
_numbers = itertools.count(1)


class LinkspanLab:
    """linkspan's user engine, with the in-kernel cache or without."""

    def __init__(self, name: str, summary: str, cache: str) -> None:
        """`cache` is the value of the file's key: auto or off."""
        self.name: Final = name
        self.summary: Final = summary
        self._cache = cache

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

    def wire(self, stage: Stage, pairs: int = 1) -> tuple[Wired, ...]:
        file = stage.folder / "lab.yaml"
        places = addresses(pairs)
        file.write_text(self._lab(places), encoding="utf-8")
        command = [sys.executable, "-m", "bench.contenders.lab_keeper", str(file)]
        keeper = stage.start_reporting(command)
        stage.callback(let_go, keeper)
        announced = first_line(keeper)
        if not announced:
            raise TrialError(f"no lab: {keeper.communicate()[1].strip()}")
        lab: dict[str, Any] = json.loads(announced)
        if (self._cache == "off") == (lab["cache"] == "on"):
            raise TrialError(f"in-kernel cache {lab['cache']}")

        def end(side: str, number: int, address: str) -> Endpoint:
            descriptor = int(lab["nodes"][f"{side}{number}"])
            return Endpoint(Namespace(keeper.pid, descriptor), address)

        switches = tuple(lab["switches"])
        return tuple(
            Wired(end("left", number, left), end("right", number, right), switches)
            for number, (left, right) in enumerate(places, start=1)
        )

    def _lab(self, places: tuple[tuple[str, str], ...]) -> str:
        name = f"bench{os.getpid()}-{next(_numbers)}"
        nodes = [
            NODE.format(name=f"{side}{number}", address=address, bits=NETWORK_BITS)
            for number, pair in enumerate(places, start=1)
            for side, address in zip(("left", "right"), pair, strict=True)
        ]
        return HEAD.format(name=name, cache=self._cache) + "".join(nodes)


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
