"""A lab's init process for the time of a command: the running one, or one that is started.

A folder whose lock is free was left by a crash or a reboot. Of a sandbox nothing else is left, so
the folder is emptied. In scope host bridges and an uplink may still be there, and the folder knows
what they are and what was before: it is kept, and a new init process takes over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from linkspan.control.client import Client
from linkspan.errors import Fault, Missing, Mistake
from linkspan.lab.find import Place
from linkspan.model.topology import Scope
from linkspan.sandbox import holder, state

SCOPE_FILE = "scope"


@dataclass(frozen=True, slots=True)
class Life:
    """A connection to a lab's init process."""

    init: Client
    was_alive: bool
    """Whether the init process was there before this command."""
    was_left: bool
    """Whether the folder of an ended lab of scope host was taken over."""


@contextmanager
def alive(place: Place, scope: Scope) -> Iterator[Life]:
    """A lab's init process, started if there is none. One that was started ends with the block if
    it ends by an error, as long as it has not been told to commit.

    Raises Mistake when the lab is there with another scope, Missing when the kernel gives no
    namespaces or the privilege is missing.
    """
    if scope is Scope.HOST and os.geteuid() != 0:
        raise Missing("scope host changes the machine's own network\n  next: run as root")
    lock = state.take(place.folder)
    if lock is None:
        _require_scope(place, scope)
        with holder.connect(place.folder) as init:
            yield Life(init, was_alive=True, was_left=False)
        return
    try:
        was_left = left_in_host(place.folder)
        if was_left:
            _require_scope(place, scope)
        else:
            state.empty(place.folder)
        (place.folder / SCOPE_FILE).write_text(scope.value)
        (place.folder / "etc").mkdir(mode=0o755, exist_ok=True)
        init = holder.start(place.folder, lock, scope.value)
    except BaseException:
        if not was_left:
            state.remove(place.folder, lock)
        raise
    finally:
        os.close(lock)
    try:
        with init:
            yield Life(init, was_alive=False, was_left=was_left)
    except BaseException:
        if scope is Scope.SANDBOX:
            holder.end(place.folder)
        raise


def left_in_host(folder: Path) -> bool:
    """Whether a folder tells of a lab of scope host that may have left something."""
    try:
        return (folder / SCOPE_FILE).read_text() == Scope.HOST.value
    except OSError:
        return False


def scope_of(folder: Path) -> Scope:
    """The scope of the lab whose folder this is."""
    return Scope.HOST if left_in_host(folder) else Scope.SANDBOX


def _require_scope(place: Place, scope: Scope) -> None:
    if scope_of(place.folder) is not scope:
        raise Mistake(
            Fault(
                f"the lab {place.name} is there with scope {scope_of(place.folder).value}",
                expected=f"scope {scope.value}, as in the file",
                next_step=f"linkspan down {place.name} first, or give this file another `name:`",
            )
        )
