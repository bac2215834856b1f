"""VDE's switch with taps of its own, which are moved into the endpoints' namespaces.

A tap stays attached to the descriptor that its program holds, whatever namespace it is moved to.
The switch ends when its standard input does.
"""

from __future__ import annotations

from bench.contenders.base import Wired, addresses, missing_package, package_version
from bench.contenders.moved_taps import move_taps, tap_pairs
from bench.stage import Stage


class VdeSwitch:
    """A user-space switch in C: one process, poll, one frame at a time, no offloads."""

    name = "vde_switch"
    summary = "VDE switch, taps"

    def missing(self) -> str:
        return missing_package("vde_switch", "vde-switch")

    def version(self) -> str:
        return package_version("vde-switch")

    def wire(self, stage: Stage, pairs: int = 1) -> tuple[Wired, ...]:
        switch = stage.namespace()
        taps = {f"tap{number}": stage.namespace() for number in range(1, 2 * pairs + 1)}
        control = str(stage.folder / "vde")
        command = ["vde_switch", "--sock", control, "--numports", str(max(32, 2 * pairs))]
        command += [part for tap in taps for part in ("--tap", tap)]
        process = stage.start_in(switch, command)
        move_taps(stage, switch, taps, process)
        return tap_pairs(stage, tuple(taps.values()), addresses(pairs), (process.pid,))
