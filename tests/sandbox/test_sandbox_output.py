"""A file that a service writes to keeps its last lines, whatever the service does meanwhile."""

from __future__ import annotations

from pathlib import Path

from linkspan.sandbox import output


def test_a_short_file_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"a line\n" * 100)
    output.trim(str(file))
    assert file.read_bytes() == b"a line\n" * 100


def test_a_long_file_keeps_its_last_whole_lines_and_is_written_on(tmp_path: Path) -> None:
    file = tmp_path / "log"
    lines = [f"line {number}\n" for number in range(output.LARGEST // 8)]
    with open(file, "a") as writer:
        writer.writelines(lines)
        writer.flush()
        output.trim(str(file))
        writer.write("one more\n")
    kept = file.read_text().splitlines(keepends=True)
    assert kept == [*lines[len(lines) - len(kept) + 1 :], "one more\n"]
    assert output.KEPT - 20 < sum(map(len, kept[:-1])) <= output.KEPT


def test_a_file_that_is_gone_is_nobodys_trouble(tmp_path: Path) -> None:
    output.trim(str(tmp_path / "log"))
    assert not (tmp_path / "log").exists()
