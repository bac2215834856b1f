"""The folder of a lab and its lock: alive is who holds it, and nobody removes what is another's."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from linkspan.errors import Missing
from linkspan.sandbox import state


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a lab's folder will be."""
    return tmp_path / "linkspan" / "demo"


def test_a_taken_lab_is_alive_until_the_lock_is_let_go(place: Path) -> None:
    lock = state.take(place)
    assert lock is not None
    assert place.stat().st_mode & 0o777 == 0o700
    assert state.is_alive(place)
    assert state.take(place) is None
    assert not state.clear(place)
    assert place.exists()
    os.close(lock)
    assert not state.is_alive(place)
    assert state.clear(place)
    assert not place.parent.exists()


def test_what_a_dead_lab_left_is_there_until_it_is_emptied(place: Path) -> None:
    (place / "etc").mkdir(parents=True)
    (place / "etc" / "hosts").touch()
    (place / "topology.json").touch()
    (place / "link").symlink_to(place.parent)
    lock = state.take(place)
    assert lock is not None
    assert (place / "topology.json").exists()
    state.empty(place)
    assert [entry.name for entry in place.iterdir()] == [state.LOCK]
    state.remove(place, lock)
    os.close(lock)
    assert not place.exists()


def test_what_never_was_is_clear(place: Path) -> None:
    assert not state.is_alive(place)
    assert state.clear(place)
    assert not place.exists()


def test_a_folder_without_a_lock_is_cleared(place: Path) -> None:
    place.mkdir(parents=True)
    (place / "log").touch()
    assert state.clear(place)
    assert not place.exists()


def test_removing_spares_a_later_lab_of_the_same_name(place: Path) -> None:
    old = state.take(place)
    assert old is not None
    state.remove(place, old)
    new = state.take(place)
    assert new is not None
    (place / "topology.json").touch()
    state.remove(place, old)
    assert (place / "topology.json").exists()
    state.remove(place, new)
    assert not place.exists()
    for lock in (old, new):
        os.close(lock)


def test_the_folder_of_all_labs_stays_while_another_lab_is_there(place: Path) -> None:
    other = place.with_name("other")
    locks = [state.take(place), state.take(other)]
    assert None not in locks
    for folder, lock in zip((place, other), locks, strict=True):
        assert lock is not None
        state.remove(folder, lock)
        os.close(lock)
        assert place.parent.exists() == (folder == place)


def test_of_many_who_take_a_lab_one_gets_it(place: Path) -> None:
    for _ in range(20):
        taken: list[int | None] = []
        start = threading.Barrier(4)

        def take(taken: list[int | None] = taken, start: threading.Barrier = start) -> None:
            start.wait()
            taken.append(state.take(place))

        takers = [threading.Thread(target=take) for _ in range(4)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
        (lock,) = [lock for lock in taken if lock is not None]
        state.remove(place, lock)
        os.close(lock)
        assert not place.exists()


def test_where_the_labs_of_an_ordinary_user_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert state.root() == tmp_path / "linkspan"
    private = Path("/tmp/linkspan-4711")
    for unusable in ("", "relative", "/nowhere"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", unusable)
        try:
            with pytest.raises(Missing, match="not a private folder of yours"):
                state.root()  # it belongs to the user that runs the test, who is not 4711
        finally:
            private.rmdir()


def test_where_the_labs_of_root_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    assert state.root() == Path("/run/linkspan")


def test_labs_are_the_folders_that_there_are(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "root", lambda: place.parent)
    assert state.labs() == []
    place.mkdir(parents=True)
    (place.parent / "a-file").touch()
    (place.parent / "alpha").mkdir()
    assert state.labs() == ["alpha", "demo"]
