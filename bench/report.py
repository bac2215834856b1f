"""The result in Markdown: the same text is printed and written to `bench/results.md`.

Four tables: the targets, the contenders with their versions, the medians, and the ratios to a
baseline. A contender that could not take part keeps its row and says why. What has to be said in
words about a target that was missed stands in `bench/notes.md` and is put below the tables.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from bench.figures import Measure, Sample, by_round, condense, ratio
from bench.targets import TARGETS, Judgement, Target, judge

BASELINE = "kernel_bridge"
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

    `others` is what else the machine did: the part of all its cores that was busy between trials,
    the median.
    `rounds` are those of one pair, then those of a hundred where they were made.
    """

    date: str
    processor: str
    cores: int
    kernel: str
    python: str
    others: float
    rounds: tuple[int, ...]
    seconds: float
    durations: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run found out."""

    circumstances: Circumstances
    entrants: tuple[Entrant, ...]
    samples: tuple[Sample, ...]
    targets: tuple[Target, ...] = TARGETS
    notes: str = ""


def circumstances_now(
    others: float, rounds: tuple[int, ...], seconds: float, durations: str
) -> Circumstances:
    """The machine as it is, at the present time."""
    described = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in described if line.startswith("model name")]
    return Circumstances(
        date=datetime.now().astimezone().isoformat(sep=" ", timespec="minutes"),
        processor=models[0] if models else platform.machine(),
        cores=os.cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        others=others,
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


def _by_measure(report: Report, corner: str, cell: Callable[[str, Measure], str]) -> str:
    """A row for each measure that has samples, a column for each contender."""
    names = [row.name for row in report.entrants]
    known = {sample.measure for sample in report.samples}
    rows = [
        [f"{m.value.title}, {m.value.unit}", *(cell(name, m) for name in names)]
        for m in Measure
        if m in known
    ]
    return markdown_table([corner, *names], rows)


def _medians(report: Report) -> str:
    return _by_measure(report, "median", partial(median_cell, report.samples))


def _ratios(report: Report) -> str:
    return _by_measure(report, f"ratio to {BASELINE}", partial(ratio_cell, report.samples))


def _target_row(judgement: Judgement) -> tuple[str, str, str, str]:
    reached, middle = NOTHING, NOTHING
    if (found := judgement.reached) is not None:
        reached, middle = f"{found.median:.2f}", f"{found.lower:.2f}–{found.upper:.2f}"
    return (str(judgement.target), reached, middle, judgement.verdict)


def _targets(report: Report) -> str:
    rows = [_target_row(judge(target, report.samples)) for target in report.targets]
    return markdown_table(("target", "reached", "half of the rounds", "verdict"), rows)


READING = """\
Values are medians over the rounds, ± half of what lies between their quartiles. Ratios are medians
of the ratios within a round, where both sides ran within a minute; "half of the rounds" is between
the quartiles of those ratios. A target that allows for noise and is short by its median is "within
noise" when its factor lies between those quartiles, which is to say: this run does not show a
difference. A wide range there excuses much; look at it.

- TCP, UDP, round trip: sockets at both ends, the receiver counts; UDP senders never pause (one
  system call a datagram, or one a burst of 64). 64 bytes count the frame check sequence.
- Round trip: the echo and the switch's own process on one core, the one who asks on the same or on
  another. Left to the scheduler, the placement would make four times the difference that a switch
  makes, and change from run to run.
- Forwarding: trafgen into the first container's interface, counted and dropped by tc at the far
  one; neither end's stack takes part. With a hundred pairs one process sends for all of them, 64
  frames a port in turn; 10,000 flows are every left end to every right one, counted 2 and 10
  seconds after all of them began.
- First frame of a flow: both addresses new, the destination has announced itself; each further
  frame is sent when the last has arrived. Packet sockets at both ends, on a core apart from the
  switch.
- CPU is what the TCP stream cost: of the switch's own processes, and of the whole machine with
  sender and receiver (a kernel switch has no process; a write to a tap runs the receiver's stack
  in the switch's time). Memory is the proportional set size.
- c_loop and veth connect each pair by itself: they are limits, not switches."""


def render(report: Report) -> str:
    """The whole report; ends with a line break."""
    where = report.circumstances
    kinds = ("of one pair", "of a hundred pairs")
    rounds = " and ".join(
        f"{count} round{'' if count == 1 else 's'} {kind}"
        for count, kind in zip(where.rounds, kinds, strict=False)
    )
    head = (
        f"{where.date} · {where.processor}, {where.cores} cores · Linux {where.kernel} · "
        f"Python {where.python} · others use {where.others:.0%} of it\n\n"
        f"{rounds} in {where.seconds:.0f} s; in each, every contender once, in changing order, "
        f"on fresh namespaces. {where.durations}"
    )
    parts = [
        "# Measured",
        head,
        "## Targets",
        _targets(report),
        "## Values",
        _entrants(report),
        _medians(report),
        _ratios(report),
        "## How to read this",
        READING,
    ]
    if report.notes:
        parts += ["## What fell short, and why", report.notes.strip()]
    return "\n\n".join(parts) + "\n"
