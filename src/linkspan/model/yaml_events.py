"""The events of ruamel.yaml's parser, in C where its extension is installed, else in Python.

Both give the same events. libyaml, the one in C, refuses colons that YAML 1.2 allows inside of
texts between brackets; `masked` hides those from it without moving anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

MASK: Final = "\ue000"
"""Stands for a colon where the parser would refuse one; a character of private use."""

_PLAIN_COLON = re.compile(r"""(?<=[\s,\[{])!\S*|(?<!["'\]}]):(?=[^\s,\[\]{}])""")


def events(text: str) -> Iterator[Any]:
    """The parser's events; importing it costs more than reading a usual file, so it waits."""
    try:
        from ruamel.yaml.cyaml import CParser
    except ImportError:
        from ruamel.yaml import YAML

        yield from YAML(typ="safe", pure=True).parse(text)
        return
    parser = CParser(text)
    while parser.check_event():
        yield parser.get_event()


def masked(text: str) -> str:
    """The text with `MASK` for each colon that belongs to a plain scalar; places stay the same.

    YAML 1.2 lets `{mac: 52:54:00:12:34:56}` and `[fd00::1/64]` stand without quotes (7.3.3: a
    colon before something that is neither blank nor a bracket or comma), libyaml does not.
    """
    return _PLAIN_COLON.sub(lambda found: MASK if found.group() == ":" else found.group(), text)
