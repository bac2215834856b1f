"""What a lab's folder remembers: the file it was made from, what was applied, what is under way.

    topology.json   the file's values, once the lab is complete
    applied.json    the state that was applied: what of all that is there is the lab's
    engines.json    why each bridge has the engine that it has
    taken.json      the machine's network cards that are uplinks, as they were before
    journal.json    written before the first action of a change, removed when all is as it should
                    be: the state before, the state to come, and who is at it
    originals.json  what sysctls were before the lab set them for the first time
    journal.log     a line for each action, written before it is carried out, or before the first
                    of those that are carried out side by side

A change that waits to be confirmed is remembered as if it had been, and its journal stays open,
with what was remembered before.

A journal that stands there while nobody holds the lab's turn is a change that was interrupted.
Every file but the log is written beside its place and moved there, so that it is whole or not
there at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import msgspec
from msgspec.structs import replace

from linkspan.model.state import AnyKey, AnyValue, SettingKey, State
from linkspan.model.topology import Topology
from linkspan.plan.change import Change
from linkspan.plan.uplink import Taken
from linkspan.sandbox import state as files

APPLIED: Final = "applied.json"
ENGINES: Final = "engines.json"
TAKEN: Final = "taken.json"
JOURNAL: Final = "journal.json"
ORIGINALS: Final = "originals.json"
JOURNAL_LOG: Final = "journal.log"

Facts = list[tuple[AnyKey, AnyValue]]
Kind = TypeVar("Kind")


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """A change that is under way, was interrupted, or waits to be confirmed."""

    command: str
    """What was asked for, for people."""
    before: Facts
    after: Facts
    was_up: bool
    """Whether the lab was complete before."""
    confirm_by: float | None = None
    """Seconds since 1970-01-01 UTC until which the change has to be confirmed; None for one that
    has not to be, or that has not been carried out yet."""
    topology: Topology | None = None
    """What was remembered before: the file, and the state that was applied."""
    applied: Facts = []


class Records:
    """The files of one lab's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log: BinaryIO | None = None

    def topology(self) -> Topology | None:
        """The topology that was applied; None for a lab that is not complete."""
        return self._read(files.TOPOLOGY, Topology)

    def applied(self) -> State:
        """The state that was applied; empty for a lab that never was complete."""
        return dict(self._read(APPLIED, Facts) or [])

    def engines(self) -> dict[str, str]:
        """By bridge: why it has the engine that it has."""
        return self._read(ENGINES, dict[str, str]) or {}

    def originals(self) -> dict[SettingKey, str]:
        """What sysctls were before the lab set them."""
        return dict(self._read(ORIGINALS, list[tuple[SettingKey, str]]) or [])

    def remember_originals(self, originals: dict[SettingKey, str]) -> None:
        """Note what sysctls were, all of them."""
        self._write(ORIGINALS, list(originals.items()))

    def journal(self) -> Journal | None:
        """The change that is under way, or was interrupted."""
        return self._read(JOURNAL, Journal)

    def begin(self, journal: Journal) -> None:
        """Note a change before its first action."""
        self._end_log()
        self._write(JOURNAL, journal)

    def note(self, changes: Sequence[Change]) -> None:
        """Note actions that are about to be carried out."""
        if self._log is None:
            self._log = open(self._folder / JOURNAL_LOG, "ab", buffering=0)  # noqa: SIM115
        lines = [f"{change.explain()}: {change.reason}\n" for change in changes]
        self._log.write("".join(lines).encode())

    def finish(self, topology: Topology, applied: State, engines: dict[str, str]) -> None:
        """A change was carried out: remember what the lab is now, and close the journal."""
        self.remember(topology, applied, engines)
        self.close_journal()

    def remember(self, topology: Topology, applied: State, engines: dict[str, str]) -> None:
        """Remember what the lab is now."""
        self._write(ENGINES, engines)
        self._write(APPLIED, list(applied.items()))
        self._write(files.TOPOLOGY, topology)

    def forget(self) -> None:
        """Nothing of the lab is there any more."""
        self.close_journal()
        for name in (files.TOPOLOGY, APPLIED, ENGINES, TAKEN, ORIGINALS):
            (self._folder / name).unlink(missing_ok=True)

    def await_confirmation(self, until: float) -> None:
        """A change was carried out: its journal stays open until somebody confirms it."""
        if (journal := self.journal()) is not None:
            self._write(JOURNAL, replace(journal, confirm_by=until))

    def taken(self) -> list[Taken]:
        """The machine's network cards that are uplinks of the lab, as they were before."""
        return self._read(TAKEN, list[Taken]) or []

    def keep_taken(self, taken: Sequence[Taken]) -> None:
        """Remember which cards are uplinks. A card is forgotten after the journal was closed: as
        long as a change may be taken back, it must be known what the card was.
        """
        if taken:
            self._write(TAKEN, list(taken))
        else:
            (self._folder / TAKEN).unlink(missing_ok=True)

    def close_journal(self) -> None:
        """No change is under way any more."""
        (self._folder / JOURNAL).unlink(missing_ok=True)
        self._end_log()

    def _end_log(self) -> None:
        (self._folder / JOURNAL_LOG).unlink(missing_ok=True)
        if self._log is not None:
            self._log.close()
            self._log = None

    def _read(self, name: str, kind: type[Kind]) -> Kind | None:
        try:
            return msgspec.json.decode((self._folder / name).read_bytes(), type=kind)
        except (OSError, msgspec.MsgspecError):
            return None

    def _write(self, name: str, value: object) -> None:
        beside = self._folder / f"{name}.new"
        beside.write_bytes(msgspec.json.encode(value))
        beside.rename(self._folder / name)
