"""The text of a YAML file: getting it, what may be in it, what its scalars mean.

A file is read up to a limit and no further, and has to be UTF-8 without control characters, so
that the parser behind this never sees what a text editor would not have written. `shorten` and
`shown` put pieces of such a text into messages.
"""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Final

from linkspan.errors import Fault, Mistake, Place
from linkspan.model.position import YamlMapping, YamlSequence, YamlValue

LARGEST_FILE: Final = 1 << 20
"""Bytes. The kernel's most nodes on one bridge fill about 100 KiB."""

LONGEST_NUMBER: Final = 32
"""Characters; a longer run of digits is a text, as Python refuses to convert huge ones."""

_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?\.(inf|Inf|INF))|\.(nan|NaN|NAN)")
_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_NUMBER_STARTS: Final = frozenset("+-.0123456789")


def read_text(path: FilePath) -> str:
    """The text of a file of at most `LARGEST_FILE` bytes.

    Raises Mistake when it is not there, cannot be read, is too large or is not UTF-8.
    """
    file = str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise Mistake(Fault(f"{file}: there is no such file", next_step="check the path")) from None
    except IsADirectoryError:
        raise Mistake(
            Fault(
                f"{file}: this is a directory",
                expected="a YAML file",
                next_step="name a file in it",
            )
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Mistake(
            Fault(f"{file}: cannot be read: {reason}", next_step="check the file's permissions")
        ) from None
    if len(content) > LARGEST_FILE:
        raise _too_large(file)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        raise Mistake(
            Fault(
                "the file is not UTF-8 text",
                _place_of_offset(file, before, len(before)),
                expected="a YAML file in UTF-8",
                found=f"byte 0x{content[error.start]:02x}",
                next_step="save the file as UTF-8",
            )
        ) from None


def checked(text: str, file: str) -> str:
    """The text without its byte order mark.

    Raises Mistake when it is too large or holds characters that YAML does not print (5.1).
    """
    if len(text) > LARGEST_FILE:
        raise _too_large(file)
    text = text.removeprefix("\ufeff")
    if found := _NOT_TEXT.search(text):
        raise Mistake(
            Fault(
                "the file is not plain text",
                _place_of_offset(file, text, found.start()),
                expected="a YAML file in UTF-8",
                found=f"the character U+{ord(found.group()):04X}",
                next_step="remove the character, or check that this is the right file",
            )
        )
    return text


def resolve(text: str) -> str | int | float | bool | None:
    """What YAML 1.2's core schema makes of a plain scalar (YAML 1.2.2, 10.3.2)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS or len(text) > LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def shorten(text: str, most: int = 60) -> str:
    """A text fit for a message: one line, printable, at most `most` characters and an ellipsis."""
    line = text[:most].encode("unicode_escape").decode() if not text.isprintable() else text
    return line if len(line) <= most else line[:most] + "…"


def shown(value: YamlValue) -> str:
    """What stands there, in the words of a message."""
    if isinstance(value, YamlMapping):
        return "a mapping"
    if isinstance(value, YamlSequence):
        return "a list"
    match value.value:
        case None:
            return "nothing"
        case bool():
            return value.text
        case int() | float():
            return f"the number {shorten(value.text)}"
    return f'the text "{shorten(value.text)}"'


def _too_large(file: str) -> Mistake:
    return Mistake(
        Fault(
            f"{file}: the file is too large",
            expected=f"at most {LARGEST_FILE} bytes",
            next_step="check that this is the right file, or make several labs",
        )
    )


def _place_of_offset(file: str, text: str, offset: int) -> Place:
    line_start = text.rfind("\n", 0, offset) + 1
    return Place(file, text.count("\n", 0, offset) + 1, offset - line_start + 1)
