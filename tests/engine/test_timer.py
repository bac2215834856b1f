"""The clock of the switch's loop."""

from __future__ import annotations

import os
import select

from linkspan.engine.user.timer import Timer

PATIENCE = 10_000  # milliseconds


def wait_for(timer: Timer) -> None:
    waiting = select.poll()
    waiting.register(timer.fileno(), select.POLLIN)
    assert waiting.poll(PATIENCE)


def test_a_timer_ticks_at_once_and_then_rests_for_its_period() -> None:
    timer = Timer(3600.0)
    wait_for(timer)
    assert timer.take() == 1
    assert timer.take() == 0


def test_a_timer_goes_on_ticking() -> None:
    timer = Timer(0.01)
    ticks = 0
    while ticks < 3:
        wait_for(timer)
        ticks += timer.take()


def test_a_timer_that_is_forgotten_closes_its_descriptor() -> None:
    timer = Timer(1.0)
    descriptor = timer.fileno()
    assert os.get_inheritable(descriptor) is False
    del timer
    assert not os.path.exists(f"/proc/self/fd/{descriptor}")
