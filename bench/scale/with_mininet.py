"""Mininet's own way to so many hosts on one Linux bridge: `with_mininet.py NUMBER`, as root.

Prints the seconds that coming and going took. Runs with the Python that Mininet is installed for,
so it needs nothing of ours. Its switch would stand in the machine's own network namespace, and its
hosts are processes, so it is to be run in network and PID namespaces that end with it.
"""

from __future__ import annotations

import sys
import time

import mininet.net  # type: ignore[import-not-found]
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge  # type: ignore[import-not-found]
from mininet.topo import SingleSwitchTopo  # type: ignore[import-not-found]

if __name__ == "__main__":
    # It would raise limits of the whole machine (kernel.pty.max), which a hundred hosts don't need.
    mininet.net.fixLimits = lambda: None
    begin = time.monotonic()
    net = Mininet(SingleSwitchTopo(int(sys.argv[1])), switch=LinuxBridge, controller=None)
    net.start()
    there = time.monotonic()
    net.stop()
    print(there - begin, time.monotonic() - there)
