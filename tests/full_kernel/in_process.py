"""The commands without a process for each, since starting Python takes seconds in a guest."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from linkspan.lab.down import down
from linkspan.lab.find import find_running
from linkspan.lab.observe import observe
from linkspan.lab.probe import ping
from linkspan.lab.up import preview, up
from linkspan.model.snapshot import LabSnapshot

PATIENCE: Final = 60.0
"""Seconds after which a test gives up; never a measure."""


class Lab:
    """One lab, and the file that says what it is to be."""

    def __init__(self, folder: Path, text: str) -> None:
        self._file = folder / "lab.yaml"
        self.change(text)

    def change(self, text: str) -> None:
        """Make it what another text says, and nothing is left to do then."""
        self._file.write_text(text)
        up(self._file)
        changes, _ = preview(self._file)
        assert not changes

    def show(self) -> LabSnapshot:
        """As `linkspan show`."""
        return observe(find_running(None))

    def wait_for_reach(self, *wanted: tuple[str, str]) -> None:
        """Until these have reached these addresses."""
        deadline = time.monotonic() + PATIENCE
        while missing := set(wanted) - self._reached():
            assert time.monotonic() < deadline, missing

    def _reached(self) -> set[tuple[str, str]]:
        found = ping(find_running(None), 5.0)
        return {(reach.source, reach.address) for reach in found if reach.result == "reached"}

    def run(self, node: str, *command: str) -> str:
        """What a command in a node says."""
        words = [sys.executable, "-P", "-m", "linkspan", "exec", node, "--", *command]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def end(self) -> None:
        """As `linkspan down`."""
        down(find_running(None))
