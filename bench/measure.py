"""The measures, taken on two endpoints that any contender has connected.

Each function drives the same two programs for every contender: `traffic` (traffic.c) at both ends,
or trafgen at one and tc at the other. Figures come from the receiving side. Who the switch is
matters for one thing only: whose CPU time and memory to read.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contenders.base import Wired
from bench.figures import Measure
from bench.stage import Endpoint, Stage, TrialError, finish

PORTS = {"echo": "7007", "tcp": "7008", "udp": "7009"}
BURST = 64  # datagrams per system call, the most that traffic.c takes
GRACE = 15.0  # seconds beyond a measurement's own until it counts as stuck
REACHABLE_WITHIN = 5.0  # seconds that a new path may take to carry its first round trip
EXPERIMENTAL = 0x88B5  # IEEE 802 local experimental ethertype 1: no stack looks at it
TC_DROP = "1,6 0 0 2"  # classic BPF: one instruction, return TC_ACT_SHOT
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds that each measurement of one trial lasts."""

    tcp: float
    udp: float
    round_trip: float
    forwarding: float

    def __str__(self) -> str:
        return (
            f"TCP {self.tcp:g} s, UDP {self.udp:g} s, round trip {self.round_trip:g} s, "
            f"forwarding {self.forwarding:g} s."
        )


def process_cpu_seconds(pids: tuple[int, ...]) -> float:
    """User and system time of processes so far, from /proc/PID/stat (proc(5))."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # fields 14 and 15, the name being field 2
    return ticks / TICKS


def machine_cpu_seconds() -> float:
    """Time that all cores together were busy, from /proc/stat: all but idle, iowait and steal."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()
    user, nice, system, _idle, _wait, irq, softirq = map(int, fields[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def memory_mebibytes(pids: tuple[int, ...]) -> float:
    """Proportional set size of processes: shared pages count by their share."""
    kibibytes = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                kibibytes += int(line.split()[1])
    return kibibytes / 1024


def traffic(stage: Stage, command: str, end: Endpoint, *arguments: str) -> list[str]:
    """The command line of one end."""
    return [str(stage.tools / "traffic"), command, end.namespace.path, *arguments]


def figures_of(line: str) -> dict[str, float]:
    """The one line of JSON that a measuring end prints."""
    found: Any = json.loads(line)
    return {str(key): float(value) for key, value in found.items()}


def ping(stage: Stage, wired: Wired, seconds: float) -> dict[str, float]:
    """Round trips from left to the echo on the right, one after the other."""
    command = traffic(stage, "udp-ping", wired.left, wired.right.address, PORTS["echo"])
    return figures_of(finish(stage.start_reporting([*command, str(seconds)]), seconds + GRACE))


def wait_until_reachable(stage: Stage, wired: Wired) -> None:
    """Start the echo and have both ends resolved and learned. Raises TrialError if they are not."""
    stage.start(traffic(stage, "udp-echo", wired.right, PORTS["echo"]), expect="ready")
    deadline = time.monotonic() + REACHABLE_WITHIN
    while True:
        try:
            ping(stage, wired, 0.05)
            return
        except TrialError:
            if time.monotonic() > deadline:
                raise


def round_trip(stage: Stage, wired: Wired, seconds: float) -> dict[Measure, float]:
    """The median time of one small datagram there and back."""
    return {Measure.ROUND_TRIP: ping(stage, wired, seconds)["median"]}


def tcp(stage: Stage, wired: Wired, seconds: float) -> dict[Measure, float]:
    """One stream from left to right, and what it cost."""
    receiver = stage.start(traffic(stage, "tcp-receive", wired.right, PORTS["tcp"]), expect="ready")
    switch, machine = process_cpu_seconds(wired.switch_pids), machine_cpu_seconds()
    command = traffic(stage, "tcp-send", wired.left, wired.right.address, PORTS["tcp"])
    finish(stage.start_reporting([*command, str(seconds)]), seconds + GRACE)
    received = figures_of(finish(receiver, GRACE))
    switch = process_cpu_seconds(wired.switch_pids) - switch
    machine = machine_cpu_seconds() - machine
    gigabits = received["bytes"] * 8 / 1e9
    found = {
        Measure.TCP: gigabits / received["seconds"],
        Measure.MACHINE_CPU: machine * 1e3 / gigabits,
    }
    if wired.switch_pids:
        found[Measure.SWITCH_CPU] = switch * 1e3 / gigabits
        found[Measure.MEMORY] = memory_mebibytes(wired.switch_pids)
    return found


def udp(stage: Stage, wired: Wired, seconds: float, at_once: int) -> float:
    """Smallest frames from a sender that never pauses; thousands that arrive in a second.

    `at_once` datagrams are handed to the kernel per system call: 1 as most programs do, more as a
    sender does that means to overrun the path.
    """
    receive = traffic(stage, "udp-receive", wired.right, PORTS["udp"], str(seconds))
    receiver = stage.start(receive, expect="ready")
    send = traffic(stage, "udp-send", wired.left, wired.right.address, PORTS["udp"])
    # Longer than the receiver counts, so that the end of the sending is never in the figure.
    sender = stage.start([*send, str(seconds + GRACE), str(at_once)])
    received = figures_of(finish(receiver, seconds + GRACE))
    stage.end(sender)
    return received["datagrams"] / received["seconds"] / 1e3


def hardware_address(stage: Stage, end: Endpoint) -> str:
    """The MAC of an endpoint's interface."""
    shown = stage.run(end.namespace, ["ip", "-json", "link", "show", "dev", end.interface])
    return str(json.loads(shown)[0]["address"])


def dropped(stage: Stage, end: Endpoint) -> tuple[float, int]:
    """When, and how many frames tc's ingress filter has dropped so far."""
    before = time.monotonic()
    shown = stage.run(
        end.namespace, ["tc", "-json", "-statistics", "qdisc", "show", "dev", end.interface]
    )
    drops = [int(row["drops"]) for row in json.loads(shown) if row["kind"] == "clsact"]
    return (before + time.monotonic()) / 2, drops[0]


def forwarding(stage: Stage, wired: Wired, seconds: float) -> dict[Measure, float]:
    """Frames that the path carries from a packet socket at its left to tc at its right.

    Neither end's stack takes part. trafgen forks a worker that would outlive it; in a pid namespace
    of their own both end together.
    """
    device = ["dev", wired.right.interface]
    right = wired.right.namespace
    stage.run(right, ["tc", "qdisc", "add", *device, "clsact"])
    filters = [*device, "ingress", "protocol", hex(EXPERIMENTAL)]
    stage.run(right, ["tc", "filter", "add", *filters, "bpf", "da", "bytecode", TC_DROP])
    addresses = (hardware_address(stage, wired.right), hardware_address(stage, wired.left))
    octets = [f"0x{octet}" for address in addresses for octet in address.split(":")]
    frame = stage.folder / "frame.cfg"
    head = ", ".join([*octets, f"c16({EXPERIMENTAL:#06x})"])
    frame.write_text(f"{{ {head}, fill(0x00, 46) }}\n", encoding="utf-8")
    quiet = ["--cpus", "1", "--no-sock-mem", "--notouch-irq", "--no-cpu-stats"]
    trafgen = ["trafgen", "--dev", wired.left.interface, "--conf", str(frame), *quiet]
    together = ["unshare", "--pid", "--fork", "--kill-child", *trafgen]
    sender = stage.start_in(wired.left.namespace, together)
    deadline = time.monotonic() + GRACE
    while dropped(stage, wired.right)[1] == 0:
        if sender.poll() is not None or time.monotonic() > deadline:
            raise TrialError(f"trafgen: no frame arrived: {stage.complaints()}")
    time.sleep(0.2)
    start, count = dropped(stage, wired.right)
    time.sleep(seconds)
    end, total = dropped(stage, wired.right)
    stage.end(sender)
    return {Measure.FORWARDING: (total - count) / (end - start) / 1e3}


def measure_all(stage: Stage, wired: Wired, durations: Durations) -> Mapping[Measure, float]:
    """Every measure once; those that need an absent program are left out."""
    wait_until_reachable(stage, wired)
    found = round_trip(stage, wired, durations.round_trip)
    found |= tcp(stage, wired, durations.tcp)
    found[Measure.UDP] = udp(stage, wired, durations.udp, 1)
    found[Measure.UDP_BURSTS] = udp(stage, wired, durations.udp, BURST)
    if shutil.which("trafgen"):
        found |= forwarding(stage, wired, durations.forwarding)
    return found
