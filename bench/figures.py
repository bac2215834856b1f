"""What is measured, and how measured values are condensed: medians, spreads, ratios.

A `Sample` is one value of one measure, for one contender, in one round. Everything shown is made
from a list of samples by the functions below, so that the arithmetic can be tested without a
machine. A ratio is the median of the ratios *within* each round: contenders alternate inside a
round, so what the rest of the machine did at that time weighs on both sides of the division.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from statistics import median


@dataclass(frozen=True, slots=True)
class Scale:
    """How a measure is shown: its title, its unit, and whether more of it is better."""

    title: str
    unit: str
    digits: int
    more_is_better: bool


class Measure(Enum):
    """The measures, in the order in which tables show them."""

    TCP = Scale("TCP, one stream", "Gbit/s", 2, True)
    UDP = Scale("64-byte UDP delivered", "thousand/s", 1, True)
    UDP_BURSTS = Scale("64-byte UDP, bursts of 64", "thousand/s", 1, True)
    ROUND_TRIP = Scale("UDP round trip", "µs", 1, False)
    FORWARDING = Scale("64-byte forwarding", "thousand/s", 1, True)
    SWITCH_CPU = Scale("CPU of the switch", "ms/Gbit", 1, False)
    MACHINE_CPU = Scale("CPU of the machine", "ms/Gbit", 1, False)
    MEMORY = Scale("memory of the switch", "MiB", 1, False)


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value, in the unit of its measure."""

    contender: str
    measure: Measure
    round: int
    value: float


@dataclass(frozen=True, slots=True)
class Condensed:
    """Some rounds in one figure: the median, and half the range as a share of it."""

    median: float
    spread: float
    rounds: int


def by_round(samples: Iterable[Sample], contender: str, measure: Measure) -> dict[int, float]:
    """The values of one contender in one measure, by round."""
    return {
        sample.round: sample.value
        for sample in samples
        if sample.contender == contender and sample.measure is measure
    }


def condense(values: Iterable[float]) -> Condensed | None:
    """Median and spread; None when nothing was measured."""
    known = sorted(values)
    if not known:
        return None
    middle = median(known)
    spread = (known[-1] - known[0]) / 2 / middle if middle else 0.0
    return Condensed(middle, spread, len(known))


def ratio(
    samples: Iterable[Sample], measure: Measure, contender: str, against: str
) -> Condensed | None:
    """`contender` divided by `against`, over the rounds that measured both; None without one."""
    known = list(samples)
    ours = by_round(known, contender, measure)
    theirs = by_round(known, against, measure)
    return condense(
        ours[number] / theirs[number] for number in ours.keys() & theirs.keys() if theirs[number]
    )
