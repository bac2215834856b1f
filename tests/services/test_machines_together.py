"""Several machines that go in one plan."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import create_autospec

import pytest
from msgspec.structs import replace

from linkspan.control.client import Client
from linkspan.engine.site import Site
from linkspan.model.state import Machine, MachineKey
from linkspan.plan.change import Change
from linkspan.services import machines

RUNNING = Machine(memory=16, cpus=1, ports=(), shutdown=7)


def change(node: str, before: Machine | None, after: Machine | None) -> Change:
    return Change(key=MachineKey(node), before=before, after=after)


def test_machines_that_go_are_shut_down_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, int]] = []

    def shut_down(_folder: Path, _init: Client, nodes: dict[str, int]) -> list[str]:
        told.append(dict(nodes))
        return []

    monkeypatch.setattr(machines, "shut_down", shut_down)
    site = create_autospec(Site, instance=True)
    site.folder, site.init = tmp_path, create_autospec(Client, instance=True)
    off = replace(RUNNING, power=False)
    changes = [
        change("one", RUNNING, None),
        change("is-off-already", off, None),
        change("two", replace(RUNNING, shutdown=9), off),
    ]
    carrying = machines.Machines(site)
    carrying.expect(changes)
    for each in changes:
        carrying.carry_out(each)
    assert told == [{"one": 7, "two": 9}]
    stopped = [call.kwargs["name"] for call in site.init.call.call_args_list]
    assert stopped == ["machine:one", "machine:is-off-already", "machine:two"]
