"""Every mistake is told with its place: a folder with a file and the whole error text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linkspan.errors import Mistake
from linkspan.model import load as load_module
from linkspan.model import yaml_events, yaml_reader
from linkspan.model.flaw import MOST_FAULTS
from linkspan.model.load import load, loads
from linkspan.model.yaml_text import LARGEST_FILE

MISTAKES = Path(__file__).parent / "mistakes"
CASES = sorted(folder.name for folder in MISTAKES.iterdir())


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_as_expected(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(MISTAKES / case)
    with pytest.raises(Mistake) as error:
        load(Path("file.yaml"))
    assert f"{error.value}\n" == Path("expected.txt").read_text()


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_found_by_the_parser_in_python_too(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ruamel.yaml.cyaml", None)
    monkeypatch.chdir(MISTAKES / case)
    with pytest.raises(Mistake) as error:
        load(Path("file.yaml"))
    expected = Path("expected.txt").read_text()
    if "this is not YAML" in expected:
        assert "this is not YAML" in str(error.value)
    else:
        assert f"{error.value}\n" == expected


def test_every_fault_has_a_place_and_a_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    for case in CASES:
        monkeypatch.chdir(MISTAKES / case)
        with pytest.raises(Mistake) as error:
            load(Path("file.yaml"))
        lines = Path("file.yaml").read_bytes().split(b"\n")
        for fault in error.value.faults:
            assert fault.place is not None, case
            assert 1 <= fault.place.line <= len(lines), case
            assert fault.next_step, (case, fault.what)


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="there is no such file"):
        load(tmp_path / "lab.yaml")


def test_a_directory_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="this is a directory"):
        load(tmp_path)


def test_a_path_through_a_file_and_a_path_with_a_zero_byte_are_mistakes(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("bridges: {br0: }")
    with pytest.raises(Mistake, match="cannot be read: Not a directory"):
        load(tmp_path / "lab.yaml" / "inner")
    with pytest.raises(Mistake, match="cannot be read"):
        load(Path("lab\0.yaml"))


def test_a_file_name_that_cannot_name_the_lab_is_a_mistake() -> None:
    with pytest.raises(Mistake) as error:
        loads("bridges: {br0: }\n", "My Lab.yaml")
    assert str(error.value).splitlines() == [
        'My Lab.yaml:1:1: the lab has no name, and that of the file, "My Lab", cannot serve',
        "  expected: lower-case letters, digits and hyphens, at most 31, "
        "not beginning with a hyphen",
        "  next: write `name: ` and a name on the first line",
    ]


def test_ten_megabytes_are_refused_after_reading_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.yaml"
    with path.open("wb") as file:
        file.truncate(10_000_000)
    sizes: list[int] = []
    really_open = Path.open

    class Counting:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __enter__(self) -> Counting:
            return self

        def __exit__(self, *_: object) -> None:
            self.stream.close()

        def read(self, size: int = -1) -> Any:
            sizes.append(size)
            return self.stream.read(size)

    monkeypatch.setattr(Path, "open", lambda path, mode: Counting(really_open(path, mode)))
    with pytest.raises(Mistake, match="the file is too large"):
        load(path)
    assert sizes == [LARGEST_FILE + 1]


@pytest.fixture
def events_taken(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The events that the reader asks the parser for."""
    taken: list[object] = []
    really = yaml_events.events

    def counted(text: str) -> Iterator[Any]:
        for event in really(text):
            taken.append(event)
            yield event

    monkeypatch.setattr(yaml_reader, "events", counted)
    return taken


def test_an_alias_bomb_is_refused_before_it_is_expanded(
    events_taken: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 200)]
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(rows)
    monkeypatch.setattr(load_module, "Conversion", None)
    with pytest.raises(Mistake, match="the aliases bring in more than 100000 values"):
        loads(bomb, "lab.yaml")
    assert len(events_taken) < 100


def test_an_alias_cannot_smuggle_depth() -> None:
    deep = "[" * 20 + "]" * 20
    with pytest.raises(Mistake, match="nested more than 32 deep"):
        loads(f"a: &a {deep}\nb: {'[' * 15}*a{']' * 15}\n", "lab.yaml")


def test_nesting_is_refused_at_the_limit(events_taken: list[object]) -> None:
    with pytest.raises(Mistake, match="nested more than 32 deep"):
        loads("[" * 500_000, "lab.yaml")
    assert len(events_taken) < 40


def test_many_faults_are_cut_off_and_counted() -> None:
    keys = "".join(f"k{number}: 1\n" for number in range(MOST_FAULTS + 7))
    with pytest.raises(Mistake) as error:
        loads(keys, "lab.yaml")
    assert len(error.value.faults) == MOST_FAULTS + 1
    assert error.value.faults[-1].what == "and 7 more faults"


def test_names_from_the_file_cannot_break_a_message() -> None:
    text = 'bridges: {br0: {node: "{x}\\n\\e[31m"}}\nnodes: {web: {ports: {"{also}": "{}"}}}\n'
    with pytest.raises(Mistake) as error:
        loads(text, "lab.yaml")
    assert "\x1b" not in str(error.value)
    assert "there is no node {x}\\n\\x1b[31m" in str(error.value)
    assert "there is no bridge {}" in str(error.value)
