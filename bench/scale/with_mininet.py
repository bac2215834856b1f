"""Mininet's own way to so many hosts on one Linux bridge: `with_mininet.py NUMBER`, as root.

Prints the seconds that coming and going took. Runs with the Python that Mininet is installed for,
so it needs nothing of ours.
"""

from __future__ import annotations

import sys
import time

from mininet.net import Mininet  # type: ignore[import-not-found]
from mininet.nodelib import LinuxBridge  # type: ignore[import-not-found]
from mininet.topo import SingleSwitchTopo  # type: ignore[import-not-found]

if __name__ == "__main__":
    begin = time.monotonic()
    net = Mininet(SingleSwitchTopo(int(sys.argv[1])), switch=LinuxBridge, controller=None)
    net.start()
    there = time.monotonic()
    net.stop()
    print(there - begin, time.monotonic() - there)
