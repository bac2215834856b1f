"""Chains of the family bridge that ask for bridges, which not every kernel can."""

from __future__ import annotations

import subprocess

from linkspan.services.frames import Switched, frames
from linkspan.services.obstacles import obstacles

GATE = "table bridge f { chain gate { type filter hook %s priority 0; policy drop; }\n}"
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")


def test_what_is_said_to_do_lets_a_bridge_pass() -> None:
    packets = list(frames([Switched("br0", (4, 6), has_address=True)]))
    for hook in HOOKS:
        subprocess.run(["nft", "-f", "-"], input=GATE % hook, text=True, check=True)
        (fault,) = obstacles("office", packets).faults
        subprocess.run(["sh", "-ec", fault.next_step], check=True)
        assert obstacles("office", packets).faults == []
        subprocess.run(["nft", "flush", "ruleset"], check=True)
