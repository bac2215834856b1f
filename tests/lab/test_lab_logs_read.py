"""A file that is followed while it is written to and cut is read once and whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from linkspan.lab.logs import Followed
from linkspan.sandbox import output

WRITE, CUT, READ = "write", "cut", "read"


def lines(first: int, count: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, first + count))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from((WRITE, WRITE, CUT, READ)), max_size=60))
def test_nothing_is_read_twice_and_nothing_is_missed_that_was_not_cut_off(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.touch()
        read, unread, number = b"", 0, 0
        with open(path, "ab", buffering=0) as writer, Followed(path) as file:
            for step in (*steps, READ):
                if step == WRITE and unread < output.KEPT // 2:
                    text = lines(number, 10_000)
                    unread += writer.write(text)
                    number += 10_000
                elif step == CUT:
                    output.trim(str(path))
                elif step == READ:
                    read += file.read()
                    unread = 0
            assert read == lines(0, number)
            assert file.missed == 0


def test_what_is_cut_off_unread_is_known_to_be_missed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with open(path, "ab", buffering=0) as writer:
        writer.write(b"read\n")
        with Followed(path) as file:
            assert file.read() == b"read\n"
            writer.write(lines(0, output.LARGEST // 8))
            output.trim(str(path))
            assert file.was_cut()
            assert file.read() == path.read_bytes()
            assert file.missed == 1
            path.unlink()
            assert file.is_removed


def test_a_file_that_grows_past_its_old_length_after_a_cut_is_known_to_be_cut(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    begun = lines(0, output.LARGEST // 8)
    with open(path, "ab", buffering=0) as writer:
        writer.write(begun)
        with Followed(path) as file:
            assert file.read() == begun
            output.trim(str(path))
            more = lines(output.LARGEST // 8, output.LARGEST // 8)
            writer.write(more)
            assert path.stat().st_size > len(begun)
            assert file.read() == more


def test_what_a_file_has_got_since_is_all_of_it_after_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    assert output.since(path, 4) == ["two"]
    assert output.since(path, 900) == ["one", "two"]
