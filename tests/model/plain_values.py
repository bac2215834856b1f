"""A file's values without their places."""

from __future__ import annotations

from typing import Any

from linkspan.model.position import YamlMapping, YamlScalar, YamlSequence, YamlValue


def plain(value: YamlValue) -> Any:
    """The value as JSON would have it."""
    match value:
        case YamlScalar():
            return value.value
        case YamlSequence():
            return [plain(item) for item in value.items]
        case YamlMapping():
            return {key: plain(item) for key, item in value.values.items()}
