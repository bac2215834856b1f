"""No frame follows a verdict that a change of state has ended.

First, one step after the other: the bridge with the in-kernel cache and one that decides about
every frame see the same traffic and the same changes, and nobody can tell them apart. Second, while
frames flow: whatever was sent after a change was acknowledged obeys it.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.engine.kernel_cache_rig import A, B, C, Rig, X, number_of, numbered, port_number, rig
from tests.engine.networks import needs_cache
from tests.engine.running_lab import RunningLab, containers, lab
from tests.engine.stations import BROADCAST, EXPERIMENT, frame_of, wait_until

from linkspan.bridge.commit import commit
from linkspan.bridge.decide import decide
from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.port import PortOptions, PortState
from linkspan.bridge.state import Bridge
from linkspan.engine.user.process import build_bridge
from linkspan.errors import Mistake

pytestmark = needs_cache

PORTS = (1, 2, 3)
ARP = 0x0806
GROUP = bytes.fromhex("01005e010203")
LLDP_GROUP = bytes.fromhex("0180c200000e")
LIVES_AT = {1: A, 2: B, 3: C}


class Twins:
    """A rig, and a bridge without any cache that is told the same."""

    def __init__(self, made: Rig, seed: int) -> None:
        self.made = made
        self.plain: Bridge = build_bridge(made.configuration)
        self.random = random.Random(seed)
        self.sent = 0
        self.frames_in = dict.fromkeys(PORTS, 0)
        self.frames_out = dict.fromkeys(PORTS, 0)

    def talk(self) -> None:
        """A few equal frames; each must go where the other bridge sends it."""
        draw = self.random.choice
        port = draw(PORTS)
        source = LIVES_AT[port] if self.random.random() < 0.9 else draw((A, B, C))
        destination = draw((A, A, A, B, B, B, C, C, C, X, BROADCAST, GROUP, LLDP_GROUP))
        kind = draw((EXPERIMENT,) * 5 + (ARP,))
        for _ in range(draw((1, 3, 9, 15))):
            self.sent += 1
            frame = numbered(destination, source, self.sent, kind) + bytes(draw((0, 0, 0, 200)))
            verdict = decide(self.plain, port_number(port), frame, time.monotonic())
            commit(self.plain, verdict, time.monotonic())
            self.made.peers[port].send(frame)
            self.made.serve()
            found = {number: frames for number, frames in self.made.drain().items() if frames}
            assert found == {int(number): [frame] for number in verdict.egress}, verdict.reason
            self.frames_in[port] += 1
            for number in verdict.egress:
                self.frames_out[int(number)] += 1

    def options(self) -> PortOptions:
        rare = [self.random.random() < 0.2 for _ in range(8)]
        return PortOptions(
            learning=not rare[0],
            unicast_flood=not rare[1],
            multicast_flood=not rare[2],
            broadcast_flood=not rare[3],
            hairpin=rare[4],
            isolated=rare[5] or rare[6],
            mtu=100 if rare[7] else 0,
        )

    def change(self) -> None:
        """What a request does, acknowledged."""
        draw, port = self.random.choice, port_number(self.random.choice(PORTS))
        mac = draw((A, B, C, X))
        changes: list[tuple[Any, ...]] = [
            ("set_options", port, self.options()),
            ("set_options", port, PortOptions()),
            ("set_state", port, PortState.DISABLED),
            ("set_state", port, PortState.FORWARDING),
            ("set_state", port, PortState.FORWARDING),
            ("add_entry", mac, port, draw((EntryKind.STATIC, EntryKind.STICKY)), 0.0),
            ("delete_entry", mac),
            ("delete_entry", mac),
            ("flush", draw((None, port))),
            ("set_group_fwd_mask", draw((0, 1 << 14))),
            ("set_up", False),
            ("set_up", True),
            ("set_up", True),
        ]
        method, *arguments = draw(changes)
        self.made.dataplane.settle(time.monotonic())
        for bridge in (self.made.bridge, self.plain):
            with suppress(Mistake):  # there is no such entry, in either
                getattr(bridge, method)(*arguments)
        self.made.dataplane.publish(wait=True)
        self.made.keeper.note_whole()

    def restart(self) -> None:
        """A new process, a second after the last frame; all ports have a carrier."""
        for bridge in (self.made.bridge, self.plain):
            for number in PORTS:
                bridge.set_state(port_number(number), PortState.FORWARDING)
        self.made.tick()
        self.made.restart()

    def compare(self) -> None:
        self.made.tick()
        assert where(self.made.bridge) == where(self.plain)
        counters = self.made.counters()
        assert {number: counters[number][0] for number in PORTS} == self.frames_in
        assert {number: counters[number][1] for number in PORTS} == self.frames_out


def where(bridge: Bridge) -> dict[tuple[int, bytes], tuple[int, EntryKind]]:
    return {address: (entry.port, entry.kind) for address, entry in bridge.fdb}


@pytest.mark.parametrize("seed", range(6))
def test_cached_is_uncached_on_random_traffic_with_random_changes(seed: int) -> None:
    with rig() as made:
        twins = Twins(made, seed)
        for _ in range(300):
            step = twins.random.random()
            if step < 0.85:
                twins.talk()
            elif step < 0.96:
                twins.change()
            elif step < 0.99:
                twins.compare()
            else:
                twins.restart()
        twins.compare()
        assert made.upcalls() < twins.sent * 9 // 10, "the kernel had little to say"


# while frames flow


class Flow:
    """Numbered frames from a to B without an end, and who got them."""

    def __init__(self, running: RunningLab) -> None:
        self.running = running
        self.peers = {name: running.packet_peer(name) for name in "abc"}
        self.sent = 0
        self.got: dict[str, list[int]] = {"b": [], "c": []}
        self._ended = threading.Event()

    def send(self) -> None:
        while not self._ended.is_set():
            self.sent += 1
            self.peers["a"].send(numbered(B, A, self.sent))

    def end(self) -> None:
        self._ended.set()

    def look(self) -> None:
        """Note what has arrived."""
        for name, numbers in self.got.items():
            for frame in self.peers[name].waiting():
                if frame[:12] == B + A:
                    numbers.append(number_of(frame))

    def settle(self, name: str) -> None:
        """Wait until frames arrive at one node and at no other."""
        other = {"b": "c", "c": "b"}[name]

        def settled() -> bool:
            self.look()
            before, self.got = self.got, {"b": [], "c": []}
            return len(before[name]) > 20 and not before[other]

        wait_until(settled, f"frames arrive at {name} alone")

    def obeys(self, *forbidden: str) -> None:
        """Nothing of what is sent from now on arrives at these nodes."""
        mark = self.sent + 1  # the one before may be on its way into the kernel

        def has_gone_on() -> bool:
            self.look()
            return self.sent > mark + 1500

        wait_until(has_gone_on, "frames are sent")
        for name in forbidden:
            assert [one for one in self.got[name] if one >= mark] == []


@contextmanager
def flow(running: RunningLab) -> Iterator[Flow]:
    made = Flow(running)
    thread = threading.Thread(target=made.send)
    made.peers["b"].send(frame_of(BROADCAST, B, bytes(46)))
    thread.start()
    try:
        yield made
    finally:
        made.end()
        thread.join()


def isolate(made: Flow, chosen: bool) -> None:
    for port in ("a.eth0", "b.eth0"):
        made.running.call("options", port=port, options={"isolated": chosen})


def move(made: Flow, port: str) -> None:
    """B speaks behind another port."""
    made.peers[port].send(frame_of(BROADCAST, B, bytes(46)))
    wait_until(
        lambda: any(
            entry.mac == B.hex(":") and entry.port == f"{port}.eth0"
            for entry in made.running.snapshot().fdb
        ),
        "the address has moved",
    )


def set_up(made: Flow, chosen: bool) -> None:
    made.running.call("bridge", options={"up": chosen})


def pin(made: Flow, chosen: bool) -> None:
    if chosen:
        made.running.call("fdb-add", mac=B.hex(":"), port="c.eth0", kind="sticky")
    else:
        made.running.call("fdb-delete", mac=B.hex(":"))


CHANGES: dict[str, tuple[Callable[[Flow], None], Callable[[Flow], None], tuple[str, ...]]] = {
    "isolation": (lambda made: isolate(made, True), lambda made: isolate(made, False), ("b", "c")),
    "move": (lambda made: move(made, "c"), lambda made: None, ("b",)),
    "bridge down": (lambda made: set_up(made, False), lambda made: set_up(made, True), ("b", "c")),
    "sticky entry": (lambda made: pin(made, True), lambda made: pin(made, False), ("b",)),
}
"""What is done, how it is undone, and where no frame arrives in between."""


@pytest.mark.parametrize("cache", ["auto", "off"])
def test_what_was_acknowledged_holds_for_every_frame_sent_from_then_on(
    tmp_path: Path, cache: str
) -> None:
    text = containers(["a", "b", "c"], f", cache: {cache}")
    with lab(tmp_path, text) as running, flow(running) as made:
        for name in itertools.chain(CHANGES, reversed(CHANGES)):
            do, undo, forbidden = CHANGES[name]
            made.settle("b")
            do(made)
            made.obeys(*forbidden)
            undo(made)
            move(made, "b")
        made.settle("b")
        # What a moment before had no entry any more gets one with the frames that follow.
        wait_until(lambda: bool(running.snapshot().flows) == (cache == "auto"), "flows are kept")
