"""Virtual machines: the processes, and the way from each one's card to its bridge.

    vm1 eth0  ─▶  QEMU 4711, descriptor 19  ─▶  /dev/net/tun, tap vm1.eth0  ─▶  port 1 of br0

The counters of both ends of that way stand under each other. What a guest sends is what its tap
takes in and its port receives; the other way round a tap may count more than a guest has read yet.
"""

from __future__ import annotations

from linkspan.model.snapshot import Counters, LabSnapshot, MachinePortSnapshot, MachineSnapshot
from linkspan.view.table import Cell, Quantity, byte_count, table


def machines_table(lab: LabSnapshot) -> str:
    """One line a machine; empty when the lab has none."""
    rows: list[list[Cell]] = [
        [
            machine.node,
            machine.state,
            Quantity(machine.pid) if machine.pid else None,
            machine.accelerator or None,
            Quantity(f"{machine.memory} MiB"),
            machine.cpus,
            f"linkspan {_look(machine)} {lab.name}/{machine.node}",
        ]
        for machine in lab.machines
    ]
    headings = ["vm", "state", "QEMU", "accelerator", "memory", "CPUs", "next"]
    return table(headings, rows) if rows else ""


def _look(machine: MachineSnapshot) -> str:
    """The command that shows how a guest is, or was."""
    return "console" if machine.state == "running" else "logs"


def machine_ports_table(lab: LabSnapshot) -> str:
    """Two lines a port, the machine's end and the bridge's; empty when there is no machine."""
    rows: list[list[Cell]] = []
    for machine in lab.machines:
        for port in machine.ports:
            rows.append([f"{machine.node}:{port.interface}", *_ends(machine, port)])
            number = "no port" if port.number is None else f"port {port.number} of {port.bridge}"
            rows.append(["", f"{number}, {port.port}", *_counts(port.counters)])
    headings = ["vm port", "end of the way", "frames in", "bytes in", "frames out", "bytes out"]
    return table(headings, rows) if rows else ""


def _ends(machine: MachineSnapshot, port: MachinePortSnapshot) -> list[Cell]:
    if port.descriptor is None:
        return [_no_descriptor(machine), None, None, None, None]
    what = f"/dev/net/tun, tap {port.tap}" if port.tap else "a socket, which does not count"
    way = f"QEMU {machine.pid}, descriptor {port.descriptor}: {what}"
    return [way, *(_counts(port.machine) if port.machine else [None] * 4)]


def _no_descriptor(machine: MachineSnapshot) -> str:
    return "QEMU has no descriptor of it" if machine.pid else "no QEMU"


def _counts(counters: Counters) -> list[Cell]:
    return [
        counters.frames_in,
        byte_count(counters.bytes_in),
        counters.frames_out,
        byte_count(counters.bytes_out),
    ]
