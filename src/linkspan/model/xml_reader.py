"""XML as values that know where they stand, for the files of other managers.

Elements, attributes and text are all that is kept: comments and processing instructions say nothing
to a program. A document type is refused, since it is where entities are declared, and entities are
how a small file becomes a large one or fetches another; no file that is read here has any. Size and
depth are limited for the same reason.

Source: Extensible Markup Language 1.0, fifth edition; Python's pyexpat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from linkspan.errors import Fault, Mistake, Place

LARGEST: Final = 4 << 20
"""Bytes; a definition of a network or a guest has some ten thousand."""

DEEPEST: Final = 64
"""Elements within each other; libvirt's documents have some ten."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element: what is in it, and where its tag begins."""

    tag: str
    """With its prefix, as it is written: `dnsmasq:options`."""
    place: Place
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""
    """The text directly in it, without white space around it."""

    def child(self, tag: str) -> Element | None:
        """The first child of that name."""
        return next((each for each in self.children if each.tag == tag), None)

    def find(self, *tags: str) -> list[Element]:
        """All that are reached by these names, one within the other."""
        found = [self]
        for tag in tags:
            found = [child for each in found for child in each.children if child.tag == tag]
        return found


@dataclass(slots=True)
class _Open:
    """An element whose end has not come yet."""

    tag: str
    place: Place
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._open: list[_Open] = [_Open("", Place(file, 1, 1), {})]

    def read(self, data: bytes) -> Element:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            place = Place(self._file, error.lineno, error.offset + 1)
            self._refuse(place, f"this is no XML: {expat.ErrorString(error.code)}")
        except (LookupError, ValueError) as error:  # an encoding that Python has not
            self._refuse(self._here(), f"this is no XML that can be read: {error}")
        (root,) = self._open[0].children
        return root

    def _here(self) -> Place:
        parser = self._parser
        return Place(self._file, parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) > DEEPEST:
            self._refuse(self._here(), f"more than {DEEPEST} elements stand within each other")
        self._open.append(_Open(tag, self._here(), attributes))

    def _end(self, _: str) -> None:
        done = self._open.pop()
        text = "".join(done.text).strip()
        self._open[-1].children.append(
            Element(done.tag, done.place, done.attributes, done.children, text)
        )

    def _text(self, text: str) -> None:
        self._open[-1].text.append(text)

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: bool) -> None:
        self._refuse(self._here(), "it declares a document type, which can hide anything")

    def _refuse(self, place: Place, what: str) -> NoReturn:
        raise Mistake(
            Fault(
                what,
                place,
                expected="an XML document without <!DOCTYPE>",
                next_step="write it anew with the program that it is from, such as"
                " `virsh net-dumpxml NETWORK`",
            )
        )


def read_xml(data: bytes, file: str) -> Element:
    """The root of a document. Raises Mistake with line and column where it is none."""
    if len(data) > LARGEST:
        raise Mistake(
            Fault(
                f"{file} is too large for a definition",
                expected=f"at most {LARGEST} bytes",
                found=str(len(data)),
                next_step="check that it is the right file",
            )
        )
    return _Reader(file).read(data)
