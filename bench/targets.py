"""The figures to reach, as ratios within one run, and the judgement on each.

Ratios, not absolute speeds: they carry from machine to machine. A target whose two sides were not
both measured is neither met nor missed. What is met is decided by the median of the rounds' ratios.
Where only "as good as" is asked for, a median that falls short is excused when the rounds
themselves do not agree that it does: when the factor lies between their quartiles. That is said,
never counted as plainly met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from bench.figures import Condensed, Measure, Sample, ratio


class Bound(Enum):
    """Which side of the factor is good."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True, slots=True)
class Target:
    """`contender` has to reach `factor` times what `against` reaches, in `measure`."""

    measure: Measure
    contender: str
    bound: Bound
    factor: float
    against: str
    within_noise: bool = False
    """Whether rounds that disagree excuse a median that falls short."""

    def __str__(self) -> str:
        noise = ", within noise" if self.within_noise else ""
        wanted = f"{self.bound.value} {self.factor:.2f} × {self.against}{noise}"
        return f"{self.measure.value.title}: {self.contender} {wanted}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a target came to; `reached` is None when it could not be judged.

    `missing_share` says by what part of the wanted factor the median missed it; 0 when met.
    `excused` is set where the rounds do not agree that it was missed and the target allows that.
    """

    target: Target
    reached: Condensed | None
    missing_share: float = 0.0
    excused: bool = False

    @property
    def met(self) -> bool:
        return self.reached is not None and self.missing_share == 0.0

    @property
    def verdict(self) -> str:
        if self.reached is None:
            return "not measured"
        if self.met:
            return "met"
        off = f"{self.missing_share:.1%}"
        return f"within noise, {off} off" if self.excused else f"missed by {off}"


CACHE, PLAIN = "linkspan_cache", "linkspan_plain"

TARGETS: tuple[Target, ...] = (
    Target(Measure.FORWARDING, CACHE, Bound.AT_LEAST, 1.35, "kernel_bridge"),
    Target(Measure.FORWARDING, CACHE, Bound.AT_LEAST, 0.80, "veth"),
    Target(Measure.TCP, CACHE, Bound.AT_LEAST, 1.0, "kernel_bridge", within_noise=True),
    Target(Measure.UDP, CACHE, Bound.AT_LEAST, 1.0, "kernel_bridge", within_noise=True),
    Target(Measure.UDP_BURSTS, CACHE, Bound.AT_LEAST, 1.0, "kernel_bridge", within_noise=True),
    Target(Measure.ROUND_TRIP, CACHE, Bound.AT_MOST, 1.0, "kernel_bridge", within_noise=True),
    Target(Measure.ROUND_TRIP_APART, CACHE, Bound.AT_MOST, 1.0, "kernel_bridge", within_noise=True),
    Target(Measure.TCP, PLAIN, Bound.AT_LEAST, 0.95, "c_loop"),
    Target(Measure.TCP, PLAIN, Bound.AT_LEAST, 6.0, "vde_switch"),
    Target(Measure.TCP, PLAIN, Bound.AT_LEAST, 6.0, "ovs_userspace"),
    Target(Measure.UDP, PLAIN, Bound.AT_LEAST, 0.95, "c_loop"),
    Target(Measure.UDP_BURSTS, PLAIN, Bound.AT_LEAST, 0.95, "c_loop"),
    Target(Measure.UDP, PLAIN, Bound.AT_LEAST, 1.0, "vde_switch"),
    Target(Measure.ROUND_TRIP, PLAIN, Bound.AT_MOST, 1.25, "c_loop"),
    Target(Measure.ROUND_TRIP_APART, PLAIN, Bound.AT_MOST, 1.25, "c_loop"),
)


def judge(target: Target, samples: Sequence[Sample]) -> Judgement:
    """Compare a target with what was measured."""
    found = ratio(samples, target.measure, target.contender, target.against)
    if found is None:
        return Judgement(target, None)
    short, best = target.factor - found.median, found.upper - target.factor
    if target.bound is Bound.AT_MOST:
        short, best = -short, target.factor - found.lower
    missing = max(0.0, short / target.factor)
    return Judgement(target, found, missing, target.within_noise and missing > 0.0 and best >= 0.0)
