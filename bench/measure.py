"""The measures, taken on two endpoints that any contender has connected.

Each function drives the same two programs for every contender: `traffic` (traffic.c) at both ends,
or trafgen at one and tc at the other. Figures come from the receiving side. Who the switch is
matters for one thing only: whose CPU time and memory to read.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contenders.base import Wired
from bench.counted import EXPERIMENTAL, counted, drop_at, hardware_address
from bench.figures import Measure
from bench.stage import Endpoint, Stage, TrialError, figures_of, finish

PORTS = {"echo": "7007", "tcp": "7008", "udp": "7009"}
BURST = 64  # datagrams per system call, the most that traffic.c takes
GRACE = 15.0  # seconds beyond a measurement's own until it counts as stuck
REACHABLE_WITHIN = 5.0  # seconds that a new path may take to carry its first round trip
WARM_UP = 0.2  # seconds of forwarding that do not count
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds that each measurement of one trial lasts."""

    tcp: float
    udp: float
    round_trip: float
    forwarding: float
    flows: int
    """How many flows are begun to time their first frames."""
    established: float
    """Seconds after which ten thousand flows are counted the second time."""

    def __str__(self) -> str:
        return (
            f"TCP {self.tcp:g} s, UDP {self.udp:g} s, round trip {self.round_trip:g} s, "
            f"forwarding {self.forwarding:g} s, first frames of {self.flows} flows."
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


def share_of_others(seconds: float = 0.25) -> float:
    """What part of all cores is busy while the bench only waits: how disturbed its figures are."""
    before, begin = machine_cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    busy = (machine_cpu_seconds() - before) / (time.monotonic() - begin)
    return min(1.0, busy / (os.cpu_count() or 1))


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


def on_core(core: int, command: Sequence[str]) -> list[str]:
    """A program that is to run on one core only."""
    return ["taskset", "--cpu-list", str(core), *command]


def ping(stage: Stage, wired: Wired, seconds: float, core: int) -> dict[str, float]:
    """Round trips from left to the echo on the right, one after the other."""
    command = traffic(stage, "udp-ping", wired.left, wired.right.address, PORTS["echo"])
    pinned = on_core(core, [*command, str(seconds)])
    return figures_of(finish(stage.start_reporting(pinned), seconds + GRACE))


def wait_until_reachable(stage: Stage, wired: Wired, core: int) -> None:
    """Start the echo and have both ends resolved and learned. Raises TrialError if they are not."""
    echo = on_core(core, traffic(stage, "udp-echo", wired.right, PORTS["echo"]))
    stage.start(echo, expect="ready")
    deadline = time.monotonic() + REACHABLE_WITHIN
    while True:
        try:
            ping(stage, wired, 0.05, core)
            return
        except TrialError:
            if time.monotonic() > deadline:
                raise


@contextmanager
def kept_on(core: int, pids: tuple[int, ...]) -> Iterator[None]:
    """Have processes run on one core only, for a while."""
    threads = [int(task.name) for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
    before = {thread: os.sched_getaffinity(thread) for thread in threads}
    for thread in threads:
        os.sched_setaffinity(thread, {core})
    yield
    for thread, cores in before.items():
        os.sched_setaffinity(thread, cores)


def one_by_one(stage: Stage, wired: Wired, durations: Durations) -> dict[Measure, float]:
    """What a single frame's way takes: the median round trip, and the first frames of new flows.

    Where the scheduler puts both ends makes four times the difference that any switch makes, and
    it changes its mind between runs. So it is not asked: switch and echo share a core, and the one
    who asks is on that core too, or on another, where there is one.
    """
    here, *apart = sorted(os.sched_getaffinity(0))[:2]
    seconds = durations.round_trip / 2
    with kept_on(here, wired.switch_pids):
        wait_until_reachable(stage, wired, here)
        found = {Measure.ROUND_TRIP: ping(stage, wired, seconds, here)["median"]}
        for core in apart:
            found[Measure.ROUND_TRIP_APART] = ping(stage, wired, seconds, core)["median"]
        return found | first_frames(stage, wired, durations.flows, *(apart or [here]))


def first_frames(stage: Stage, wired: Wired, flows: int, core: int) -> dict[Measure, float]:
    """How long a flow's first, second and eighth frame take, each sent when the last is there."""
    paths = (wired.left.namespace.path, wired.right.namespace.path)
    command = on_core(core, [str(stage.tools / "frames"), "first", *paths, str(flows)])
    found = figures_of(finish(stage.start_reporting(command), GRACE))
    return {
        Measure.FIRST_FRAME: found["first"],
        Measure.SECOND_FRAME: found["second"],
        Measure.LATER_FRAME: found["later"],
    }


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


def forwarding(stage: Stage, wired: Wired, seconds: float) -> dict[Measure, float]:
    """Frames that the path carries from a packet socket at its left to tc at its right.

    Neither end's stack takes part. trafgen forks a worker that would outlive it; in a pid namespace
    of their own both end together.
    """
    drop_at(stage, wired.right)
    addresses = (hardware_address(stage, wired.right), hardware_address(stage, wired.left))
    octets = [f"0x{octet}" for address in addresses for octet in address.split(":")]
    frame = stage.folder / "frame.cfg"
    head = ", ".join([*octets, f"c16({EXPERIMENTAL:#06x})"])
    frame.write_text(f"{{ {head}, fill(0x00, 46) }}\n", encoding="utf-8")
    quiet = ["--cpus", "1", "--no-sock-mem", "--notouch-irq", "--no-cpu-stats"]
    trafgen = ["trafgen", "--dev", wired.left.interface, "--conf", str(frame), *quiet]
    together = ["unshare", "--pid", "--fork", "--kill-child", *trafgen]
    sender = stage.start_in(wired.left.namespace, together)
    rate = counted(stage, [wired.right], WARM_UP, seconds)
    stage.end(sender)
    return {Measure.FORWARDING: rate}


def measure_pair(
    stage: Stage, wired: Sequence[Wired], durations: Durations
) -> Mapping[Measure, float]:
    """Every measure of one pair, once; those that need an absent program are left out."""
    (pair,) = wired
    found = one_by_one(stage, pair, durations)
    found |= tcp(stage, pair, durations.tcp)
    found[Measure.UDP] = udp(stage, pair, durations.udp, 1)
    found[Measure.UDP_BURSTS] = udp(stage, pair, durations.udp, BURST)
    if shutil.which("trafgen"):
        found |= forwarding(stage, pair, durations.forwarding)
    return found
