"""Text to values with places: YAML 1.2, the part of it that a configuration file needs.

The scanner and parser are ruamel.yaml's, in C where its extension is installed and in Python
otherwise; both give the same events. Composing is done here, in one pass over the events, for
three reasons: every value keeps its line and column, limits hold *before* memory is spent, and
plain scalars mean what YAML 1.2's core schema says (10.3.2): `no` is a text, `010` is ten,
`52:54:00:12:34:56` is a text and not a number of base 60.

Refused, each with its place: a second document, tags, merge keys (`<<`, not part of YAML 1.2),
keys that are not texts, duplicate keys (both places are named), aliases to what they stand in,
and whatever exceeds the limits. What can be read past is collected, so that one run shows all
mistakes; the rest ends reading at once.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from linkspan.errors import Fault, Mistake, Place
from linkspan.model import yaml_faults as faults
from linkspan.model.position import YamlMapping, YamlScalar, YamlSequence, YamlValue
from linkspan.model.yaml_events import MASK, events, masked
from linkspan.model.yaml_text import checked, resolve

DEEPEST: Final = 32
"""Levels of lists and mappings. The deepest field of a lab stands on level 6."""

MOST_ALIASED: Final = 100_000
"""Values that aliases may bring in together, each counted as often as it appears."""


class Document(msgspec.Struct, frozen=True):
    """A file that could be read, and the faults that were read past."""

    root: YamlValue
    faults: list[Fault]


class _ColonRefusedError(Exception):
    """The parser in C does not take a colon inside of a text between brackets."""


class _Open(msgspec.Struct):
    """A list or mapping whose end has not come yet; `size` and `height` count its values."""

    value: YamlSequence | YamlMapping
    anchor: str | None
    size: int = 1
    height: int = 1
    awaits_value: bool = False
    key: str | None = None


class _Anchored(msgspec.Struct, frozen=True):
    value: YamlValue
    size: int
    height: int


def read(text: str, file: str) -> Document:
    """Compose the one document of a text; `file` names it in faults.

    Raises Mistake when the text cannot be read to its end.
    """
    text = checked(text, file)
    try:
        return _Composer(file, text).compose()
    except _ColonRefusedError:
        return _Composer(file, text, colon=MASK).compose()


class _Composer:
    """Builds values from events. `open` is the way from the root to the present value."""

    def __init__(self, file: str, text: str, colon: str = ":") -> None:
        self.file = file
        self.text = text
        self.colon = colon
        self.faults: list[Fault] = []
        self.open: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.aliased = 0
        self.documents = 0
        self.root: YamlValue | None = None

    def compose(self) -> Document:
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        handlers = {
            "ScalarEvent": self.on_scalar,
            "SequenceStartEvent": self.on_start,
            "MappingStartEvent": self.on_start,
            "SequenceEndEvent": self.on_end,
            "MappingEndEvent": self.on_end,
            "AliasEvent": self.on_alias,
            "DocumentStartEvent": self.on_document,
        }
        try:
            for event in events(self.text if self.colon == ":" else masked(self.text)):
                if handler := handlers.get(type(event).__name__):
                    handler(event)
        except MarkedYAMLError as error:
            refused = error.problem == "found unexpected ':'"
            if refused and self.colon == ":" and MASK not in self.text:
                raise _ColonRefusedError from None
            raise Mistake(faults.unreadable(error, self.file, self.text)) from None
        except (YAMLError, ValueError) as error:
            raise Mistake(Fault(f"{self.file}: this is not YAML: {error}")) from None
        if self.root is None or (isinstance(self.root, YamlScalar) and self.root.value is None):
            raise Mistake(faults.empty(Place(self.file, 1, 1)))
        return Document(self.root, self.faults)

    def on_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise Mistake(faults.second_document(self.place(event)))
        if event.version not in (None, (1, 2)):
            found = ".".join(map(str, event.version))
            # The two parsers place the event differently; the directive begins its line.
            line = self.text[: self.text.find("%YAML")].count("\n") + 1
            self.faults.append(faults.other_version(found, Place(self.file, line, 1)))

    def on_scalar(self, event: Any) -> None:
        self.refuse_tag(event)
        mark, text = event.start_mark, event.value.replace(self.colon, ":")
        value = resolve(text) if event.implicit[0] else text
        scalar = YamlScalar(mark.line + 1, mark.column + 1, value, text)
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(scalar, 1, 0)
        self.deliver(scalar, 1, 0, scalar.line, scalar.column)

    def on_start(self, event: Any) -> None:
        self.refuse_tag(event)
        if len(self.open) >= DEEPEST:
            raise Mistake(faults.too_deep(DEEPEST, self.place(event)))
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        value = (
            YamlMapping(line, column, {}, {})
            if type(event).__name__ == "MappingStartEvent"
            else YamlSequence(line, column, [])
        )
        if event.anchor:
            self.anchors.pop(event.anchor, None)
        self.open.append(_Open(value, event.anchor))

    def on_end(self, event: Any) -> None:
        closed = self.open.pop()
        if closed.anchor:
            complete = _Anchored(closed.value, closed.size, closed.height)
            # An anchor of the same name inside began later, so it is the one in force.
            self.anchors.setdefault(closed.anchor, complete)
        value = closed.value
        self.deliver(value, closed.size, closed.height, value.line, value.column)

    def on_alias(self, event: Any) -> None:
        target = self.anchors.get(event.anchor)
        if target is None and any(container.anchor == event.anchor for container in self.open):
            raise Mistake(faults.alias_inside(event.anchor, self.place(event)))
        if target is None:
            raise Mistake(faults.alias_to_nothing(event.anchor, self.place(event)))
        self.aliased += target.size
        if self.aliased > MOST_ALIASED:
            raise Mistake(faults.too_many_aliased(MOST_ALIASED, self.place(event)))
        if len(self.open) + target.height > DEEPEST:
            raise Mistake(faults.too_deep(DEEPEST, self.place(event)))
        mark = event.start_mark
        self.deliver(target.value, target.size, target.height, mark.line + 1, mark.column + 1)

    def deliver(self, value: YamlValue, size: int, height: int, line: int, column: int) -> None:
        """Put a complete value where it belongs; line and column are where it appears."""
        if not self.open:
            self.root = value
            return
        into = self.open[-1]
        into.size += size
        into.height = max(into.height, height + 1)
        if isinstance(into.value, YamlSequence):
            into.value.items.append(value)
        elif into.awaits_value:
            into.awaits_value = False
            if into.key is not None:
                into.value.values[into.key] = value
        else:
            into.awaits_value = True
            into.key = self.key(into.value, value, line, column)

    def key(self, into: YamlMapping, value: YamlValue, line: int, column: int) -> str | None:
        """The key that a value serves as, None (with a fault) when it cannot."""
        place = Place(self.file, line, column)
        if not isinstance(value, YamlScalar) or not isinstance(value.value, str):
            self.faults.append(faults.key_no_text(value, place))
            return None
        name = value.value
        if name == "<<" and value.text == "<<":
            self.faults.append(faults.merge_key(place))
            return None
        if first := into.keys.get(name):
            self.faults.append(faults.given_twice(name, place, Place(self.file, *first)))
            return None
        into.keys[name] = (line, column)
        return name

    def refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            tag = str(event.tag).replace(self.colon, ":")
            self.faults.append(faults.tag(tag, self.place(event)))

    def place(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)
