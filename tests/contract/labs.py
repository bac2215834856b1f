"""The engines that carry a lab of the contract: what a file says to have them, and what they lack.

A switch without a lab has no line to be slow, no tunnel and no NIC, so the memory engine is not
asked for any of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.engine.running_lab import RunningLab

from linkspan.engine.kernel.capabilities import cannot_shape
from linkspan.engine.netlink import Netlink
from linkspan.engine.queueing import drop_shapes
from linkspan.lab.up import up
from linkspan.model.shaping import Shape
from linkspan.sandbox.namespaces import inside


@dataclass(frozen=True, slots=True)
class LabEngine:
    """One engine, as a file names it."""

    name: str
    fields: str
    """Of a bridge in the file."""

    @property
    def able(self) -> frozenset[str]:
        """What it can be asked for here, of what the tests' `needs` marks name."""
        if self.name == "kernel" and cannot_shape([Shape(delay=1.0, loss=1.0)]) is not None:
            return frozenset()
        return frozenset({"delay", "loss"})

    def lift_by_hand(self, running: RunningLab, node: str) -> None:
        """Let go of what holds up what the node's eth0 sends, behind linkspan's back."""
        if self.name != "kernel":
            running.call("shape", port=f"{node}.eth0", shape=None)
            return
        with inside(running.network(node)), Netlink() as netlink:
            netlink.run(drop_shapes(netlink.index("eth0"))[:1])


LAB_ENGINES: Final = {
    "kernel": LabEngine("kernel", "engine: kernel"),
    "user": LabEngine("user", "engine: user, cache: off"),
    "user-with-cache": LabEngine("user-with-cache", "engine: user"),
}


def changes(running: RunningLab, folder: Path, text: str) -> list[tuple[str, str]]:
    """What `up` with another file does, and why."""
    file = folder / f"{running.name}.yaml"
    file.write_text(f"name: {running.name}\n{text}")
    return [(change.explain(), change.reason) for change in up(file).plan]
