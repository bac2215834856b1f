"""VDE's switch with two taps of its own, which are moved into the endpoints' namespaces.

A tap stays attached to the descriptor that its program holds, whatever namespace it is moved to.
The switch ends when its standard input does.
"""

from __future__ import annotations

from bench.contenders.base import ADDRESSES, Wired, missing_package, package_version
from bench.contenders.moved_taps import move_taps
from bench.stage import Stage


class VdeSwitch:
    """A user-space switch in C: one process, poll, one frame at a time, no offloads."""

    name = "vde_switch"
    summary = "VDE switch, taps"

    def missing(self) -> str:
        return missing_package("vde_switch", "vde-switch")

    def version(self) -> str:
        return package_version("vde-switch")

    def wire(self, stage: Stage) -> Wired:
        left, right, switch = stage.namespace(), stage.namespace(), stage.namespace()
        control = str(stage.folder / "vde")
        command = ["vde_switch", "--sock", control, "--tap", "tap1", "--tap", "tap2"]
        process = stage.start_in(switch, command)
        move_taps(stage, switch, {"tap1": left, "tap2": right}, process)
        ends = stage.endpoint(left, ADDRESSES[0]), stage.endpoint(right, ADDRESSES[1])
        return Wired(*ends, switch_pids=(process.pid,))
