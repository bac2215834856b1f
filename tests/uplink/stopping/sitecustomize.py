"""A place to stop at, for tests that kill `linkspan` between two actions.

Python imports this at its start when the folder is on PYTHONPATH. `LINKSPAN_TEST_STOP` is a number
and the path of a FIFO: before that action of a change the process writes to the FIFO and waits to
be killed. The guard and the lab's init process are other programs and take no notice.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

_STOP = os.environ.get("LINKSPAN_TEST_STOP", "")


def _stop_before(number: int, fifo: str) -> None:
    from linkspan.lab import records

    note = records.Records.note
    seen = 0

    def note_and_stop(self: records.Records, changes: Sequence[Any]) -> None:
        nonlocal seen
        note(self, changes)
        seen += len(changes)
        if seen - len(changes) < number <= seen:
            with open(fifo, "w") as told:
                told.write("stopped")
            time.sleep(1000)

    records.Records.note = note_and_stop  # type: ignore[method-assign]


if _STOP and sys.orig_argv[1:4] == ["-P", "-m", "linkspan"]:
    _number, _, _fifo = _STOP.partition(":")
    _stop_before(int(_number), _fifo)
