"""A C program that copies between two taps and decides nothing (c_loop.c): the limit for taps."""

from __future__ import annotations

from bench.contenders.base import ADDRESSES, Wired, package_version
from bench.stage import Stage


class CLoop:
    """The baseline of the user-space switches."""

    name = "c_loop"
    summary = "C loop that only copies between two taps"

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return package_version("gcc")

    def wire(self, stage: Stage) -> Wired:
        left, right = stage.namespace(), stage.namespace()
        program = str(stage.tools / "c_loop")
        command = [program, left.path, "eth0", right.path, "eth0"]
        loop = stage.start(command, expect="ready")
        ends = stage.endpoint(left, ADDRESSES[0]), stage.endpoint(right, ADDRESSES[1])
        return Wired(*ends, switch_pids=(loop.pid,))
