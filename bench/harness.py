"""A whole run: the command line, the rounds, the report.

There are two series of rounds: one pair of endpoints with every measure, then a hundred pairs. Each
round gives every contender one trial, in an order that rotates from round to round, on fresh
namespaces. Unless their number was asked for, a series stops early rather than pass its limit
(--quick: one short round of the first series). The report is printed; a full run also writes it to
`bench/results.md`, shorter ones only where `--output` says, so that a glance does not replace the
record. Progress goes to standard error.

Exit status: 0 done (whether or not targets are met), 1 a contender failed, 2 wrong arguments,
4 not root or no compiler.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from bench.contenders import CONTENDERS
from bench.contenders.base import Contender, Wired
from bench.crowd import PAIRS, measure_crowd
from bench.figures import Measure, Sample
from bench.measure import Durations, measure_pair, share_of_others
from bench.report import Entrant, Report, circumstances_now, render
from bench.stage import Stage, TrialError, build_tools, sweep_stale_folders

RESULTS = Path(__file__).resolve().parent / "results.md"
NOTES = RESULTS.with_name("notes.md")
FULL = Durations(tcp=1.5, udp=1.2, round_trip=1.0, forwarding=1.2, flows=500, established=10.0)
QUICK = Durations(tcp=1.0, udp=0.8, round_trip=0.4, forwarding=0.8, flows=100, established=3.0)


@dataclass(frozen=True, slots=True)
class Series:
    """Rounds of one kind of trial, and how many seconds they may take together."""

    pairs: int
    measure: Callable[[Stage, Sequence[Wired], Durations], Mapping[Measure, float]]
    rounds: int
    limit: float
    only: frozenset[str] = frozenset(contender.name for contender in CONTENDERS)


# The ports of a bridge in the kernel's speed; for the others, taking turns costs more than a port.
SCALED = frozenset({"linkspan_cache", "linkspan_plain", "veth", "kernel_bridge"})
ONE_PAIR = Series(1, measure_pair, rounds=7, limit=480.0)
CROWD = Series(PAIRS, measure_crowd, rounds=2, limit=300.0, only=SCALED)
QUICK_PAIR = Series(1, measure_pair, rounds=1, limit=90.0)


@dataclass(slots=True)
class Record:
    """What a series has gathered so far."""

    samples: list[Sample] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)
    """What part of the machine others used, before each trial."""
    rounds: int = 0


def tell(text: str) -> None:
    """Progress, apart from the report."""
    print(text, file=sys.stderr, flush=True)


def try_out(
    contender: Contender, tools: Path, durations: Durations, series: Series, record: Record
) -> None:
    """One trial: wire, measure, take down. A failure is recorded and the run goes on."""
    try:
        with Stage(tools) as stage:
            found = series.measure(stage, contender.wire(stage, series.pairs), durations)
    except (TrialError, OSError) as trouble:
        pairs = f"{series.pairs} pair{'' if series.pairs == 1 else 's'}"
        record.troubles[contender.name] = f"{pairs} failed: {str(trouble).splitlines()[0]}"
        tell(f"  {contender.name}: {trouble}")
        return
    record.samples += [
        Sample(contender.name, measure, record.rounds, value) for measure, value in found.items()
    ]
    shown = ", ".join(f"{value:.{m.value.digits}f} {m.value.unit}" for m, value in found.items())
    tell(f"  {contender.name}: {shown}")


def run_series(
    contenders: Sequence[Contender], tools: Path, durations: Durations, series: Series
) -> Record:
    """All rounds, or as many as fit into the limit judged by the longest so far."""
    record = Record()
    begin, longest = time.monotonic(), 0.0
    for number in range(series.rounds):
        start = time.monotonic()
        if start - begin + longest > series.limit:
            tell(f"stopping after {number} of {series.rounds}: the limit is {series.limit:.0f} s")
            break
        tell(f"{series.pairs} pairs: round {number + 1} of {series.rounds}")
        turn = number % max(1, len(contenders))
        for contender in (*contenders[turn:], *contenders[:turn]):
            if contender.name in series.only - record.troubles.keys():
                record.others.append(share_of_others())
                try_out(contender, tools, durations, series, record)
        record.rounds += 1
        longest = max(longest, time.monotonic() - start)
    return record


def chosen(names: str) -> tuple[Contender, ...]:
    """The contenders of a comma-separated list; all when it is empty.

    Raises argparse.ArgumentTypeError on an unknown name.
    """
    known = {contender.name: contender for contender in CONTENDERS}
    wanted = [name.strip() for name in names.split(",") if name.strip()] or list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown contender {', '.join(unknown)}; known: {', '.join(known)}"
        )
    return tuple(known[name] for name in known if name in wanted)


def positive(text: str) -> int:
    """A count of at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {text!r}")
    return int(text)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; leaves the program when it is wrong."""
    parser = argparse.ArgumentParser(description="measure linkspan's switch beside its peers")
    parser.add_argument("--quick", action="store_true", help="one short round of one pair")
    parser.add_argument("--only", type=chosen, default=CONTENDERS, metavar="NAME,...")
    parser.add_argument("--rounds", type=positive, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the report here too")
    return parser.parse_args(argv)


def measure(
    contenders: Sequence[Contender], durations: Durations, plan: Sequence[Series]
) -> tuple[Report, bool]:
    """A whole run: the report, and whether every present contender came through."""
    begin = time.monotonic()
    absent = {c.name: why for c in contenders if (why := c.missing())}
    present = [contender for contender in contenders if contender.name not in absent]
    with tempfile.TemporaryDirectory(prefix=f"linkspan-bench-{os.getpid()}-") as folder:
        tools = Path(folder)
        build_tools(tools)
        records = [run_series(present, tools, durations, series) for series in plan]
    troubles = dict(absent)
    for record in reversed(records):
        troubles |= record.troubles
    entrants = tuple(
        Entrant(
            c.name,
            c.summary,
            "" if c.name in absent else c.version(),
            troubles.get(c.name, ""),
        )
        for c in contenders
    )
    seconds = time.monotonic() - begin
    rounds = tuple(record.rounds for record in records)
    others = median([share for record in records for share in record.others] or [0.0])
    now = circumstances_now(others, rounds, seconds, str(durations))
    samples = tuple(sample for record in records for sample in record.samples)
    notes = NOTES.read_text(encoding="utf-8") if NOTES.exists() else ""
    return Report(now, entrants, samples, notes=notes), not any(r.troubles for r in records)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    try:
        return bench(arguments(argv))
    except KeyboardInterrupt:
        tell("bench: interrupted; nothing is left behind")
        return 130
    except TrialError as trouble:
        tell(f"bench: {trouble}")
        return 4


def bench(options: argparse.Namespace) -> int:
    """Check the machine, measure, print and write the report; returns the exit status."""
    if os.geteuid() != 0:
        tell("bench: needs root, for network namespaces and taps: run it as root")
        return 4
    for program, package in (
        ("gcc", "gcc"),
        ("ip", "iproute2"),
        ("tc", "iproute2"),
        ("taskset", "util-linux"),
    ):
        if not shutil.which(program):
            tell(f"bench: {program} is missing: install the package {package}")
            return 4
    if not shutil.which("trafgen"):
        tell("bench: trafgen is missing, forwarding is not measured: package netsniff-ng")
    sweep_stale_folders(Path(tempfile.gettempdir()))
    quick = options.quick
    plan: tuple[Series, ...] = (QUICK_PAIR,) if quick else (ONE_PAIR, CROWD)
    if options.rounds:
        plan = tuple(replace(part, rounds=options.rounds, limit=math.inf) for part in plan)
    report, all_came_through = measure(options.only, QUICK if quick else FULL, plan)
    text = render(report)
    print(text, end="")
    output = options.output
    if output is None and not quick and options.only == CONTENDERS:
        output = RESULTS
    if output is not None:
        output.write_text(text, encoding="utf-8")
        tell(f"written to {output}")
    return 0 if all_came_through else 1


if __name__ == "__main__":
    sys.exit(main())
