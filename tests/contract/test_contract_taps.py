"""Taps that the file declares as ports, for programs that come later, whichever engine the bridge
is of. The program here is one end of a wire whose other end is a guest with a stack of its own.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.labs import LabEngine, changes
from tests.engine.networks import configure, namespace
from tests.engine.running_lab import RunningLab, lab, transfer
from tests.engine.stations import WAIT_SECONDS, wait_until

from linkspan.engine.layer3 import add_address
from linkspan.engine.netlink import Netlink, delete_link, set_link
from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import read_namespace
from linkspan.engine.user.devices import open_tap
from linkspan.model.interface_snapshot import Interface
from linkspan.model.state import Address
from linkspan.plan.difference import CHANGED, DRIFT, REMOVED
from linkspan.sandbox.namespaces import inside

LARGEST = 1 << 17


def file_of(engine: LabEngine, tap: str = "vm1: {kind: tap, owner: 1000}") -> str:
    return f"""
bridges: {{br0: {{{engine.fields}, address: 10.9.0.254/24, ports: {{{tap}}}}}}}
nodes: {{a: {{ports: {{eth0: {{bridge: br0, address: 10.9.0.1/24}}}}}}}}
"""


def found(running: RunningLab) -> Interface | None:
    """The tap, as the host has it."""
    with inside(running.network("host")), Dumps() as dumps:
        return read_namespace(dumps).interface("vm1")


class Guest:
    """What has the tap open: it carries each frame from there to a stack, and back."""

    def __init__(self, running: RunningLab, network: int) -> None:
        with inside(running.network("host")):
            self._tap = open_tap("vm1")
        with inside(network), Netlink() as netlink:
            self._own = open_tap("eth0")
            netlink.run([set_link("eth0", up=True)])
            netlink.run([add_address(netlink.index("eth0"), "10.9.0.9/24", Address())])
        self._network = network
        self._ends = os.eventfd(0)
        ways = ((self._tap, self._own), (self._own, self._tap))
        self._threads = [threading.Thread(target=self._carry, args=way) for way in ways]
        for thread in self._threads:
            thread.start()

    def _carry(self, source: int, target: int) -> None:
        poll = select.poll()
        poll.register(source, select.POLLIN)
        poll.register(self._ends, select.POLLIN)
        while all(descriptor != self._ends for descriptor, _ in poll.poll()):
            try:
                os.write(target, os.read(source, LARGEST))
            except OSError:  # the tap is down, or gone
                wait = select.poll()
                wait.register(self._ends, select.POLLIN)
                wait.poll(10)

    def connect(self, running: RunningLab, node: str, address: str, port: int) -> None:
        """Whether the guest reaches a node, and bytes pass in both directions."""
        listening = running.open_socket(node, socket.AF_INET, socket.SOCK_STREAM)
        listening.bind((address, port))
        listening.listen()
        with inside(self._network), socket.socket() as near:
            near.settimeout(WAIT_SECONDS)
            near.connect((address, port))
            far, _ = listening.accept()
            with far:
                far.settimeout(WAIT_SECONDS)
                transfer(near, far, 1 << 20)
                transfer(far, near, 1 << 20)

    def close(self) -> None:
        os.eventfd_write(self._ends, 2)
        for thread in self._threads:
            thread.join()
        for descriptor in (self._tap, self._own, self._ends):
            os.close(descriptor)


@contextmanager
def guest(running: RunningLab) -> Iterator[Guest]:
    with namespace() as network:
        made = Guest(running, network)
        try:
            yield made
        finally:
            made.close()


def test_a_program_has_a_tap_open_and_keeps_it_while_the_port_is_repaired(
    tmp_path: Path, engine: LabEngine
) -> None:
    text = file_of(engine)
    with lab(tmp_path, text) as running:
        assert changes(running, tmp_path, text) == []
        tap = found(running)
        assert tap is not None
        assert (tap.kind, tap.up, tap.details.get("owner")) == ("tap", True, 1000)
        with guest(running) as there:
            there.connect(running, "a", "10.9.0.1", 7000)
            there.connect(running, "host", "10.9.0.254", 7001)
            configure(running.network("host"), set_link("vm1", up=False))
            assert [why for _, why in changes(running, tmp_path, text)] == [DRIFT[0]]
            there.connect(running, "a", "10.9.0.1", 7002)
            isolated = file_of(engine, "vm1: {kind: tap, owner: 1000, isolated: true}")
            assert changes(running, tmp_path, isolated) == [
                ("change tap vm1 of br0: isolated on instead of off", CHANGED)
            ]
            if engine.name != "kernel":
                running.kill_switch()
                wait_until(lambda: running.starts() == 2, "the switch is back")
            there.connect(running, "a", "10.9.0.1", 7003)
        again = found(running)
        assert again is not None
        assert again.index == tap.index


def test_a_tap_is_made_again_and_made_anew_and_goes(tmp_path: Path, engine: LabEngine) -> None:
    text = file_of(engine)
    with lab(tmp_path, text) as running:
        configure(running.network("host"), delete_link("vm1"))
        assert [why for _, why in changes(running, tmp_path, text)] == [DRIFT[1]]
        assert changes(running, tmp_path, text) == []
        several = file_of(engine, "vm1: {kind: tap, multi-queue: true, isolated: true}")
        removed, made = changes(running, tmp_path, several)
        assert removed[0] == "remove the tap vm1 from br0"
        assert made[0].startswith("make the tap vm1")
        tap = found(running)
        assert tap is not None
        assert (tap.details.get("owner"), tap.details.get("multi_queue")) == (None, True)
        with inside(running.network("host")), pytest.raises(OSError, match="Invalid argument"):
            open_tap("vm1")  # with one queue
        bare = file_of(engine, "")
        assert changes(running, tmp_path, bare) == [("remove the tap vm1 from br0", REMOVED)]
        assert found(running) is None
        assert changes(running, tmp_path, bare) == []
