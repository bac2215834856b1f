"""Closing many descriptors at once.

To close a tap is to delete its interface, and that ends with a wait until every processor has let
go of it (`rcu_barrier` in `netdev_run_todo`, net/core/dev.c): twenty milliseconds, five hundred
times over. Waits that overlap are one wait for the kernel, so several threads close side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread
from typing import Final

from linkspan.control.descriptors import close_all

_MOST_THREADS: Final = 32
_FEW: Final = 3
"""Descriptors that are closed faster than a thread starts."""


def close_together(descriptors: Sequence[int]) -> None:
    """Close descriptors, in no order; all are closed when this returns."""
    count = 1 if len(descriptors) <= _FEW else min(_MOST_THREADS, len(descriptors))
    shares = [descriptors[start::count] for start in range(count)]
    others = [Thread(target=close_all, args=(share,)) for share in shares[1:]]
    for thread in others:
        thread.start()
    close_all(shares[0])
    for thread in others:
        thread.join()
