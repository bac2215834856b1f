"""Plans as an administrator reads them: a folder for each case.

    current.yaml   the file that was applied before; none when there was nothing
    found          what other hands have changed since, a line for each fact
    desired.yaml   the file as it is now; none when the lab is to be taken down
    plan           what `linkspan plan` prints
    undo           the way back: what is done when the last step of the plan fails

The comment at the top of desired.yaml (or of current.yaml, where nothing is desired) says why the
case is there. A new case is a folder with the first three; `REWRITE_PLANS=1 pytest
tests/plan/test_plan_cases.py` writes the other two, to be read before they are committed.

A line of `found` is a sign, the kind of a fact, its key and, as far as they are not the ordinary
ones, the fields of its value: `- port web eth0`, `~ port web eth0 bridge=`, `+ address web eth0
10.0.0.9/24`. What is removed takes along what the kernel removes with it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import pytest
from hypothesis import given
from tests.plan.test_plan_difference import carry_out, forget, states

from linkspan.model import state as facts
from linkspan.model.base import Engine
from linkspan.model.load import load
from linkspan.model.options import OPTIONS, OptionScope
from linkspan.model.state import (
    AddressKey,
    AnyKey,
    AnyValue,
    Node,
    NodeKey,
    PortKey,
    RouteKey,
    State,
    UpKey,
    parents,
)
from linkspan.model.topology import HOST, Scope, Topology
from linkspan.plan.change import Change
from linkspan.plan.current import owned
from linkspan.plan.desired import desired
from linkspan.plan.difference import MADE_WITH, OF_A_GUEST, plan
from linkspan.plan.page import REASONS
from linkspan.view.plans import plan_as_text, sign

CASES: Final = Path(__file__).parent / "cases"
NAMES: Final = sorted(folder.name for folder in CASES.iterdir())

REWRITE: Final = "REWRITE_PLANS"
"""The environment variable that has plans written anew."""

KEYS: Final[dict[str, type[AnyKey]]] = {
    kind.__name__.removesuffix("Key").lower(): kind for kind in get_args(AnyKey)
}
"""By the word for them in `found`."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case as states."""

    applied: State
    current: State
    """What there is, as far as it is the lab's: what was applied and what others made of it."""
    desired: State

    @property
    def plan(self) -> tuple[Change, ...]:
        """What `linkspan up` does."""
        return plan(self.desired, self.current, self.applied)

    @property
    def undo(self) -> tuple[Change, ...]:
        """What takes all of it back."""
        return plan(self.current, self.desired)


def read_case(name: str) -> Case:
    before, now = (_topology(CASES / name / file) for file in ("current.yaml", "desired.yaml"))
    applied, wanted = _state(before, now), _state(now, before)
    there = found(CASES / name / "found", applied)
    return Case(applied, owned(there, applied, wanted), wanted)


def _topology(file: Path) -> Topology | None:
    if not file.exists():
        return None
    topology = load(file)
    engines = {bridge.engine for bridge in topology.bridges.values()}
    assert Engine.AUTO not in engines, f"{file}: what auto is depends on the machine"
    return topology


def _state(topology: Topology | None, other: Topology | None) -> State:
    """What a file declares. Without one there is nothing; in scope host, nothing but the host."""
    if topology is not None:
        return desired(topology)
    assert other is not None, "there is nothing in this case"
    return {NodeKey(HOST): Node(kind="host")} if other.scope is Scope.HOST else {}


def found(file: Path, applied: State) -> State:
    """What there is: what was applied, and what others have changed since."""
    state = dict(applied)
    for line in file.read_text().splitlines() if file.exists() else ():
        if line.startswith("#"):
            continue
        mark, word, *words = line.split()
        kind = KEYS[word]
        names = [word for word in words if "=" not in word]
        fields = dict(zip(kind.__struct_fields__, names, strict=False))
        key = msgspec.convert({"type": kind.__name__, **fields}, kind, strict=False)
        assert (mark == "+") == (key not in state), f"{file}: {line}"
        if mark == "-":
            _remove(key, state)
        else:
            state[key] = _value(kind, state.get(key), words[len(names) :])
    return state


def _value(kind: type[AnyKey], before: AnyValue | None, words: list[str]) -> AnyValue:
    """A value after the words `field=value` and `options.NAME=value`."""
    cls = getattr(facts, kind.__name__.removesuffix("Key"))
    fields: dict[str, Any] = {"type": cls.__name__}
    if before is not None:
        fields = msgspec.to_builtins(before)
    for word in words:
        name, _, text = word.partition("=")
        into = fields
        if name.startswith("options."):
            into = fields.setdefault("options", {})
        into[name.removeprefix("options.")] = _plain(text)
    value: AnyValue = msgspec.convert(fields, cls)
    return value


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _remove(key: AnyKey, state: State) -> None:
    if isinstance(key, NodeKey):
        for other in [each for each in state if isinstance(each, PortKey)]:
            if other.node == key.node:
                forget(other, state)
    forget(key, state)


def as_printed(changes: tuple[Change, ...]) -> str:
    """What `linkspan plan` prints."""
    return (plan_as_text(changes) or "nothing to do: all is as the file says") + "\n"


def way_back(changes: tuple[Change, ...]) -> str:
    """A line for each step; the reason of all of them is that the plan has failed."""
    return "".join(f"{sign(change)} {change.explain()}\n" for change in changes) or "nothing\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_reads_as_it_is_written(name: str) -> None:
    case = read_case(name)
    told = {"plan": as_printed(case.plan), "undo": way_back(case.undo)}
    for file, text in told.items():
        if REWRITE in os.environ:
            (CASES / name / file).write_text(text)
        assert (CASES / name / file).read_text() == text, (
            f"{name}/{file} reads otherwise: if that is meant, run {REWRITE}=1 pytest "
            "tests/plan/test_plan_cases.py, and read what git diff shows"
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_leads_there_and_its_undo_back(name: str) -> None:
    case = read_case(name)
    assert carry_out(case.plan, case.current) == case.desired
    assert plan(case.desired, case.desired, case.desired) == ()
    if all(parent in case.current for key in case.current for parent in parents(key, case.current)):
        assert carry_out(case.undo, case.desired) == case.current
    else:
        assert name.startswith("drift-"), "only others leave a port without its bridge"


@pytest.mark.parametrize("name", NAMES)
def test_a_case_says_why_it_is_there(name: str) -> None:
    files = [CASES / name / file for file in ("desired.yaml", "current.yaml")]
    first = next(file for file in files if file.exists())
    assert first.read_text().startswith("# ")
    assert {file.name for file in (CASES / name).iterdir()} <= {
        "current.yaml",
        "found",
        "desired.yaml",
        "plan",
        "undo",
    }


@given(states(), states())
def test_an_interface_is_set_down_when_nothing_is_left_to_be_deleted_from_it(
    current: State, desired: State
) -> None:
    down: set[tuple[str, str | None]] = set()
    for change in plan(desired, current):
        match change:
            case Change(
                key=UpKey(node=node, interface=name),
                before=facts.Up(up=True),
                after=facts.Up(up=False),
            ):
                down.add((node, name))
            case Change(key=AddressKey(node=node, interface=name), after=None):
                assert (node, name) not in down
            case Change(key=RouteKey(node=node), before=facts.Route(interface=by), after=None):
                assert (node, by) not in down


def test_every_option_of_every_engine_changes_in_some_case() -> None:
    changed: set[tuple[str, OptionScope, str]] = set()
    for change in [change for name in NAMES for change in read_case(name).plan]:
        match change.before, change.after:
            case (facts.Bridge() as before, facts.Bridge() as after):
                scope = OptionScope.BRIDGE
            case (facts.Port() as before, facts.Port() as after):
                scope = OptionScope.PORT
            case _:
                continue
        old, new = before.options, after.options
        changed |= {
            (after.engine, scope, name) for name in {*old, *new} if old.get(name) != new.get(name)
        }
    assert changed >= {
        (engine.value, option.scope, option.name) for option in OPTIONS for engine in option.engines
    }


def test_every_reason_is_given_in_some_case() -> None:
    given = {change.reason for name in NAMES for change in read_case(name).plan}
    unchangeable = {
        f"its {field.replace('_', '-')} can't be changed in place"
        for value, fields in MADE_WITH.items()
        for field in fields
        if value is not facts.Uplink  # a file has none
    }
    others = {reason for reason, _ in REASONS if "FIELD" not in reason} - {OF_A_GUEST}
    assert given == unchangeable | others
