"""What a guest said, as text, and whether its last words say that it does not go on."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from linkspan.services.guest_console import STARTED, Plain, begin, plain, why_stuck

FIRMWARE = "\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n"
PANIC = """\
[    2.261396] /dev/root: Can't open blockdev\r
[    2.261993] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r
[    2.263285]  <TASK>\r
[    2.264361] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs ]---\r
"""
PIECES = (
    "a",
    "\x1b",
    "[",
    "]",
    "2",
    ";",
    "J",
    "0;name",
    "\x07",
    "\\",
    "\r\n",
    "é",
    "\x9b",
    "(",
    "\t",
)


def test_sequences_for_terminals_are_no_text() -> None:
    assert plain(FIRMWARE) == "SeaBIOS (version 1.16.2-debian-1.16.2-1)\n"
    assert (
        plain("\x1b[1;31mred\x1b[m \x1b]0;a name\x07\x1b(Bplain\ttab\x07\n") == "red plain\ttab\n"
    )
    assert plain("cut \x1b[3") == "cut [3"


@given(st.lists(st.sampled_from(PIECES)))
def test_it_does_not_matter_in_which_pieces_it_comes(pieces: list[str]) -> None:
    text = Plain()
    said = "".join([*map(text.feed, pieces), text.feed("", final=True)])
    assert said == plain("".join(pieces))
    assert not set(said) & {"\x1b", "\r", "\x07", "\x9b"}


def test_a_sequence_without_an_end_is_not_waited_for_without_end() -> None:
    text = Plain()
    said = text.feed("\x1b]" + "x" * 300) + text.feed("y")
    assert said.endswith("xy")


def test_a_kernel_that_stopped_is_known_by_its_last_words() -> None:
    assert why_stuck(FIRMWARE + PANIC, 1000) == (
        "Kernel panic - not syncing: VFS: Unable to mount root fs"
    )
    assert why_stuck(FIRMWARE + PANIC + "guest is ready\r\n", 1000) == ""


def test_what_an_earlier_qemu_heard_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log"
    begun = begin(log)
    assert log.read_text() == f"{STARTED}\n"
    assert log.stat().st_size == begun
    with open(log, "a") as opened:
        opened.write(PANIC.rstrip())
    assert "Kernel panic" in why_stuck(log.read_text(), 0)
    assert begin(log) == log.stat().st_size
    assert log.read_text().endswith(f" ]---\n{STARTED}\n")
    assert why_stuck(log.read_text(), 0) == ""


def test_a_machine_that_resets_again_and_again_is_known_while_it_does() -> None:
    loop = (FIRMWARE + "Booting from ROM..\x1bc\x1b[?7l\x1b[2J") * 5
    assert why_stuck(loop, 1) == (
        "the machine resets again and again: what it boots may want more memory"
    )
    assert why_stuck(loop + "login: ", 60) == "", "it has come up at last"
    assert why_stuck(FIRMWARE * 2, 1) == ""
    assert why_stuck("", 0) == ""
