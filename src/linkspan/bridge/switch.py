"""Cache, decide and commit in their order, as the engine and the simulator go through them."""

from __future__ import annotations

from linkspan.bridge.cache import VerdictCache
from linkspan.bridge.commit import Event, commit
from linkspan.bridge.decide import decide
from linkspan.bridge.state import Bridge
from linkspan.bridge.verdict import Verdict
from linkspan.types import PortNumber


def handle_miss(
    bridge: Bridge,
    cache: VerdictCache,
    ingress: PortNumber,
    frame: bytes,
    now: float,
    gso: bool = False,
) -> tuple[Verdict, tuple[Event, ...]]:
    """The slow path of a frame that the cache has no entry for: decide, commit, keep.

    A verdict that taught something is not kept, because it was made before the lesson.
    """
    verdict = decide(bridge, ingress, frame, now, gso)
    events = commit(bridge, verdict, now)
    if verdict.cacheable and not events:
        cache.insert(bridge, verdict, frame, now)
    return verdict, events
