"""The result in Markdown: the same text is printed and written to `bench/results.md`.

Four tables: the contenders with their versions, the medians, the ratios to a baseline, and the
targets. A contender that could not take part keeps its row and says why.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.figures import Measure, Sample, by_round, condense, ratio
from bench.targets import TARGETS, Judgement, Target, judge

BASELINE = "c_loop"
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Entrant:
    """One row: a contender, its version, and why it was absent or failed (empty: it took part)."""

    name: str
    summary: str
    version: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where, when and how long was measured.

    `load` is what else the machine did: its load average over the minute before the first round.
    """

    date: str
    processor: str
    cores: int
    kernel: str
    python: str
    load: float
    rounds: int
    seconds: float
    durations: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run found out."""

    circumstances: Circumstances
    entrants: tuple[Entrant, ...]
    samples: tuple[Sample, ...]
    targets: tuple[Target, ...] = TARGETS


def circumstances_now(load: float, rounds: int, seconds: float, durations: str) -> Circumstances:
    """The machine as it is, at the present time."""
    described = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in described if line.startswith("model name")]
    return Circumstances(
        date=datetime.now().astimezone().isoformat(sep=" ", timespec="minutes"),
        processor=models[0] if models else platform.machine(),
        cores=os.cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        load=load,
        rounds=rounds,
        seconds=seconds,
        durations=durations,
    )


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A table that lines up in plain text too: `texts` columns to the left, then figures right."""
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    dashes = [
        "-" * width if column < texts else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join([line(header), line(dashes), *map(line, rows)])


def median_cell(samples: Sequence[Sample], contender: str, measure: Measure) -> str:
    """For example `13.42 ±7%`; the spread is left out where there was one round only."""
    found = condense(by_round(samples, contender, measure).values())
    if found is None:
        return NOTHING
    shown = f"{found.median:.{measure.value.digits}f}"
    return f"{shown} ±{found.spread:.0%}" if found.rounds > 1 else shown


def ratio_cell(samples: Sequence[Sample], contender: str, measure: Measure) -> str:
    """For example `0.97`, against the baseline."""
    found = ratio(samples, measure, contender, BASELINE)
    return NOTHING if found is None else f"{found.median:.2f}"


def _entrants(report: Report) -> str:
    rows = [(row.name, row.summary, row.trouble or row.version) for row in report.entrants]
    return markdown_table(("contender", "what it is", "version"), rows, texts=3)


def _medians(report: Report) -> str:
    header = ["median", *(f"{m.value.title}, {m.value.unit}" for m in Measure)]
    rows = [
        [row.name, *(median_cell(report.samples, row.name, measure) for measure in Measure)]
        for row in report.entrants
    ]
    return markdown_table(header, rows)


def _ratios(report: Report) -> str:
    header = [f"ratio to {BASELINE}", *(measure.value.title for measure in Measure)]
    rows = [
        [row.name, *(ratio_cell(report.samples, row.name, measure) for measure in Measure)]
        for row in report.entrants
    ]
    return markdown_table(header, rows)


def _target_row(judgement: Judgement) -> tuple[str, str, str]:
    reached = NOTHING if judgement.reached is None else f"{judgement.reached:.2f}"
    return (str(judgement.target), reached, judgement.verdict)


def _targets(report: Report) -> str:
    rows = [_target_row(judge(target, report.samples)) for target in report.targets]
    return markdown_table(("target", "reached", "verdict"), rows)


def render(report: Report) -> str:
    """The whole report; ends with a line break."""
    where = report.circumstances
    count = f"{where.rounds} round{'' if where.rounds == 1 else 's'}"
    head = (
        f"{where.date} · {where.processor}, {where.cores} cores · Linux {where.kernel} · "
        f"Python {where.python} · load before {where.load:.2f}\n\n"
        f"{count} in {where.seconds:.0f} s; in each, every contender once, in changing order, "
        f"on fresh namespaces. {where.durations}"
    )
    notes = (
        "Medians over the rounds, ± half the range. Ratios are medians of the ratios within a "
        "round. CPU is what the TCP stream cost: of the switch's own processes, and of the whole "
        "machine with sender and receiver (a kernel switch has no process). A write to a tap runs "
        "the receiver's stack in the switch's time; memory is the proportional set size. "
        "64 bytes count the frame check sequence.\n"
        "UDP: sockets at both ends, the sender never pauses (one system call per datagram, or per "
        "burst), the receiver counts. "
        "Forwarding: trafgen into the first container's interface, "
        "counted and dropped by tc at the far one."
    )
    parts = (
        "# Measured",
        head,
        _entrants(report),
        _medians(report),
        notes,
        _ratios(report),
        "## Targets",
        _targets(report),
    )
    return "\n\n".join(parts) + "\n"
