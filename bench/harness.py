"""A whole run: the command line, the rounds, the report.

Each round gives every contender one trial, in an order that rotates from round to round, on fresh
namespaces. Unless their number was asked for, rounds stop early rather than pass six minutes (one
with --quick). The report is printed; a full run also writes it to `bench/results.md`, shorter ones
only where `--output` says, so that a glance does not replace the record. Progress goes to standard
error.

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
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.contenders import CONTENDERS
from bench.contenders.base import Contender
from bench.figures import Sample
from bench.measure import Durations, measure_all
from bench.report import Entrant, Report, circumstances_now, render
from bench.stage import Stage, TrialError, build_tools, sweep_stale_folders

RESULTS = Path(__file__).resolve().parent / "results.md"
FULL = Durations(tcp=2.0, udp=1.5, round_trip=0.8, forwarding=1.5)
QUICK = Durations(tcp=1.0, udp=0.8, round_trip=0.4, forwarding=0.8)
FULL_ROUNDS, FULL_LIMIT = 5, 360.0
QUICK_ROUNDS, QUICK_LIMIT = 1, 60.0


@dataclass(slots=True)
class Record:
    """What a run has gathered so far."""

    samples: list[Sample] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)
    rounds: int = 0


def tell(text: str) -> None:
    """Progress, apart from the report."""
    print(text, file=sys.stderr, flush=True)


def try_out(contender: Contender, tools: Path, durations: Durations, record: Record) -> None:
    """One trial: wire, measure, take down. A failure is recorded and the run goes on."""
    try:
        with Stage(tools) as stage:
            found = measure_all(stage, contender.wire(stage), durations)
    except (TrialError, OSError) as trouble:
        record.troubles[contender.name] = f"failed: {str(trouble).splitlines()[0]}"
        tell(f"  {contender.name}: {trouble}")
        return
    record.samples += [
        Sample(contender.name, measure, record.rounds, value) for measure, value in found.items()
    ]
    shown = ", ".join(f"{value:.{m.value.digits}f} {m.value.unit}" for m, value in found.items())
    tell(f"  {contender.name}: {shown}")


def run_rounds(
    contenders: Sequence[Contender], tools: Path, durations: Durations, rounds: int, limit: float
) -> Record:
    """All rounds, or as many as fit into `limit` seconds judged by the longest so far."""
    record = Record()
    begin, longest = time.monotonic(), 0.0
    for number in range(rounds):
        start = time.monotonic()
        if start - begin + longest > limit:
            tell(f"stopping after {number} of {rounds} rounds: the limit is {limit:.0f} s")
            break
        tell(f"round {number + 1} of {rounds}")
        turn = number % max(1, len(contenders))
        for contender in (*contenders[turn:], *contenders[:turn]):
            if contender.name not in record.troubles:
                try_out(contender, tools, durations, record)
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
    parser.add_argument("--quick", action="store_true", help="one short round, under a minute")
    parser.add_argument("--only", type=chosen, default=CONTENDERS, metavar="NAME,...")
    parser.add_argument("--rounds", type=positive, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the report here too")
    return parser.parse_args(argv)


def measure(
    contenders: Sequence[Contender], durations: Durations, rounds: int, limit: float
) -> tuple[Report, bool]:
    """A whole run: the report, and whether every present contender came through."""
    begin, load = time.monotonic(), os.getloadavg()[0]
    absent = {c.name: why for c in contenders if (why := c.missing())}
    present = [contender for contender in contenders if contender.name not in absent]
    with tempfile.TemporaryDirectory(prefix=f"linkspan-bench-{os.getpid()}-") as folder:
        tools = Path(folder)
        build_tools(tools)
        record = run_rounds(present, tools, durations, rounds, limit)
    troubles = absent | record.troubles
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
    now = circumstances_now(load, record.rounds, seconds, str(durations))
    return Report(now, entrants, tuple(record.samples)), not record.troubles


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
    for program, package in (("gcc", "gcc"), ("ip", "iproute2"), ("tc", "iproute2")):
        if not shutil.which(program):
            tell(f"bench: {program} is missing: install the package {package}")
            return 4
    if not shutil.which("trafgen"):
        tell("bench: trafgen is missing, forwarding is not measured: package netsniff-ng")
    sweep_stale_folders(Path(tempfile.gettempdir()))
    quick = options.quick
    report, all_came_through = measure(
        options.only,
        QUICK if quick else FULL,
        options.rounds or (QUICK_ROUNDS if quick else FULL_ROUNDS),
        math.inf if options.rounds else QUICK_LIMIT if quick else FULL_LIMIT,
    )
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
