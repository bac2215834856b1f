"""A bare veth pair between the two namespaces: what the endpoints reach with no switch at all."""

from __future__ import annotations

from bench.contenders.base import ADDRESSES, Wired, kernel_version
from bench.stage import Stage


class Veth:
    """The ceiling of everything that is built on veth."""

    name = "veth"
    summary = "bare veth, no switch"

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return kernel_version()

    def wire(self, stage: Stage) -> Wired:
        left, right = stage.namespace(), stage.namespace()
        stage.ip(left, f"link add name eth0 type veth peer name eth0 netns {right.pid}")
        return Wired(stage.endpoint(left, ADDRESSES[0]), stage.endpoint(right, ADDRESSES[1]))
