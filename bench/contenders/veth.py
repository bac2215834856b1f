"""A bare veth pair between two namespaces: what the endpoints reach with no switch at all."""

from __future__ import annotations

from bench.contenders.base import Wired, addresses, kernel_version
from bench.stage import Stage


class Veth:
    """The ceiling of everything that is built on veth."""

    name = "veth"
    summary = "bare veth, no switch"

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return kernel_version()

    def wire(self, stage: Stage, pairs: int = 1) -> tuple[Wired, ...]:
        return tuple(self._pair(stage, *places) for places in addresses(pairs))

    def _pair(self, stage: Stage, here: str, there: str) -> Wired:
        left, right = stage.namespace(), stage.namespace()
        stage.ip(left, f"link add name eth0 type veth peer name eth0 netns {right.pid}")
        return Wired(stage.endpoint(left, here), stage.endpoint(right, there))
