"""XML becomes values with places, and nothing that could hurt is read."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.errors import Mistake, Place
from linkspan.model.xml_reader import DEEPEST, LARGEST, Element, read_xml


def test_elements_know_their_place() -> None:
    root = read_xml(b"<a x='1'> t\n  <b/><!-- c --><c>u</c><b y='2'/></a>", "f.xml")
    assert (root.tag, root.text, root.attributes) == ("a", "t", {"x": "1"})
    assert [each.tag for each in root.children] == ["b", "c", "b"]
    assert root.find("b")[1].place == Place("f.xml", 2, 25)
    assert root.child("c") == Element("c", Place("f.xml", 2, 17), {}, [], "u")
    assert root.child("d") is None


@pytest.mark.parametrize(
    ("data", "place", "what"),
    [
        (b"", "1:1", "no element found"),
        (b"<a>\n <b></a>", "2:7", "mismatched tag"),
        (b"<a>&x;</a>", "1:4", "undefined entity"),
        (b"<a/><b/>", "1:5", "junk after document element"),
        (b'<?xml version="1.0" encoding="nowhere"?><a/>', "1:31", "unknown encoding"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "1:13", "declares a document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "1:", "declares a document type"),
        (b"<a>" * (DEEPEST + 2), f"1:{3 * DEEPEST + 1}", "within each other"),
    ],
)
def test_what_is_no_plain_document_is_refused_where_it_stands(
    data: bytes, place: str, what: str
) -> None:
    with pytest.raises(Mistake) as error:
        read_xml(data, "f.xml")
    assert str(error.value).startswith(f"f.xml:{place}")
    assert what in str(error.value)


def test_a_document_that_is_too_large_is_not_read() -> None:
    with pytest.raises(Mistake, match="too large"):
        read_xml(b" " * (LARGEST + 1), "f.xml")


@given(st.binary(max_size=200) | st.text("<>/ab='\"&;!?[]-\n", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Mistake):
        assert read_xml(data, "f.xml").tag
