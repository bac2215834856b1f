"""What was found, in Markdown: the targets, the medians, the ratios to the script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, TypeAlias

from bench.figures import Condensed, condense
from bench.report import NOTHING, Circumstances, circumstances_now, markdown_table

Figures: TypeAlias = dict[str, float]
"""Seconds or MiB by what was measured."""

SCRIPT: Final = "script"
_KERNEL, _USER = "linkspan, kernel engine", "linkspan, user engine"


@dataclass(frozen=True, slots=True)
class Found:
    """A whole run."""

    containers: int
    rounds: int
    samples: Mapping[str, Sequence[Figures]]
    """By way, a value for each round."""
    no_mininet: str
    """Why Mininet was not measured."""
    others: Sequence[float]
    """What part of the machine others used, before each trial."""
    seconds: float
    refusal: str
    """What is said of a file with too many ports."""


@dataclass(frozen=True, slots=True)
class Target:
    """`measure` of a way is at most `most` times that of another, or `most` seconds."""

    way: str
    measure: str
    most: float
    against: str = ""
    per_container: float = 1.0
    """How many containers the other way has for one of this."""
    other_measure: str = ""

    def reached(self, found: Found) -> Condensed | None:
        """The ratio, or the seconds, over the rounds that measured both sides."""
        ours = [figures.get(self.measure) for figures in found.samples.get(self.way, ())]
        if not self.against:
            return condense(value for value in ours if value is not None)
        name = self.other_measure or self.measure
        theirs = [figures.get(name) for figures in found.samples.get(self.against, ())]
        return condense(
            one / other * self.per_container
            for one, other in zip(ours, theirs, strict=False)
            if one is not None and other
        )

    def __str__(self) -> str:
        if not self.against:
            return f"{self.measure}: {self.way} ≤ {self.most:g} s"
        other = f"{self.against}'s {self.other_measure}" if self.other_measure else self.against
        each = " for each container" if self.per_container != 1.0 else ""
        return f"{self.measure}: {self.way} ≤ {self.most:g} × {other}{each}"


def targets(containers: int) -> tuple[Target, ...]:
    """What is to be reached."""
    share = 100 / containers
    return (
        *(Target(way, "up", 0.5, SCRIPT) for way in (_KERNEL, _USER)),
        *(Target(way, "up, CPU", 0.5, SCRIPT) for way in (_KERNEL, _USER)),
        *(Target(way, "up", 0.1, "Mininet, 100", share) for way in (_KERNEL, _USER)),
        *(Target(way, "down", 1.0, way, other_measure="up") for way in (_KERNEL, _USER)),
        *(
            Target(way, measure, 1.0)
            for way in (_KERNEL, _USER)
            for measure in ("show --json", "plan", "second up")
        ),
    )


def render(found: Found, notes: str = "") -> str:
    """The whole page; `notes` say in words why a target was missed."""
    others = median(found.others or [0.0])
    now = circumstances_now(others, (found.rounds,), found.seconds, "")
    parts = [
        "# Many containers on one bridge\n",
        f"{_machine(now)}\n",
        f"{found.rounds} rounds of {found.containers} containers in {found.seconds:.0f} s; in each,"
        " every way once, in changing order."
        + (f" Mininet was not measured: {found.no_mininet}." if found.no_mininet else "")
        + "\n",
        "## Targets\n",
        _targets(found),
        f"\n{notes}" if notes else "",
        "\n## Values\n",
        _values(found),
        "\n## One port too many\n",
        "```",
        found.refusal,
        "```",
        f"\n{HOW_TO_READ}",
    ]
    return "\n".join(parts)


HOW_TO_READ: Final = """## How to read this

Values are medians over the rounds, ± half of what lies between their quartiles; ratios are medians
of the ratios within a round, and "half of the rounds" is between the quartiles of those. Every way
makes for each container a namespace, a veth pair to the bridge, an address and a default route;
linkspan also gives it a host name and an /etc of its own, writes a journal, and reads all of it
again to compare. CPU is processor time of the command and of what it waited for (not of the lab's
init process): it is what others on the same machine disturb least. Memory is the largest of these
processes.
"""


def _machine(now: Circumstances) -> str:
    return (
        f"{now.date} · {now.processor}, {now.cores} cores · Linux {now.kernel} · Python"
        f" {now.python} · busy with other things before each trial: {now.others:.0%}"
    )


def _targets(found: Found) -> str:
    rows: list[tuple[str, ...]] = []
    for target in targets(found.containers):
        reached = target.reached(found)
        if reached is None:
            rows.append((str(target), NOTHING, NOTHING, "not measured"))
            continue
        verdict = "met" if reached.median <= target.most else "missed"
        between = f"{reached.lower:.2f}–{reached.upper:.2f}"
        rows.append((str(target), f"{reached.median:.2f}", between, verdict))
    return markdown_table(("target", "reached", "half of the rounds", "verdict"), rows)


def _values(found: Found) -> str:
    measures = list(dict.fromkeys(name for each in found.samples.values() for name in each[0]))
    rows = [
        (way, *(_cell(samples, measure) for measure in measures))
        for way, samples in found.samples.items()
    ]
    units = [f"{measure}, {'MiB' if 'memory' in measure else 's'}" for measure in measures]
    return markdown_table(("way", *units), rows)


def _cell(samples: Sequence[Figures], measure: str) -> str:
    found = condense(figures[measure] for figures in samples if measure in figures)
    if found is None:
        return NOTHING
    shown = f"{found.median:.0f}" if "memory" in measure else f"{found.median:.2f}"
    return f"{shown} ±{found.spread:.0%}" if found.rounds > 1 else shown
