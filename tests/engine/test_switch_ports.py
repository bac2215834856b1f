"""Frames through every kind of port of a real switch process."""

from __future__ import annotations

import signal
import socket
import struct
from pathlib import Path

import pytest
from tests.engine.networks import configure, namespace, needs_root, veth
from tests.engine.stations import BROADCAST, DatagramPeer, StreamPeer, frame_of, station, wait_until
from tests.engine.switch_process import Switch

from linkspan.engine.netlink import delete_link, set_link
from linkspan.engine.user.ports import put_tag_back

A, B, C = station(1), station(2), station(3)


def test_many_frames_in_one_write_all_pass_at_once(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "b")
        switch.start()
        a, b = switch.stream_peer("a"), switch.stream_peer("b")
        b.send(frame_of(BROADCAST, B))
        assert a.receive() == frame_of(BROADCAST, B)
        frames = [frame_of(B, A, struct.pack("!I", number)) for number in range(1000)]
        a.send(*frames)
        assert [b.receive() for _ in frames] == frames


def test_what_a_peer_sent_before_it_went_away_still_passes(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "b")
        switch.start()
        a, b = switch.stream_peer("a"), switch.stream_peer("b")
        frames = [frame_of(B, A, struct.pack("!I", number)) for number in range(1000)]
        a.send(*frames)
        a.close()
        assert [b.receive() for _ in frames] == frames


def test_a_frame_for_a_peer_that_left_does_not_cost_what_it_sent(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "b")
        switch.start()
        a, b = switch.stream_peer("a"), switch.stream_peer("b")
        assert switch.process is not None
        switch.process.send_signal(signal.SIGSTOP)
        b.send(frame_of(BROADCAST, B))  # is served first, and finds nobody
        a.send(frame_of(B, A, b"last words"))
        a.close()
        switch.process.send_signal(signal.SIGCONT)
        assert b.receive() == frame_of(B, A, b"last words")
        again = switch.stream_peer("a")
        b.send(frame_of(A, B, b"again"))
        assert again.receive() == frame_of(A, B, b"again")


def test_frame_in_single_bytes_and_frames_across_writes(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "b")
        switch.start()
        a, b = switch.stream_peer("a"), switch.stream_peer("b")
        first, second, third = (frame_of(B, A, bytes([n]) * 40) for n in range(3))
        data = b"".join(struct.pack("!I", len(one)) + one for one in (first, second, third))
        for byte in data[:70]:
            a.sock.sendall(bytes([byte]))
        a.sock.sendall(data[70:])
        assert [b.receive() for _ in range(3)] == [first, second, third]


def test_impossible_length_ends_the_connection_and_is_counted(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "b")
        switch.start()
        a, b = switch.stream_peer("a"), switch.stream_peer("b")
        good = frame_of(B, A, b"before")
        a.sock.sendall(struct.pack("!I", len(good)) + good + struct.pack("!I", 1 << 20) + b"x" * 99)
        assert b.receive() == good
        with pytest.raises((EOFError, ConnectionResetError)):
            a.receive()
        assert switch.counters("a").drops == {"DEV_HDR": 1, "MAC_IEEE_MAC_CONTROL": 1}
        again = switch.stream_peer("a")
        again.send(frame_of(B, A, b"after"))
        assert b.receive() == frame_of(B, A, b"after")


def test_new_peer_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "b")
        switch.start()
        old, b = switch.stream_peer("a"), switch.stream_peer("b")
        old.sock.sendall(struct.pack("!I", 60) + b"half a frame")
        new = StreamPeer(switch.path("a"))
        with pytest.raises(EOFError):
            old.receive()
        new.send(frame_of(BROADCAST, A))
        assert b.receive() == frame_of(BROADCAST, A)
        b.send(frame_of(A, B))
        assert new.receive() == frame_of(A, B)
        new.close()


def test_peer_that_stops_reading_costs_only_its_own_frames(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "stalled", "b")
        switch.start()
        a, stalled, b = (switch.stream_peer(name) for name in ("a", "stalled", "b"))
        payload = bytes(1400)
        frames = [frame_of(BROADCAST, A, struct.pack("!I", n) + payload) for n in range(2000)]
        got = []
        for start in range(0, len(frames), 50):
            a.send(*frames[start : start + 50])
            got += [b.receive() for _ in range(50)]
        assert got == frames
        counters = switch.counters("stalled")
        lost = counters.drops["FULL_RING"]
        assert lost > 0
        assert counters.frames_out == len(frames) - lost
        # What it was given before it stalled is whole, and it takes part again once it reads.
        kept = [stalled.receive() for _ in range(counters.frames_out)]
        assert [one for one in frames if one in set(kept)] == kept

        def takes_part() -> bool:
            a.send(frame_of(BROADCAST, A, b"!"))
            return _has(stalled)

        wait_until(takes_part, "it takes part")


def _has(peer: StreamPeer) -> bool:
    peer.sock.setblocking(False)
    try:
        return bool(peer.sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        peer.sock.setblocking(True)


def test_stream_port_without_a_peer_drops_and_says_so(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "absent")
        switch.start()
        a = switch.stream_peer("a")
        a.send(frame_of(BROADCAST, A), frame_of(BROADCAST, A))
        wait_until(lambda: switch.counters("absent").drops == {"DEV_READY": 2}, "two drops")
        assert switch.counters("absent").frames_out == 0


def test_datagram_port_learns_its_peer_and_follows_it(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a")
        switch.dgram("d")
        switch.start()
        a = switch.stream_peer("a")
        a.send(frame_of(BROADCAST, A, b"too early"))
        wait_until(lambda: switch.counters("d").drops == {"DEV_READY": 1}, "nobody there yet")
        first = switch.dgram_peer("d")
        a.send(frame_of(BROADCAST, A, b"first"))
        assert first.receive() == frame_of(BROADCAST, A, b"first")
        second = switch.dgram_peer("d")
        a.send(frame_of(BROADCAST, A, b"second"))
        assert second.receive() == frame_of(BROADCAST, A, b"second")
        second.close()
        before = switch.counters("d").frames_out
        a.send(frame_of(BROADCAST, A, b"gone"))
        wait_until(lambda: switch.counters("d").drops.get("DEV_READY") == 2, "peer gone")
        assert switch.counters("d").frames_out == before
        assert switch.lives


def test_stalled_datagram_peer_costs_only_its_own_frames(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "b")
        switch.dgram("d")
        switch.start()
        a, b, _stalled = switch.stream_peer("a"), switch.stream_peer("b"), switch.dgram_peer("d")
        frames = [frame_of(BROADCAST, A, struct.pack("!I", n) + bytes(1400)) for n in range(500)]
        got = []
        for start in range(0, len(frames), 50):
            a.send(*frames[start : start + 50])
            got += [b.receive() for _ in range(50)]
        assert got == frames
        counters = switch.counters("d")
        assert counters.drops["FULL_RING"] > 0
        assert counters.frames_out + counters.drops["FULL_RING"] == len(frames)


def test_runts_and_oversize_on_sockets_end_in_counted_reasons(tmp_path: Path) -> None:
    with Switch(tmp_path) as switch:
        switch.stream("a", "b")
        switch.dgram("d")
        switch.start()
        a, b, d = switch.stream_peer("a"), switch.stream_peer("b"), switch.dgram_peer("d")
        garbage = [b"", b"x", b"x" * 13, B + A + b"\x81\x00", B + A + b"\x88\xa8\x00\x01\x08"]
        for peer in (a, d):
            peer.send(*garbage, frame_of(BROADCAST, A, bytes(65560)), frame_of(BROADCAST, A))
        assert b.receive() == frame_of(BROADCAST, A)
        assert b.receive() == frame_of(BROADCAST, A)
        expected = {
            "MAC_IEEE_MAC_CONTROL": 1,
            "PKT_TOO_SMALL": 3,
            "HDR_TRUNC": 2,
            "PKT_TOO_BIG": 1,
        }
        assert switch.counters("a").drops == expected
        assert switch.counters("d").drops == expected


@needs_root
def test_tap_and_sockets_exchange_frames(tmp_path: Path) -> None:
    with namespace() as network, Switch(tmp_path) as switch:
        switch.tap(network, "t0")
        switch.stream("s")
        switch.dgram("d")
        switch.start()
        t, s, d = (
            switch.packet_peer(network, "t0"),
            switch.stream_peer("s"),
            switch.dgram_peer("d"),
        )
        peers: list[tuple[bytes, object]] = [(A, t), (B, s), (C, d)]
        assert {mac.hex() for mac, _ in peers} == {A.hex(), B.hex(), C.hex()}
        for mac, sender in ((A, t), (B, s), (C, d)):
            sent = frame_of(BROADCAST, mac, bytes(46))
            sender.send(sent)
            for receiver in (t, s, d):
                if receiver is not sender:
                    assert receiver.receive() == sent
        t.send(frame_of(B, A, b"one" * 20))
        assert s.receive() == frame_of(B, A, b"one" * 20)
        s.send(frame_of(C, B, b"two" * 20))
        assert d.receive() == frame_of(C, B, b"two" * 20)
        d.send(frame_of(A, C, b"three" * 20))
        assert t.receive() == frame_of(A, C, b"three" * 20)


@needs_root
def test_veth_hears_everything_but_itself(tmp_path: Path) -> None:
    with namespace() as near, namespace() as far, Switch(tmp_path) as switch:
        veth(near, "p0", "eth0", far)
        switch.packet(near, "p0")
        switch.stream("s")
        switch.start()
        container, s = switch.packet_peer(far, "eth0"), switch.stream_peer("s")
        # Not the interface's own address: a port must be promiscuous.
        container.send(frame_of(BROADCAST, A, bytes(46)))
        assert s.receive() == frame_of(BROADCAST, A, bytes(46))
        container.send(frame_of(station(77), A, bytes(46)))
        assert s.receive() == frame_of(station(77), A, bytes(46))
        s.send(frame_of(A, B, bytes(46)), frame_of(BROADCAST, B, bytes(46)))
        assert container.receive() == frame_of(A, B, bytes(46))
        assert container.receive() == frame_of(BROADCAST, B, bytes(46))
        container.send(frame_of(B, A, b"end" * 20))
        assert s.receive_until(frame_of(B, A, b"end" * 20)) == []
        assert switch.counters("p0").frames_in == 3


@needs_root
@pytest.mark.parametrize("protocol", [0x8100, 0x88A8])
def test_vlan_tag_crosses_veth_and_tap_unchanged(tmp_path: Path, protocol: int) -> None:
    with namespace() as near, namespace() as far, Switch(tmp_path) as switch:
        veth(near, "p0", "eth0", far)
        switch.packet(near, "p0")
        switch.tap(far, "t0")
        switch.stream("s")
        switch.start()
        container, s = switch.packet_peer(far, "eth0"), switch.stream_peer("s")
        tagged = BROADCAST + A + struct.pack("!HHH", protocol, 0xE00A, 0x88B5) + b"tagged" * 10
        for _ in range(3):  # the third comes from the cache
            container.send(tagged)
            assert s.receive() == tagged
        answer = A + B + struct.pack("!HHH", protocol, 0x6014, 0x88B5) + b"answer" * 10
        for _ in range(3):
            s.send(answer)
            wait_until(lambda: switch.counters("p0").frames_out > 0, "sent to the veth")
        assert switch.counters("p0").frames_out == 3
        assert switch.counters("s").drops == {"MAC_IEEE_MAC_CONTROL": 1}


def test_checksum_place_moves_with_the_tag_that_is_put_back() -> None:
    frame = B + A + b"\x08\x00" + bytes(range(46))
    header = struct.pack("=BBHHHH", 1, 1, 54, 1448, 34, 16)
    moved = put_tag_back(header + frame, 0x8100, 0x2005)
    assert struct.unpack_from("=BBHHHH", moved) == (1, 1, 58, 1448, 38, 16)
    assert moved[10:] == B + A + b"\x81\x00\x20\x05" + frame[12:]
    plain = put_tag_back(bytes(10) + frame, 0x8100, 5)
    assert plain[:10] == bytes(10)


@needs_root
def test_tap_that_goes_away_is_not_asked_again(tmp_path: Path) -> None:
    with namespace() as network, Switch(tmp_path) as switch:
        switch.tap(network, "t0")
        switch.stream("a", "b")
        switch.start()
        a, b = switch.stream_peer("a"), switch.stream_peer("b")
        configure(network, delete_link("t0"))
        a.send(frame_of(BROADCAST, A, b"1"), frame_of(BROADCAST, A, b"2"))
        assert b.receive() == frame_of(BROADCAST, A, b"1")
        assert b.receive() == frame_of(BROADCAST, A, b"2")
        first = switch.counters("t0").drops["DEV_READY"]
        a.send(frame_of(BROADCAST, A, b"3"))
        assert b.receive() == frame_of(BROADCAST, A, b"3")
        assert switch.counters("t0").drops["DEV_READY"] == first + 1


@needs_root
def test_tap_that_is_down_is_a_drop(tmp_path: Path) -> None:
    with namespace() as network, Switch(tmp_path) as switch:
        switch.tap(network, "t0")
        switch.stream("a")
        switch.start()
        a = switch.stream_peer("a")
        configure(network, set_link("t0", up=False))
        a.send(frame_of(BROADCAST, A))
        wait_until(lambda: switch.counters("t0").drops == {"DEV_READY": 1}, "a drop")
        configure(network, set_link("t0", up=True))
        t = switch.packet_peer(network, "t0")
        a.send(frame_of(BROADCAST, A, bytes(46)))
        assert t.receive() == frame_of(BROADCAST, A, bytes(46))


def test_datagram_peer_is_an_ordinary_socket(tmp_path: Path) -> None:
    """A datagram from a socket without a name passes, and answers still go to the named peer."""
    with Switch(tmp_path) as switch:
        switch.stream("a")
        switch.dgram("d")
        switch.start()
        a, named = switch.stream_peer("a"), switch.dgram_peer("d")
        assert isinstance(named, DatagramPeer)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
            nameless.sendto(frame_of(BROADCAST, B), str(switch.path("d")))
        assert a.receive() == frame_of(BROADCAST, B)
        a.send(frame_of(B, A))
        assert named.receive() == frame_of(B, A)
