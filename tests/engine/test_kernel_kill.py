"""kill -9 of the real switch process under load, and what is left after `down`.

Established flows do not notice, new ones wait for the next process, figures go on where they were.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
import time
from pathlib import Path

from tests.engine.kernel_cache_rig import number_of, numbered
from tests.engine.networks import needs_cache
from tests.engine.running_lab import RunningLab, containers, lab
from tests.engine.stations import BROADCAST, PacketPeer, frame_of, station, wait_until

from linkspan.control.descriptors import close_all
from linkspan.engine.libbpf import _library
from linkspan.engine.user.configuration import cache_key

pytestmark = needs_cache

A, B, C, D = (station(number) for number in range(1, 5))


class Steady:
    """Numbered frames from one node to another, a few thousand a second, counted by both."""

    def __init__(self, running: RunningLab) -> None:
        self.near, self.far = running.packet_peer("a"), running.packet_peer("b")
        self.sent = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def _send(self) -> None:
        while not self._ended.is_set():
            for _ in range(10):
                self.near.send(numbered(B, A, self.sent))
                self.sent += 1
            time.sleep(0.002)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


def establish(near: PacketPeer, far: PacketPeer) -> None:
    far.send(frame_of(BROADCAST, B, bytes(46)))
    near.receive()
    for number in range(6):
        near.send(numbered(B, A, number))
        assert number_of(far.receive()) == number


def test_established_flow_loses_not_one_frame_and_a_new_one_waits(tmp_path: Path) -> None:
    with lab(tmp_path, containers(["a", "b", "c"], ", cache: auto")) as running:
        running.quieten("host", "a", "b", "c")
        flow = Steady(running)
        c = running.packet_peer("c")
        establish(flow.near, flow.far)
        c.send(frame_of(BROADCAST, C, bytes(46)))
        wait_until(lambda: C.hex(":") in {one.mac for one in running.snapshot().fdb}, "learned")
        before = running.counters("a.eth0")
        flow.far.waiting()
        flow.start()
        kills = 4
        try:
            for kill in range(1, kills + 1):
                seen = flow.sent
                running.kill_switch()
                c.send(numbered(B, C, 1_000_000 + kill))
                wait_until(lambda enough=seen + 500: flow.sent > enough, "frames flow")  # type: ignore[misc]
                wait_until(lambda n=kill: running.starts() > n, "started")  # type: ignore[misc]
        finally:
            flow.end()

        def counted() -> bool:
            return running.counters("a.eth0").frames_in - before.frames_in == flow.sent

        wait_until(counted, "each frame is counted once")
        numbers = [number_of(frame) for frame in flow.far.waiting() if frame[:6] == B]
        assert [one for one in numbers if one < 1_000_000] == list(range(flow.sent))
        assert [one for one in numbers if one > 1_000_000] == [
            1_000_000 + kill for kill in range(1, kills + 1)
        ]
        after = running.counters("a.eth0")
        assert after.bytes_in - before.bytes_in == flow.sent * len(numbered(B, A, 0))
        assert after.drops == before.drops


# what is left

_NAME_AT, _MAP_COUNT_AT, _MAP_IDS_AT, _INFO_BYTES = 64, 52, 56, 232
"""In struct bpf_prog_info (include/uapi/linux/bpf.h)."""


def programs_of(maps: set[int]) -> set[int]:
    """Ids of the loaded programs that use one of these maps."""
    library, found, here = _library(), set(), ctypes.c_uint32(0)
    while library.bpf_prog_get_next_id(here.value, ctypes.byref(here)) == 0:
        descriptor = library.bpf_prog_get_fd_by_id(here.value)
        if descriptor < 0:
            continue
        used = (ctypes.c_uint32 * 64)()
        info = ctypes.create_string_buffer(_INFO_BYTES)
        struct.pack_into("=IQ", info, _MAP_COUNT_AT, 64, ctypes.addressof(used))
        size = ctypes.c_uint32(_INFO_BYTES)
        assert library.bpf_obj_get_info_by_fd(descriptor, info, ctypes.byref(size)) == 0
        os.close(descriptor)
        (count,) = struct.unpack_from("=I", info, _MAP_COUNT_AT)
        if maps & set(used[:count]):
            found.add(here.value)
    return found


def id_of(descriptor: int) -> int:
    text = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    (found,) = (line.split()[1] for line in text.splitlines() if line.startswith("map_id"))
    return int(found)


def exist(maps: set[int]) -> set[int]:
    """Those of the maps that the kernel still has."""
    found, here = set(), ctypes.c_uint32(0)
    while _library().bpf_map_get_next_id(here.value, ctypes.byref(here)) == 0:
        found.add(here.value)
    return found & maps


def test_down_leaves_neither_maps_nor_programs(tmp_path: Path) -> None:
    with lab(tmp_path, containers(["a", "b"], ", cache: auto")) as running:
        flow = Steady(running)
        establish(flow.near, flow.far)
        _, descriptors = running.init.call_for_descriptors("fetch", name=cache_key("br0"))
        maps = {id_of(one) for one in descriptors}
        close_all(descriptors)
        assert exist(maps) == maps
        assert len(programs_of(maps)) == 2
        running.kill_switch()
    # The kernel frees them after a grace period.
    wait_until(lambda: not exist(maps) and not programs_of(maps), "maps and programs are gone")
