"""Plans and what came of them, as text and as values for `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from linkspan.model.nic import Secured
from linkspan.plan.change import Change
from linkspan.view.table import plural
from linkspan.view.uplinks import secured_as_text

FEW = 24
"""Actions of a running lab that are listed one by one; of more, the kinds are counted."""


class Done(Protocol):
    """What `up` did, as far as it is shown."""

    @property
    def lab(self) -> str: ...
    @property
    def was_up(self) -> bool: ...
    @property
    def plan(self) -> Sequence[Change]: ...
    @property
    def bridges(self) -> int: ...
    @property
    def nodes(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def secured(self) -> Secured: ...


def plan_as_text(changes: Sequence[Change]) -> str:
    """A line for each action, with its sign and its reason."""
    return "\n".join(f"{sign(change)} {change.explain()}  ({change.reason})" for change in changes)


def sign(change: Change) -> str:
    """`+` for what comes, `-` for what goes, `~` for what becomes another."""
    if change.before is None:
        return "+"
    return "-" if change.after is None else "~"


def plan_as_json(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """The same as values: key, value before and after, action and reason."""
    return [
        {
            "action": change.explain(),
            "reason": change.reason,
            "key": msgspec.to_builtins(change.key),
            "before": msgspec.to_builtins(change.before),
            "after": msgspec.to_builtins(change.after),
        }
        for change in changes
    ]


def up_as_text(done: Done) -> str:
    """What `up` did, and what to do next."""
    about_uplinks = secured_as_text(done.lab, done.secured)
    return "\n".join(filter(None, [_what_was_done(done), about_uplinks]))


def _what_was_done(done: Done) -> str:
    if not done.was_up:
        what = f"{plural(done.bridges, 'bridge')}, {plural(done.nodes, 'node')}"
        return (
            f"{done.lab} is up: {what}, {done.seconds:.2f} s\n"
            f"next: linkspan show {done.lab}, linkspan ping {done.lab}"
        )
    if not done.plan:
        return f"{done.lab} is up already; nothing changed"
    lines = [plan_as_text(done.plan[:FEW])]
    if len(done.plan) > FEW:
        lines.append(f"… and {len(done.plan) - FEW} more")
    lines.append(f"{done.lab}: {plural(len(done.plan), 'change')}, {done.seconds:.2f} s")
    return "\n".join(lines)


def up_as_json(done: Done) -> dict[str, Any]:
    """The same as values."""
    about_uplinks = {"uplink": msgspec.to_builtins(done.secured)} if done.secured.moved else {}
    return {
        "lab": done.lab,
        "changed": bool(done.plan),
        "plan": plan_as_json(done.plan) if done.was_up else [],
        "bridges": done.bridges,
        "nodes": done.nodes,
        "seconds": round(done.seconds, 2),
        **about_uplinks,
    }
