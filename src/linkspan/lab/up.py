"""Bringing a lab up: load, plan, build, wait until the switches answer, commit.

Everything is made by one process inside the lab's namespaces, as a client of the lab's init. Until
`commit` the lab ends with that connection, so a failure or a `kill -9` at any moment leaves
nothing behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linkspan.control.lines import Client
from linkspan.engine.user.build import Builder, Progress
from linkspan.errors import Fault, LinkspanError, Mistake, Refusal
from linkspan.lab.find import Place
from linkspan.model.load import load
from linkspan.model.names import with_macs
from linkspan.model.topology import HOST, Topology
from linkspan.plan.actions import Action
from linkspan.plan.build import build
from linkspan.sandbox import holder, state
from linkspan.sandbox.namespaces import close_all
from linkspan.sandbox.worker import run_inside


@dataclass(frozen=True, slots=True)
class Up:
    """What `up` did."""

    place: Place
    changed: bool
    """False when the lab was up already, from an equal file."""
    nodes: int
    bridges: int
    seconds: float


def up(file: Path, progress: Progress | None = None) -> Up:
    """Make the lab that a file declares; `progress` is called, in another process, before each
    action with the number of those done, of all, and the action.

    Raises Mistake (nothing was touched), Refusal (everything was undone) or Missing.
    """
    started = time.monotonic()
    topology = with_macs(load(file))
    place = Place(topology.name)
    lock = state.take(place.folder)
    if lock is None:
        _require_equal(place, topology)
    else:
        init = _start(place.folder, lock, topology)
        try:
            with init:
                _make(place.folder, init, topology, build(topology), progress)
        except BaseException:
            holder.end(place.folder)
            raise
    nodes = len(set(topology.nodes) | {HOST})
    seconds = time.monotonic() - started
    return Up(place, lock is not None, nodes, len(topology.bridges), seconds)


def _require_equal(place: Place, topology: Topology) -> None:
    running = place.topology()
    if running == topology:
        return
    if running is None:
        raise Mistake(
            Fault(
                f"another linkspan is bringing the lab {place.name} up or down",
                next_step="try again when it is done",
            )
        )
    raise Mistake(
        Fault(
            f"the lab {place.name} is up already, from a file that differs from this one",
            next_step=f"linkspan down {place.name} first, or give this file another name:",
        )
    )


def _start(folder: Path, lock: int, topology: Topology) -> Client:
    """Start the lab's init process, to which the lock passes; leaves nothing when that fails."""
    try:
        _write_files(folder / "etc", topology)
        return holder.start(folder, lock)
    except BaseException:
        state.remove(folder, lock)
        raise
    finally:
        os.close(lock)


def _make(
    folder: Path,
    init: Client,
    topology: Topology,
    actions: Sequence[Action],
    progress: Progress | None,
) -> None:
    _, lab = init.call_for_descriptors("fetch", name="lab")
    try:
        run_inside(lab, lambda: Builder(topology.name, folder, init).run(actions, progress))
    finally:
        close_all(lab)
    for bridge in topology.bridges:
        wait_for_switch(folder, bridge)
    temporary = folder / f"{state.TOPOLOGY}.new"
    temporary.write_bytes(msgspec.json.encode(topology))
    temporary.rename(folder / state.TOPOLOGY)
    init.call("commit")


def wait_for_switch(folder: Path, bridge: str, seconds: float = 20.0) -> None:
    """Wait until a switch answers. Raises Refusal with the log's end when it does not."""
    try:
        with Client(state.bridge_socket(folder, bridge), timeout=seconds) as client:
            client.call("counters")
    except LinkspanError as error:
        tail = (folder / state.LOG).read_text(errors="replace").splitlines()[-12:]
        raise Refusal(
            "\n".join([f"the switch of {bridge} does not start: {error}", *tail])
        ) from None


def _write_files(folder: Path, topology: Topology) -> None:
    """The nodes' /etc/hosts and /etc/resolv.conf, one copy for the whole lab."""
    folder.mkdir(mode=0o755)
    (folder / "hosts").write_text(hosts(topology))
    (folder / "resolv.conf").write_text("# linkspan: this lab has no name server\n")


def hosts(topology: Topology) -> str:
    """The text of /etc/hosts: every address of every node, and of the bridges for theirs."""
    owned = [
        (address, bridge.node) for bridge in topology.bridges.values() for address in bridge.address
    ]
    owned += [(address, node) for node, _, port in topology.links() for address in port.address]
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address.partition('/')[0]} {node}" for address, node in owned]
    return "\n".join(lines) + "\n"
