"""What the command of a node wrote, and what it goes on to write; of a virtual machine, what its
guest says on the console, and its QEMU of itself.

The file is cut now and then, by a process that asks nobody (`sandbox/output.py`): its last part is
then its beginning. Who follows it keeps the bytes that were read last. When they no longer stand
where they stood, the file was cut, and reading goes on behind them, wherever they stand now. Only
what was written faster than it was read, and cut, is missed; that is told.
"""

from __future__ import annotations

import codecs
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from linkspan.errors import Fault, Missing, Mistake, Refusal
from linkspan.lab.find import Place
from linkspan.model.topology import NodeKind
from linkspan.sandbox import holder
from linkspan.sandbox.output import output_file
from linkspan.services.guest_console import Plain, plain
from linkspan.services.machines import machine_services

INTERVAL: Final = 0.1
"""Seconds between two looks at a file that is followed; a cut takes far less."""

_REMEMBERED: Final = 512
"""Bytes that are looked for after a cut."""

_ASK_AFTER: Final = 1.0
"""Seconds between two questions whether a machine runs."""

_MOST: Final = 1 << 24
"""Bytes that are read at once; a file has this many only before it is cut for the first time."""


class Followed:
    """A file that is read on while it is written to and cut. A context manager."""

    def __init__(self, file: Path) -> None:
        """Raises OSError."""
        self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        self._place = 0
        self._last = b""
        self.missed = 0
        """How often something was cut off before it was read."""

    def __enter__(self) -> Followed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    @property
    def is_removed(self) -> bool:
        """Whether the file has no name any more."""
        return os.fstat(self._descriptor).st_nlink == 0

    def was_cut(self) -> bool:
        """Whether what was read last no longer stands where it stood."""
        begin = self._place - len(self._last)
        return os.pread(self._descriptor, len(self._last), begin) != self._last

    def read(self) -> bytes:
        """What was written since the last call; after a cut, not before that is done."""
        if not self.was_cut():
            new = os.pread(self._descriptor, _MOST, self._place)
        else:
            all_of_it = os.pread(self._descriptor, _MOST, 0)
            found = all_of_it.rfind(self._last)
            self.missed += found < 0
            self._place = 0 if found < 0 else found + len(self._last)
            new = all_of_it[self._place :]
        self._place += len(new)
        self._last = (self._last + new)[-_REMEMBERED:]
        return new


def written(place: Place, node: str, lines: int | None) -> list[str]:
    """The last lines that a node wrote, all that are kept for None. Raises Mistake when there is
    nothing in it that could.
    """
    try:
        with Followed(_file_of(place, node)) as file:
            text = _last_lines(file.read(), lines).decode(errors="replace")
    except FileNotFoundError:
        return []
    if _is_machine(place, node):
        text = plain(text)
    return text.removesuffix("\n").split("\n") if text else []


def follow(
    place: Place, node: str, lines: int | None, complain: Callable[[str], None]
) -> Iterator[str]:
    """The last lines that a node wrote, then what it writes, as it comes, until the lab ends, the
    command is taken from the node, or the machine ends. `complain` is told what was missed.

    Raises Mistake when there is nothing in the node that could write.
    """
    path, ending = _file_of(place, node), _Ending(place, node)
    while not path.exists():
        if ending.is_there():
            return
        time.sleep(INTERVAL)
        _file_of(place, node)
    pieces = _read_on(path, node, lines, ending, complain)
    if not _is_machine(place, node):
        yield from pieces
        return
    text = Plain()
    for piece in pieces:
        yield text.feed(piece)


def _read_on(
    path: Path,
    node: str,
    lines: int | None,
    ending: _Ending,
    complain: Callable[[str], None],
) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with Followed(path) as file:
        yield decoder.decode(_last_lines(file.read(), lines))
        missed = 0
        while True:
            is_over = file.is_removed or ending.is_there()  # before what is read for the last time
            if file.was_cut():
                time.sleep(INTERVAL)
            new = file.read()
            if file.missed > missed:
                missed = file.missed
                complain(f"{node} writes faster than this is read: some of it was missed")
            if new:
                yield decoder.decode(new)
            elif is_over:
                break
            else:
                time.sleep(INTERVAL)
    yield decoder.decode(b"", final=True)


class _Ending:
    """The end of a lab, or of a virtual machine, which init is asked about once a second."""

    def __init__(self, place: Place, node: str) -> None:
        self._place = place
        self._node = node
        self._is_machine = _is_machine(place, node)
        self._asked = 0.0

    def is_there(self) -> bool:
        return not self._place.is_alive or (self._is_machine and self._has_ended())

    def _has_ended(self) -> bool:
        if time.monotonic() - self._asked < _ASK_AFTER:
            return False
        self._asked = time.monotonic()
        try:
            with holder.connect(self._place.folder) as init:
                status = machine_services(init).get(self._node)
        except (Missing, Refusal):
            return True  # with the lab
        return status is None or not status["pid"]


def _last_lines(data: bytes, count: int | None) -> bytes:
    if count is None:
        return data
    lines = re.findall(rb"[^\n]*\n|[^\n]+", data)
    return b"".join(lines[-count:]) if count else b""


def _file_of(place: Place, node: str) -> Path:
    topology = place.topology()
    declared = topology.nodes.get(node) if topology is not None else None
    if declared is None or not (declared.command or declared.kind is NodeKind.VM):
        raise Mistake(
            Fault(
                f"{node} of {place.name} has no command that could have written something",
                next_step=f"write a `command`, or: linkspan exec {place.name}/{node} -- …",
            )
        )
    return output_file(place.folder, node)


def _is_machine(place: Place, node: str) -> bool:
    topology = place.topology()
    return topology is not None and topology.is_machine(node)
