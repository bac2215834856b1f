"""What the user engine has begun and not carried out yet, for all bridges of a lab.

start         processes for bridges that have none
configure     init: what the next processes find, of all bridges in one step
send          the processes: ports attached, options, entries
engage        ends of veths up, NICs taken, ports of moved veths to the new bridge's program
depart        the processes: ports gone; only now, so that a port that moves is always on one
clean         what init held for them dropped, their devices and files deleted
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from linkspan.engine.machine_ends import drop_end
from linkspan.engine.netlink import set_link
from linkspan.engine.site import Site
from linkspan.engine.user.interfaces import Interfaces
from linkspan.engine.user.switch import Switch
from linkspan.engine.user.switches import Switches
from linkspan.model.state import PortKey


class Work:
    """Collects, until it is told to carry out."""

    def __init__(self, site: Site, switches: Switches, interfaces: Interfaces) -> None:
        self._site = site
        self._switches = switches
        self._interfaces = interfaces
        self.rising: list[str] = []
        """Switch's ends of veths that are to be up."""
        self.engaging: list[Callable[[], None]] = []
        """What lets frames come from other ports."""
        self.sinking: list[str] = []
        """Switch's ends of veths that are to go."""
        self.ends: list[PortKey] = []
        """Machines' ends of ports that are to go."""
        self.files: list[Path] = []
        """Sockets of ports that are to go."""

    def start(self) -> None:
        """Start the processes of bridges that have none. The ends of their veths come up when they
        answer: a process that starts has better things to do than a whole lab's first frames."""
        for switch in self._switches.waiting():
            switch.start()

    def let_depart(self) -> None:
        """Before anything is made: what went may have its name, its number or its file."""
        if any(switch.departing for switch in self._switches.running()):
            self.flush()

    def flush(self) -> None:
        """Carry out what was collected. Raises Refusal or OSError."""
        busy = self._switches.configure()
        for switch in busy:
            switch.send()
        self._engage(busy)
        for switch in busy:
            switch.depart()
            switch.clean()
        self._interfaces.delete_near(self.sinking)
        for key in self.ends:
            drop_end(self._site, key)
        for file in self.files:
            file.unlink(missing_ok=True)
        self.sinking, self.ends, self.files = [], [], []

    def _engage(self, busy: Sequence[Switch]) -> None:
        """Let frames come from what the processes know by now, and them take notice of it."""
        if not self.rising and not self.engaging:
            return
        self._site.own.run([set_link(near, up=True) for near in self.rising])
        for engage in self.engaging:
            engage()
        self.rising, self.engaging = [], []
        for switch in busy:
            switch.send()
