"""The YAML that is read: what scalars mean, where values stand, both parsers alike."""

from __future__ import annotations

import sys
from contextlib import suppress
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model.plain_values import plain

from linkspan.errors import Mistake, Place
from linkspan.model.position import Path, locate
from linkspan.model.yaml_events import masked
from linkspan.model.yaml_reader import read
from linkspan.model.yaml_text import resolve, shorten

TEXT = """\
bridges:
  br0: {mac: 52:54:00:00:00:01, address: [fd00::1/64, ::2/64]}
nodes:
  web:
    ports:
      eth0: br0
    gateway: 10.0.0.1
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("10", 10),
        ("-7", -7),
        ("010", 10),
        ("0o10", 8),
        ("0x10", 16),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", float("inf")),
        ("12:30:45", "12:30:45"),
        ("52:54:00:12:34:56", "52:54:00:12:34:56"),
        ("10.0.0.1", "10.0.0.1"),
        ("2001-01-01", "2001-01-01"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_plain_scalar_means_what_yaml_1_2_says(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    ("path", "at_key", "line", "column"),
    [
        ((), False, 1, 1),
        (("bridges", "br0"), True, 2, 3),
        (("bridges", "br0"), False, 2, 8),
        (("bridges", "br0", "mac"), False, 2, 14),
        (("bridges", "br0", "address", 1), False, 2, 55),
        (("bridges", "br0", "mtu"), False, 2, 3),
        (("nodes", "web", "ports", "eth0", "bridge"), False, 6, 13),
        (("nodes", "web", "ports", "eth0", "address", 0), False, 6, 13),
        (("nodes", "web", "gateway", 0), False, 7, 14),
        (("nodes", "web", "gateway"), True, 7, 5),
        (("nodes", "db"), False, 3, 1),
    ],
)
def test_a_path_has_a_place(path: Path, at_key: bool, line: int, column: int) -> None:
    root = read(TEXT, "lab.yaml").root
    assert locate(root, path, "lab.yaml", at_key=at_key) == Place("lab.yaml", line, column)


def test_colons_need_no_quotes_between_brackets() -> None:
    text = "{mac: 52:54:00:00:00:01, at: [::1, fd00::/64, a:b], 'k':1, \"q\":[2], p: 'x:y'}"
    assert plain(read(text, "lab.yaml").root) == {
        "mac": "52:54:00:00:00:01",
        "at": ["::1", "fd00::/64", "a:b"],
        "k": 1,
        "q": [2],
        "p": "x:y",
    }


@given(st.text())
def test_masking_moves_nothing(text: str) -> None:
    assert len(masked(text)) == len(text)
    assert masked(text).replace("\ue000", ":") == text.replace("\ue000", ":")


flow_texts = st.from_regex(r"[a-f0-9]{1,3}(:{1,2}[a-f0-9]{1,2}){0,4}", fullmatch=True)
flow_values = st.recursive(
    flow_texts,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(flow_texts.map(lambda key: f"k{key}"), inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"{key}: {item}" for key, item in items.items()) + "}"
        )
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(flow_values)
def test_both_parsers_give_the_same_values_at_the_same_places(text: str) -> None:
    in_c = read(f"root: {text}\n", "lab.yaml").root
    with patch.dict(sys.modules, {"ruamel.yaml.cyaml": None}):
        in_python = read(f"root: {text}\n", "lab.yaml").root
    assert in_c == in_python


@settings(deadline=None)
@given(st.text(alphabet="ab0:.-?*&!|>%@#'\"{}[], \n\t<~/\\x1"))
def test_the_parser_in_python_raises_nothing_but_mistakes(text: str) -> None:
    with patch.dict(sys.modules, {"ruamel.yaml.cyaml": None}), suppress(Mistake):
        read(text, "lab.yaml")


def test_an_anchor_given_again_stands_for_the_later_value() -> None:
    text = "a: &x 1\nb: *x\nc: &x [&x 2, *x]\nd: *x\n"
    assert plain(read(text, "lab.yaml").root) == {"a": 1, "b": 1, "c": [2, 2], "d": 2}


@given(st.text())
def test_a_shortened_text_is_one_printable_line(text: str) -> None:
    assert shorten(text).isprintable()
    assert len(shorten(text)) <= 61
