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
from statistics import quantiles


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
    ROUND_TRIP = Scale("UDP round trip, one core", "µs", 1, False)
    ROUND_TRIP_APART = Scale("UDP round trip, two cores", "µs", 1, False)
    FORWARDING = Scale("64-byte forwarding", "thousand/s", 1, True)
    FIRST_FRAME = Scale("first frame of a flow", "µs", 1, False)
    SECOND_FRAME = Scale("second frame of a flow", "µs", 1, False)
    LATER_FRAME = Scale("eighth frame of a flow", "µs", 1, False)
    ONE_PAIR = Scale("forwarding, 1 of 100 pairs", "thousand/s", 1, True)
    TEN_PAIRS = Scale("forwarding, 10 of 100 pairs", "thousand/s", 1, True)
    HUNDRED_PAIRS = Scale("forwarding, 100 pairs", "thousand/s", 1, True)
    NEW_FLOWS = Scale("forwarding, 10,000 flows after 2 s", "thousand/s", 1, True)
    MANY_FLOWS = Scale("forwarding, 10,000 flows after 10 s", "thousand/s", 1, True)
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
    """Some rounds in one figure: the median, and the quartiles that half of the rounds lie within.

    A single round is its own quartiles.
    """

    median: float
    lower: float
    upper: float
    rounds: int

    @property
    def spread(self) -> float:
        """Half of what lies between the quartiles, as a share of the median."""
        return (self.upper - self.lower) / 2 / self.median if self.median else 0.0


def by_round(samples: Iterable[Sample], contender: str, measure: Measure) -> dict[int, float]:
    """The values of one contender in one measure, by round."""
    return {
        sample.round: sample.value
        for sample in samples
        if sample.contender == contender and sample.measure is measure
    }


def condense(values: Iterable[float]) -> Condensed | None:
    """Median and quartiles; None when nothing was measured."""
    known = sorted(values)
    if len(known) < 2:
        return Condensed(known[0], known[0], known[0], 1) if known else None
    lower, middle, upper = quantiles(known, n=4, method="inclusive")
    return Condensed(middle, lower, upper, len(known))


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
