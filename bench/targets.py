"""The figures to reach, as ratios within one run, and the judgement on each.

Ratios, not absolute speeds: they carry from machine to machine. A target whose two sides were not
both measured is neither met nor missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from bench.figures import Measure, Sample, ratio


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

    def __str__(self) -> str:
        wanted = f"{self.bound.value} {self.factor:.2f} × {self.against}"
        return f"{self.measure.value.title}: {self.contender} {wanted}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a target came to; `reached` is None when it could not be judged.

    `missing_share` says by what part of the wanted factor the target was missed; 0 when met.
    """

    target: Target
    reached: float | None
    missing_share: float

    @property
    def met(self) -> bool:
        return self.reached is not None and self.missing_share == 0.0

    @property
    def verdict(self) -> str:
        if self.reached is None:
            return "not measured"
        return "met" if self.met else f"missed by {self.missing_share:.0%}"


TARGETS: tuple[Target, ...] = (
    Target(Measure.TCP, "linkspan_user", Bound.AT_LEAST, 0.95, "c_loop"),
    Target(Measure.TCP, "linkspan_user", Bound.AT_LEAST, 6.0, "vde_switch"),
    Target(Measure.TCP, "linkspan_user", Bound.AT_LEAST, 6.0, "ovs_userspace"),
    Target(Measure.UDP, "linkspan_user", Bound.AT_LEAST, 0.95, "c_loop"),
    Target(Measure.UDP_BURSTS, "linkspan_user", Bound.AT_LEAST, 0.95, "c_loop"),
    Target(Measure.UDP, "linkspan_user", Bound.AT_LEAST, 1.0, "vde_switch"),
    Target(Measure.ROUND_TRIP, "linkspan_user", Bound.AT_MOST, 1.25, "c_loop"),
)


def judge(target: Target, samples: Sequence[Sample]) -> Judgement:
    """Compare a target with what was measured."""
    found = ratio(samples, target.measure, target.contender, target.against)
    if found is None:
        return Judgement(target, None, 0.0)
    short = target.factor - found.median
    if target.bound is Bound.AT_MOST:
        short = -short
    return Judgement(target, found.median, max(0.0, short / target.factor))
