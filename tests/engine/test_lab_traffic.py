"""Traffic between containers of a whole lab: figures, ageing, sizes, many ports, slow readers.

Everything twice: with the flows that the kernel forwards by itself, and without.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from tests.engine.networks import needs_root
from tests.engine.running_lab import RunningLab, busily, containers, lab, transfer
from tests.engine.stations import BROADCAST, frame_of, station, wait_until

from linkspan.engine.user.kernel_maps import CREDIT
from linkspan.engine.user.slow_path import BURST

pytestmark = needs_root

A, B = station(1), station(2)
both_caches = pytest.mark.parametrize("cache", ["auto", "off"])
CHUNK = 32


def file_of(names: list[str], cache: str, bridge: str = "", node: str = "") -> str:
    return containers(names, f", cache: {cache}{bridge}", node)


@both_caches
def test_counters_equal_what_was_sent_and_received(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(["a", "b", "c"], cache)) as running:
        running.quieten("host", "a", "b", "c")
        a, b = running.packet_peer("a"), running.packet_peer("b")
        b.send(frame_of(BROADCAST, B, bytes(46)))
        a.receive()
        ports = ("a.eth0", "b.eth0", "c.eth0")
        before = {port: running.counters(port) for port in ports}
        sent = 0
        for _ in range(20):
            frames = [frame_of(B, A, struct.pack("!I", sent + n) + bytes(96)) for n in range(CHUNK)]
            a.send(*frames)
            assert [b.receive() for _ in frames] == frames
            sent += CHUNK
            seen = running.counters("a.eth0")
            assert seen.frames_in - before["a.eth0"].frames_in == sent
        after = {port: running.counters(port) for port in ports}
        size = sent * len(frames[0])
        got = {
            port: (
                after[port].frames_in - before[port].frames_in,
                after[port].bytes_in - before[port].bytes_in,
                after[port].frames_out - before[port].frames_out,
                after[port].bytes_out - before[port].bytes_out,
            )
            for port in ports
        }
        assert got["a.eth0"] == (sent, size, 0, 0)
        assert got["b.eth0"] == (0, 0, sent, size)
        assert got["c.eth0"] == (0, 0, 0, 0)
        assert after["a.eth0"].drops == before["a.eth0"].drops
        # The same flow, now refused: kept verdicts that end a frame count it as well.
        for port in ports[:2]:
            running.call("options", port=port, options={"isolated": True})
        c = running.packet_peer("c")
        for number in range(10):
            a.send(*(frame_of(B, A, bytes(100)) for _ in range(CHUNK)))
            a.send(frame_of(BROADCAST, A, number.to_bytes(46, "big")))
            c.receive()
        wait_until(
            lambda: running.counters("a.eth0").drops.get("ISOLATED") == 10 * CHUNK, "all counted"
        )
        assert running.counters("b.eth0").frames_out == after["b.eth0"].frames_out
        assert b.waiting() == []


@both_caches
def test_burst_of_a_flow_that_nobody_knows_arrives_whole_and_in_order(
    tmp_path: Path, cache: str
) -> None:
    with lab(tmp_path, file_of(["a", "b"], cache)) as running:
        a, b = running.packet_peer("a"), running.packet_peer("b")
        for flow in range(20):
            source = station(100 + flow)
            # The switch may still be busy with the burst that gives credit back.
            many = CREDIT - 2 * BURST
            burst = [frame_of(B, source, bytes([number]) * 60) for number in range(many)]
            a.send(*burst)
            assert b.receive_until(burst[-1]) == burst[:-1]


@both_caches
def test_flow_that_outruns_the_switch_loses_frames_rather_than_order(
    tmp_path: Path, cache: str
) -> None:
    with lab(tmp_path, file_of(["a", "b"], cache)) as running:
        running.quieten("host", "a", "b")
        a, b = running.packet_peer("a"), running.packet_peer("b")
        b.send(frame_of(BROADCAST, B, bytes(46)))
        a.receive()
        got = 0
        for flow in range(6):
            source = station(100 + flow)
            numbered = [
                frame_of(B, source, struct.pack("!I", one) + bytes(56)) for one in range(2000)
            ]
            a.send(*numbered)
            end = frame_of(B, source, b"end" * 20)
            arrived: list[bytes] = []

            def has_ended(end: bytes = end, arrived: list[bytes] = arrived) -> bool:
                a.send(end)
                time.sleep(0.02)
                arrived += b.waiting()
                return end in arrived

            wait_until(has_ended, "the last one arrives")
            numbers = [int.from_bytes(one[14:18], "big") for one in arrived if one != end]
            assert numbers == sorted(set(numbers))
            got += len(numbers)
        assert got > 5 * CREDIT


@both_caches
def test_steady_flow_stays_in_the_fdb_and_a_silent_address_leaves(
    tmp_path: Path, cache: str
) -> None:
    with lab(tmp_path, file_of(["a", "b", "c"], cache, ", ageing-time: 2")) as running:
        a, b, c = (running.packet_peer(name) for name in "abc")
        silent = station(3)
        b.send(frame_of(BROADCAST, B, bytes(46)))
        c.send(frame_of(BROADCAST, silent, bytes(46)))
        a.send(frame_of(B, A, bytes(46)))

        def known() -> set[str]:
            return {entry.mac for entry in running.snapshot().fdb if entry.kind == "learned"}

        missed: list[set[str]] = []
        wait_until(lambda: {A.hex(":"), B.hex(":"), silent.hex(":")} <= known(), "all learned")
        done = threading.Event()

        def flow() -> None:
            while not done.wait(0.1):
                a.send(frame_of(B, A, bytes(46)))
                b.send(frame_of(A, B, bytes(46)))

        thread = threading.Thread(target=flow)
        thread.start()
        try:
            for _ in range(2):  # two lives of an entry, so that what was seen last is long gone
                wait_until(lambda: silent.hex(":") not in known(), "the silent one leaves")
                found = known()
                if not {A.hex(":"), B.hex(":")} <= found:
                    missed.append(found)
                c.send(frame_of(BROADCAST, silent, bytes(46)))
                wait_until(lambda: silent.hex(":") in known(), "it is back")
        finally:
            done.set()
            thread.join()
        assert missed == []
        wait_until(lambda: not {A.hex(":"), B.hex(":")} & known(), "the flow has ended")


@both_caches
def test_frame_over_the_egress_mtu_is_dropped_also_when_its_flow_is_kept(
    tmp_path: Path, cache: str
) -> None:
    text = file_of(["a"], cache) + (
        "  b: {ports: {eth0: {bridge: br0, address: 10.9.0.2/16, mtu: 600}}}\n"
    )
    with lab(tmp_path, text) as running:
        running.quieten("host", "a", "b")
        a, b = running.packet_peer("a"), running.packet_peer("b")
        b.send(frame_of(BROADCAST, B, bytes(46)))
        a.receive()
        small, large = frame_of(B, A, bytes(600)), frame_of(B, A, bytes(605))
        for number in range(1, 6):
            a.send(small, large)
            assert b.receive() == small
            wait_until(
                lambda expected=number: (  # type: ignore[misc]
                    running.counters("b.eth0").drops.get("PKT_TOO_BIG") == expected
                ),
                "counted",
            )
        assert b.waiting() == []
        # One flow of TCP has frames of up to 64 KiB, to be cut to what the receiver takes.
        near, far = running.connect("a", "b", "10.9.0.2")
        transfer(near, far, 4 << 20)
        transfer(far, near, 4 << 20)


@both_caches
@pytest.mark.parametrize("address", ["10.9.0.2", "fd09::2"])
def test_frames_pass_whole_between_containers(tmp_path: Path, cache: str, address: str) -> None:
    with lab(tmp_path, file_of(["a", "b"], cache)) as running:
        near, far = running.connect("a", "b", address)
        before = running.counters("a.eth0")
        transfer(near, far, 32 << 20)
        after = running.counters("a.eth0")
        mean = (after.bytes_in - before.bytes_in) / (after.frames_in - before.frames_in)
        assert mean > 3 * 1514
        transfer(far, near, 8 << 20)


@both_caches
def test_broadcast_reaches_each_of_two_hundred_ports_once(tmp_path: Path, cache: str) -> None:
    names = [f"n{number}" for number in range(200)]
    with lab(tmp_path, file_of(names, cache)) as running:
        # What two hundred stacks tell all others when they come up is more than queues hold.
        running.quieten("host", *names)
        peers = [running.packet_peer(name) for name in names]
        for sender in (0, 117, 199):
            source = station(1000 + sender)
            marks = [frame_of(BROADCAST, source, bytes([n]) * 46) for n in range(5)]
            end = frame_of(BROADCAST, source, b"end" * 20)
            for frame in (*marks, end):
                peers[sender].send(frame)
            for number, peer in enumerate(peers):
                if number != sender:
                    assert peer.receive_until(end) == marks
            assert peers[sender].waiting() == []


def flood_udp(running: RunningLab, source: str, address: str) -> socket.socket:
    """A socket of a node that sends to an address without waiting for anybody."""
    sender = running.open_socket(source, socket.AF_INET, socket.SOCK_DGRAM)
    sender.setblocking(False)
    sender.connect((address, 9))
    return sender


@both_caches
def test_container_that_does_not_read_holds_up_nobody(tmp_path: Path, cache: str) -> None:
    with lab(tmp_path, file_of(["a", "b", "c", "d"], cache)) as running:
        deaf = running.open_socket("b", socket.AF_INET, socket.SOCK_DGRAM)
        deaf.bind(("10.9.0.2", 9))
        near, far = running.connect("c", "d", "10.9.0.4")
        stuck, _unread = running.connect("a", "b", "10.9.0.2", 7001)
        stuck.setblocking(False)
        sender = flood_udp(running, "a", "10.9.0.2")

        def work() -> None:
            for _ in range(50):
                sender.send(bytes(1200))
            stuck.send(bytes(1 << 16))

        with busily(work):
            transfer(near, far, 16 << 20)
            transfer(far, near, 16 << 20)


@both_caches
def test_broadcast_storm_ends_with_its_sender(tmp_path: Path, cache: str) -> None:
    """There is no loop inside one switch: what a storm costs is what its sender sends."""
    with lab(tmp_path, file_of(["a", "b", "c"], cache)) as running:
        running.quieten("host", "a", "b", "c")
        a, b = running.packet_peer("a"), running.packet_peer("b")
        near, far = running.connect("b", "c", "10.9.0.3")
        storm = [frame_of(BROADCAST, A, bytes(46))] * 200
        before = running.counters("a.eth0").frames_in
        with busily(lambda: a.send(*storm)):
            transfer(near, far, 8 << 20)
        numbers = itertools.count()

        def ended() -> bool:
            end = frame_of(BROADCAST, A, b"end" + next(numbers).to_bytes(46, "big"))
            a.send(end)
            time.sleep(0.05)
            return end in b.waiting()

        wait_until(ended, "the last one arrives")
        settled = running.counters("a.eth0")
        assert settled.frames_in > before
        assert settled.frames_out < settled.frames_in
        marks = [frame_of(BROADCAST, A, bytes([n]) * 46) for n in range(1, 9)]
        a.send(*marks)
        assert [b.receive() for _ in marks] == marks
        assert running.counters("a.eth0").frames_in == settled.frames_in + len(marks)
