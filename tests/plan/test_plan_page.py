"""The page about plans has the tables that plans are made by."""

from __future__ import annotations

from pathlib import Path

from linkspan.model import state as facts
from linkspan.plan import difference
from linkspan.plan.difference import KINDS, MADE_WITH
from linkspan.plan.page import REASONS, TABLES, fill, main

PAGE = Path(__file__).parents[2] / "docs" / "plan.md"


def test_the_stored_page_has_the_tables_of_the_source(tmp_path: Path) -> None:
    copy = tmp_path / "plan.md"
    copy.write_text(PAGE.read_text())
    main(copy)
    assert PAGE.read_text() == copy.read_text(), (
        "docs/plan.md is old: run python -m linkspan.plan.page docs/plan.md"
    )


def test_the_page_has_every_table_once() -> None:
    text = PAGE.read_text()
    assert all(text.count(f"<!-- {name} -->") == 1 for name in TABLES)
    assert text.count("<!-- end -->") == len(TABLES)


def test_a_table_that_is_old_is_written_anew() -> None:
    assert fill("a\n<!-- ranks -->\nold\n<!-- end -->\nb\n").splitlines()[-3:] == [
        "",
        "<!-- end -->",
        "b",
    ]
    assert "old" not in fill("<!-- reasons -->\nold\n<!-- end -->")


def test_every_kind_and_every_reason_is_told() -> None:
    text = PAGE.read_text()
    for kind in KINDS:
        assert f" | {kind.__name__.removesuffix('Key').lower()} | " in text
    told = {reason for reason, _ in REASONS}
    constants = {value for name, value in vars(difference).items() if _is_reason(name, value)}
    assert {*constants, *difference.DRIFT} <= told
    assert facts.Bridge in MADE_WITH
    assert "| bridge | node, engine, cache |" in text


def _is_reason(name: str, value: object) -> bool:
    return name.isupper() and isinstance(value, str)
