"""Progress of long work: one line on a terminal, rewritten in place; nothing in a pipe."""

from __future__ import annotations

import sys
import time
from typing import Final, TextIO

from linkspan.plan.change import Change

PATIENCE: Final = 0.5
"""Seconds that work may take before its progress is worth a line."""

INTERVAL: Final = 0.1
"""Seconds between two lines."""

_ERASE: Final = "\r\x1b[K"


class ProgressLine:
    """The line that says which action is under way; gone at the end of the `with` block."""

    def __init__(self, terminal: TextIO = sys.stderr) -> None:
        self._terminal = terminal
        self._shown = terminal.isatty()
        self._due = time.monotonic() + PATIENCE

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._write(_ERASE)

    def __call__(self, done: int, of: int, change: Change) -> None:
        """Say what is done now, if that is due."""
        now = time.monotonic()
        if self._shown and now >= self._due:
            self._due = now + INTERVAL
            self._write(f"{_ERASE}{done} of {of} steps: {change.explain()}"[:79])

    def _write(self, text: str) -> None:
        self._terminal.write(text)
        self._terminal.flush()
