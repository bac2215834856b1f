"""Reading the virtual machines of a lab: QEMU's process, and by which descriptors it is on which
bridge.

QEMU is found by its control socket, whose other end the kernel names. Its command line says which
descriptor is which port's, and /proc which tap that is of: what is shown is what QEMU has.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from linkspan.control.client import Client
from linkspan.errors import Missing, Refusal
from linkspan.lab.find import Place
from linkspan.lab.lent import with_prefix
from linkspan.model.names import port_name, with_macs
from linkspan.model.node import NodePort
from linkspan.model.snapshot import (
    BridgeSnapshot,
    Counters,
    InterfaceSnapshot,
    LeaseSnapshot,
    MachinePortSnapshot,
    MachineSnapshot,
    NodeSnapshot,
    PortSnapshot,
)
from linkspan.model.topology import NodeKind, Topology
from linkspan.sandbox import holder
from linkspan.services import firmware
from linkspan.services.guest_console import why_guest_stuck
from linkspan.services.machines import OFF, configuration_of, machine_services
from linkspan.services.qemu import control_name
from linkspan.services.qmp import Qmp

_TAP: Final = re.compile(r"^iff:\s*(\S+)", re.MULTILINE)
_DESCRIPTOR: Final = re.compile(r"(?:,fd=|,local\.str=)(\d+)")

RUNNING: Final = "running"
"""What QEMU calls a machine that runs (RunState, qapi/run-state.json)."""

Taps = Mapping[str, Counters]
"""Counters of the lab's taps by name; `in` is what QEMU sent."""

_Opened = tuple[int | None, str | None]
"""QEMU's descriptor of a port, and the tap that it is of, if it is of one."""

_NOT_OPEN: Final[_Opened] = (None, None)


def read_machines(
    folder: Path,
    init: Client,
    topology: Topology,
    bridges: Sequence[BridgeSnapshot],
    taps: Taps,
) -> list[MachineSnapshot]:
    """The virtual machines of a running lab."""
    services = machine_services(init)
    seen = {(bridge.name, port.name): port for bridge in bridges for port in bridge.ports}
    found = []
    for node, declared in with_macs(topology).nodes.items():
        if declared.kind is not NodeKind.VM:
            continue
        pid, state = _process(folder, node, services.get(node))
        opened = _opened(pid)
        found.append(
            MachineSnapshot(
                node=node,
                state=state,
                pid=pid,
                accelerator=configuration_of(init, node).accelerator if node in services else "",
                memory=declared.mebibytes,
                cpus=declared.cpus,
                ports=[
                    _port(
                        (node, interface),
                        port,
                        opened[place] if place < len(opened) else _NOT_OPEN,
                        seen.get((port.bridge, port_name(node, interface))),
                        taps,
                    )
                    for place, (interface, port) in enumerate(declared.ports.items())
                ],
            )
        )
    return found


def as_node(
    topology: Topology, machine: MachineSnapshot, lent: Sequence[LeaseSnapshot]
) -> NodeSnapshot:
    """A machine among the nodes: its interfaces as the file has them, and what was lent to it."""
    declared = topology.nodes[machine.node]
    is_up = machine.pid != 0
    return NodeSnapshot(
        name=machine.node,
        kind=declared.kind.value,
        interfaces=[
            InterfaceSnapshot(
                name=port.interface,
                mac=port.mac,
                mtu=topology.mtu_of(declared.ports[port.interface]),
                up=is_up,
                carrier=is_up,
                addresses=[
                    *declared.ports[port.interface].fixed,
                    *(with_prefix(topology, each) for each in lent if each.mac == port.mac),
                ],
                bridge=port.bridge,
            )
            for port in machine.ports
        ],
    )


def _process(folder: Path, node: str, status: Mapping[str, Any] | None) -> tuple[int, str]:
    """QEMU's pid as we see it, and the state in words."""
    if status is None:
        return 0, "never started"
    if not status["pid"]:
        return 0, "off" if status["ended"] == OFF else f"ended: {status['ended']}"
    try:
        with Qmp(folder / control_name(node)) as qmp:
            state = str(qmp.call("query-status")["status"])
            why = firmware.why_not_booted(firmware.said(qmp))
            if why:
                return qmp.pid, f"not booted: {why}"
            stuck = why_guest_stuck(folder, node, time.time())
            return qmp.pid, f"stuck: {stuck}" if stuck else state
    except (Missing, Refusal):
        return 0, "QEMU does not answer"


def not_running(folder: Path, init: Client, topology: Topology) -> dict[str, str]:
    """The machines of a lab that have a QEMU and are not just running, and their states."""
    states = {
        node: _process(folder, node, status)
        for node, status in machine_services(init).items()
        if topology.is_machine(node)
    }
    return {node: state for node, (pid, state) in states.items() if pid and state != RUNNING}


def machine_notices(place: Place, topology: Topology) -> list[str]:
    """Sentences about machines that run while their guests do not."""
    if not place.is_alive:
        return []
    with holder.connect(place.folder) as init:
        states = not_running(place.folder, init, topology)
    return [
        f"the guest of {node} does not run: {state}\n"
        f"  next: linkspan logs {place.name}/{node} has its last words; once it is corrected,"
        f" linkspan down {place.name} and linkspan up begin anew"
        for node, state in states.items()
    ]


def _opened(pid: int) -> list[_Opened]:
    """By port, in order: what QEMU has open of it."""
    found: list[_Opened] = []
    if not pid:
        return found
    folder = Path(f"/proc/{pid}")
    try:
        words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        for option, value in itertools.pairwise(words):
            if option == "-netdev" and (number := _DESCRIPTOR.search(value)):
                tap = _TAP.search((folder / "fdinfo" / number[1]).read_text())
                found.append((int(number[1]), tap[1] if tap else None))
    except OSError:
        pass  # it has just ended, or is not ours to look into
    return found


def _port(
    place: tuple[str, str],
    declared: NodePort,
    opened: _Opened,
    seen: PortSnapshot | None,
    taps: Taps,
) -> MachinePortSnapshot:
    """The port of an interface of a node, as far as its bridge has it."""
    descriptor, tap = opened
    return MachinePortSnapshot(
        interface=place[1],
        mac=str(declared.mac),
        descriptor=descriptor,
        tap=tap,
        bridge=declared.bridge,
        port=port_name(*place),
        number=None if seen is None else seen.number,
        machine=taps.get(tap) if tap is not None else None,
        counters=Counters() if seen is None else seen.counters,
    )
