"""A switch that is killed under load is back, and nobody's connection ends."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from pathlib import Path

import pytest
from tests.engine.networks import needs_root
from tests.engine.running_lab import RunningLab, containers, lab, transfer
from tests.engine.stations import BROADCAST, frame_of, station, wait_until

from linkspan.errors import LinkspanError
from linkspan.lab.find import Place
from linkspan.lab.observe import observe

pytestmark = needs_root
both_caches = pytest.mark.parametrize("cache", ["auto", "off"])


class Stream:
    """Bytes on their way through a connection until told to stop; counts what arrived."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.arrived = 0
        self.errors: list[str] = []
        self._ended = threading.Event()
        self._near, self._far = near, far
        self._data = os.urandom(1 << 16)
        self._threads = [threading.Thread(target=work) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        try:
            while not self._ended.is_set():
                self._near.sendall(self._data)
        except OSError as error:
            self.errors.append(f"sending: {error}")
        finally:
            self._near.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        try:
            while data := self._far.recv(1 << 16):
                at = self.arrived & 0xFFFF
                if data != (self._data + self._data)[at : at + len(data)]:
                    self.errors.append("the bytes differ")
                self.arrived += len(data)
        except OSError as error:
            self.errors.append(f"receiving: {error}")

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def answers(running: RunningLab, starts: int) -> bool:
    """Whether the switch was started that often and answers."""
    try:
        return running.starts() >= starts and bool(running.call("counters"))
    except (LinkspanError, OSError):
        return False


def interfaces(running: RunningLab) -> list[object]:
    """What a killed switch must not change in the containers."""
    found = observe(Place(running.name)).nodes
    return [
        (node.name, one.name, one.mac, one.mtu, one.up, sorted(one.addresses))
        for node in found
        for one in node.interfaces
        if node.name in ("a", "b")
    ]


@both_caches
def test_killed_switch_is_back_and_connections_go_on(tmp_path: Path, cache: str) -> None:
    text = containers(["a", "b"], f", cache: {cache}")
    with lab(tmp_path, text) as running:
        idle = running.connect("a", "b", "10.9.0.2", 7001)
        near, far = running.connect("a", "b", "fd09::2", 7002)
        before = interfaces(running)
        stream = Stream(near, far)
        try:
            wait_until(lambda: stream.arrived > 1 << 20, "the stream flows")
            assert running.starts() == 1
            running.kill_switch()
            wait_until(lambda: answers(running, 2), "the switch is back")
            seen = stream.arrived
            wait_until(lambda: stream.arrived > seen + (4 << 20), "the stream goes on")
        finally:
            stream.end()
        assert stream.errors == []
        assert running.starts() == 2
        assert interfaces(running) == before
        transfer(*idle, 1 << 20)
        with running.connect("a", "b", "10.9.0.2", 7003)[0] as late:
            assert late.getpeername()[0] == "10.9.0.2"


@both_caches
@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_any_moment(tmp_path: Path, cache: str, seed: int) -> None:
    moments = random.Random(seed)
    with lab(tmp_path, containers(["a", "b"], f", cache: {cache}")) as running:
        near, far = running.connect("a", "b", "10.9.0.2")
        stream = Stream(near, far)
        try:
            for kill in range(1, 5):
                time.sleep(moments.uniform(0, 0.4))  # also while it starts
                try:
                    running.kill_switch()
                except LinkspanError:
                    continue  # it was just gone
                if kill % 2:
                    wait_until(lambda n=kill: running.starts() > n, "started")  # type: ignore[misc]
            wait_until(lambda: answers(running, 2), "the switch is back")
            seen = stream.arrived
            wait_until(lambda: stream.arrived > seen + (1 << 20), "the stream goes on")
        finally:
            stream.end()
        assert stream.errors == []


@both_caches
def test_what_was_set_and_learned_outlives_the_switch(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, containers(["a", "b"], f", cache: {cache}")) as running:
        a, b = running.packet_peer("a"), running.packet_peer("b")
        one, two, three = station(1), station(2), station(3)
        for mac in (one, two):
            a.send(frame_of(BROADCAST, mac, bytes(46)))
            assert b.receive() == frame_of(BROADCAST, mac, bytes(46))
        running.call("fdb-add", mac=three.hex(":"), port="b.eth0", kind="sticky")
        running.call("options", port="b.eth0", options={"hairpin": True, "isolated": True})
        running.call("bridge", options={"ageing_time": 77, "group_fwd_mask": 8})
        running.call("fdb-delete", mac=two.hex(":"))
        running.kill_switch()
        wait_until(lambda: answers(running, 2), "the switch is back")
        found = running.snapshot()
        assert found.options["ageing_time"] == 77
        assert found.options["group_fwd_mask"] == 8
        (port,) = (port for port in found.ports if port.name == "b.eth0")
        assert (port.options["hairpin"], port.options["isolated"]) == (True, True)
        entries = {entry.mac: (entry.port, entry.kind) for entry in found.fdb}
        assert entries[three.hex(":")] == ("b.eth0", "sticky")
        assert entries[one.hex(":")] == ("a.eth0", "learned")
        assert two.hex(":") not in entries
