"""A C program that copies between two taps and decides nothing (c_loop.c): the limit for taps."""

from __future__ import annotations

from bench.contenders.base import Wired, addresses, package_version
from bench.stage import Stage


class CLoop:
    """The baseline of the user-space switches."""

    name = "c_loop"
    summary = "C loop that only copies between two taps"

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return package_version("gcc")

    def wire(self, stage: Stage, pairs: int = 1) -> tuple[Wired, ...]:
        return tuple(self._pair(stage, *places) for places in addresses(pairs))

    def _pair(self, stage: Stage, here: str, there: str) -> Wired:
        left, right = stage.namespace(), stage.namespace()
        program = str(stage.tools / "c_loop")
        command = [program, left.path, "eth0", right.path, "eth0"]
        loop = stage.start(command, expect="ready")
        ends = stage.endpoint(left, here), stage.endpoint(right, there)
        return Wired(*ends, switch_pids=(loop.pid,))
