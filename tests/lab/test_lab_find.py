"""Which lab and node is meant; where none can be found, what to write instead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from linkspan.errors import Mistake
from linkspan.lab import find
from linkspan.lab.find import find_lab, find_node
from linkspan.sandbox import state


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all labs: two, of which none runs."""
    monkeypatch.setattr(state, "root", lambda: tmp_path)
    monkeypatch.setattr(state, "labs_of_others", lambda: iter([("attic", "root"), ("x", "ann")]))
    for name in ("office", "home"):
        (tmp_path / name).mkdir()
    return tmp_path


def said(name: str | None, part: str = "") -> str:
    with pytest.raises(Mistake) as raised:
        find_lab(name, part)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "next_step"),
    [
        ("offise", "write office"),
        ("office/web", "name the lab alone: office"),
        ("office.yaml", "write the lab's name, which the file has under `name`"),
        ("attic", "root has a lab named attic: sudo linkspan …"),
        ("x", "ann has a lab named x: sudo -u ann linkspan …"),
        ("nothing-like-it", "linkspan up FILE makes one"),
    ],
)
@pytest.mark.usefixtures("labs")
def test_a_lab_that_is_not_there_is_told_with_what_to_write_instead(
    name: str, next_step: str
) -> None:
    assert said(name) == (
        f"there is no lab named {name!r}\n  found: the labs home, office\n  next: {next_step}"
    )


def test_one_of_several_labs_is_to_be_named_as_it_is_written(labs: Path) -> None:
    assert said(None).endswith(
        "found: 2 labs: home, office\n  next: name one of them, such as home"
    )
    assert said(None, "web").endswith(
        "expected: LAB/web\n  found: 2 labs: home, office\n  next: write for instance home/web"
    )
    (labs / "home").rmdir()
    assert find_lab(None).name == "office"
    assert "found: the lab office\n" in said("attic")


def test_without_any_lab_those_of_others_are_named(labs: Path) -> None:
    for lab in labs.iterdir():
        lab.rmdir()
    assert said(None) == ("there is no lab\n  next: root has a lab named attic: sudo linkspan …")


def test_a_node_of_nearly_that_name_is_told(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find.Place, "is_alive", True)
    with pytest.raises(Mistake) as raised:
        find_node("office/hots")
    assert str(raised.value) == (
        "the lab office has no node named 'hots'\n  expected: a node of it: host\n"
        "  next: write host"
    )


def test_labs_of_others_are_known_by_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "roots" / "office").mkdir(parents=True)
    monkeypatch.setattr(state, "_OF_ROOT", tmp_path / "roots")
    monkeypatch.setattr(state, "root", lambda: tmp_path / "mine")
    found = dict(state.labs_of_others())
    assert found["office"] == state._user(os.geteuid())
    assert state._user(987654321) == "#987654321"
