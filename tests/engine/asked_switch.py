"""A switch that is asked by its control socket, whoever started it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import msgspec

from linkspan.model.snapshot import BridgeSnapshot, Counters


class AskedSwitch(ABC):
    """What its answers are as values."""

    @abstractmethod
    def call(self, op: str, **fields: Any) -> dict[str, Any]:
        """One request on a connection of its own."""

    def snapshot(self) -> BridgeSnapshot:
        return msgspec.convert(self.call("snapshot")["bridge"], BridgeSnapshot)

    def counters(self, port: str) -> Counters:
        return msgspec.convert(self.call("counters")["ports"][port], Counters)
