"""Running a command inside a node."""

from __future__ import annotations

import os
from collections.abc import Sequence

from linkspan.errors import Fault, Mistake, Refusal
from linkspan.lab.find import Place
from linkspan.model.topology import Topology
from linkspan.sandbox import holder
from linkspan.sandbox.execute import execute
from linkspan.sandbox.namespaces import node_key


def execute_in_node(place: Place, node: str, command: Sequence[str]) -> int:
    """Run a command in a node and return its exit status; without one, the user's shell.

    The calling process enters the node and does not come back. Raises Refusal when the kernel
    does not let it in.
    """
    topology = place.topology()
    if topology is not None and topology.is_machine(node):
        raise Mistake(
            Fault(
                f"{node} is a virtual machine: linkspan runs no commands in it",
                next_step=f"linkspan console {place.name}/{node}",
            )
        )
    with holder.connect(place.folder) as init:
        _, lab = init.call_for_descriptors("fetch", name="lab")
        _, own = init.call_for_descriptors("fetch", name=node_key(node))
    environment = {**os.environ, **_variables(topology, node)}
    environment |= {"LINKSPAN_LAB": place.name, "LINKSPAN_NODE": node}
    shell = os.environ.get("SHELL", "/bin/sh")
    try:
        return execute([*lab, *own], list(command) or [shell], environment)
    except OSError as error:
        raise Refusal(f"cannot enter {place.name}/{node}: {error}") from None


def _variables(topology: Topology | None, node: str) -> dict[str, str]:
    """The environment that the file gives a node."""
    declared = topology.nodes.get(node) if topology is not None else None
    return {name: str(text) for name, text in declared.env.items()} if declared else {}
