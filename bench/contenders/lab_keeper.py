"""A process that owns one lab: it takes it down when its standard input ends.

usage: python -m bench.contenders.lab_keeper FILE

A lab is made to outlive the program that brought it up; the bench must leave nothing, even when it
is killed. Its death closes this process's input, so the lab goes. Once the lab is up, one line of
JSON tells where it is: the descriptors by which this process holds the network namespaces of the
nodes, the pids of the switches as seen from here, and what the bridge says of its in-kernel cache.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import linkspan
from linkspan.control.client import Client
from linkspan.control.descriptors import close_all
from linkspan.lab.find import find_running
from linkspan.model.topology import HOST
from linkspan.sandbox import holder
from linkspan.sandbox.namespaces import NODE_KINDS, node_key

SWITCH_MODULE = b"linkspan.engine.user.process"
NETWORK = NODE_KINDS.index("net")


def network_of(init: Client, node: str) -> int:
    """A descriptor of a node's network namespace, fetched from the lab's init process."""
    _, held = init.call_for_descriptors("fetch", name=node_key(node))
    close_all(held[:NETWORK] + held[NETWORK + 1 :])
    return held[NETWORK]


def switches_among(namespaces: list[int]) -> list[int]:
    """The switch processes that live in one of these (PID) namespaces."""
    known = {os.fstat(descriptor).st_ino for descriptor in namespaces}
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if (
                folder.name.isdecimal()
                and SWITCH_MODULE in (folder / "cmdline").read_bytes().split(b"\0")
                and (folder / "ns/pid").stat().st_ino in known
            ):
                found.append(int(folder.name))
        except OSError:
            continue  # it ended while we looked
    return found


def main() -> None:
    """Bring the lab up, say where it is, wait, take it down."""
    os.setsid()  # a Ctrl-C is for the bench; this process still has to clean up
    with linkspan.up(sys.argv[1]) as lab:
        place = find_running(lab.name)
        topology = place.topology()
        assert topology is not None
        with holder.connect(place.folder) as init:
            nodes = {node: network_of(init, node) for node in topology.nodes if node != HOST}
            _, namespaces = init.call_for_descriptors("fetch", name="lab")
        (bridge,) = lab.snapshot().bridges
        announced = {
            "nodes": nodes,
            "switches": switches_among(namespaces),
            "cache": bridge.cache,
        }
        print(json.dumps(announced))
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
