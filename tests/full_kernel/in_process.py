"""The commands without a process for each, since starting Python takes seconds in a guest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from linkspan.lab.down import down
from linkspan.lab.find import find_running
from linkspan.lab.observe import observe
from linkspan.lab.probe import ping
from linkspan.lab.up import preview, up
from linkspan.model.snapshot import LabSnapshot


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

    def reached(self) -> set[tuple[str, str]]:
        """Addresses that answer, by who asks."""
        found = ping(find_running(None), 5.0)
        return {(reach.source, reach.address) for reach in found if reach.result == "reached"}

    def run(self, node: str, *command: str) -> str:
        """What a command in a node says."""
        words = [sys.executable, "-P", "-m", "linkspan", "exec", node, "--", *command]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def end(self) -> None:
        """As `linkspan down`."""
        down(find_running(None))
