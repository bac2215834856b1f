"""One step of a plan: a fact that comes, goes, or becomes another; with its reason and its inverse.

A change has no opinion on how it is carried out; that is the engine's business.
"""

from __future__ import annotations

import msgspec

from linkspan.model.state import AnyKey, AnyValue
from linkspan.plan.explain import explain


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """`before` is None for what is added, `after` for what is removed."""

    key: AnyKey
    before: AnyValue | None = None
    after: AnyValue | None = None
    reason: str = ""

    def explain(self) -> str:
        """What is done, in words: `set ageing_time of br0 to 60, from 300`."""
        return explain(self.key, self.before, self.after)

    @property
    def inverse(self) -> Change:
        """The change that takes this one back."""
        return Change(
            key=self.key,
            before=self.after,
            after=self.before,
            reason="undoes what was done",
        )
