"""Making the in-kernel cache of a bridge: programs, maps and the tap for what they do not know.

Everything made here lives in the lab's own network namespace or hangs on descriptors that the
lab's init process holds. Nothing is pinned, so nothing can be left behind. Needs CAP_BPF and
CAP_NET_ADMIN in the first user namespace (bpf(2)).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

from linkspan.bridge.watch import WATCHED, Watch, type_bits
from linkspan.control.client import Client
from linkspan.engine.libbpf import BpfMap, BpfObject
from linkspan.engine.netlink import Netlink, Request, set_link, without_ipv6_address
from linkspan.engine.traffic_control import add_clsact, put_program
from linkspan.engine.user.configuration import cache_key, program_key, upcall_key
from linkspan.engine.user.devices import open_tap
from linkspan.engine.user.kernel_maps import CREDIT, MAPS, PORT
from linkspan.model.texts import LARGEST_MTU
from linkspan.wire.ethernet import EtherType

OBJECT: Final = Path(__file__).with_name("kernel_cache.bpf.o")

_WATCH: Final = struct.Struct("=IHHQ")
_WATCH_ALL, _WATCH_PORTS, _WATCH_TYPES = 1, 2, 3
_IPV6_ROWS: Final = 256


class ServedDevices:
    """Which devices the programs of one bridge serve, and as which ports. It works in the current
    network namespace, which is that of the devices and of the upcall.
    """

    def __init__(self, ports: int, numbers: int, program: int, upcall_name: str) -> None:
        """By the descriptors of two maps and of the ports' program; all of them stay the
        caller's."""
        self.program = program
        self._ports = BpfMap(ports, 4, PORT.size)
        self._numbers = BpfMap(numbers, 4, 4)
        self._upcall_name = upcall_name

    def add_device(self, number: int, name: str, to_peer: bool = True) -> int:
        """Let the program serve a port; returns its ifindex."""
        with Netlink() as netlink:
            index = netlink.index(name)
            self.enter(number, index, to_peer)
            netlink.run([add_clsact(index), self.put_program(index)])
        return index

    def enter(self, number: int, index: int, to_peer: bool) -> None:
        """Let a device be a port, as soon as the program sees its frames."""
        port = PORT.pack(0, 0, index, to_peer, 0, 0)
        self._ports.put(struct.pack("=I", number), port)
        self._numbers.put(struct.pack("=I", index), struct.pack("=I", number))

    def put_program(self, index: int) -> Request:
        """Run the program on what comes in by a device that has the qdisc for it."""
        return put_program(index, self.program, "port_ingress")

    def end_upcalls(self, index: int) -> None:
        """Let no more frames of a device come up; the switch process is told next."""
        self._numbers.remove(struct.pack("=I", index))

    def make_room(self, ports: int) -> None:
        """Let the upcall's queue hold the credit of so many ports, and as much again of one for
        what the programs count at the same time on several processors. To be called whenever
        ports were added."""
        with Netlink() as netlink:
            netlink.run([set_link(self._upcall_name, queue=CREDIT * (ports + 1))])


class LoadedCache:
    """Programs, maps and upcall of one bridge, just made; ours until `close`."""

    def __init__(self, upcall_name: str) -> None:
        """Load the programs and make the upcall. Raises OSError that says what is missing, and
        Refusal when the kernel does not attach them; nothing is left then."""
        if not OBJECT.exists():
            raise FileNotFoundError("clang was missing when linkspan was built")
        self._opened: list[int] = []
        loaded = BpfObject(OBJECT)
        try:
            self.maps = [self._own(loaded.map(name)) for name in MAPS]
            self.numbers = self._own(loaded.map("numbers"))
            self.program = self._own(loaded.program("port_ingress"))
            watched = BpfMap(self._own(loaded.map("watched")), 4, _WATCH.size)
            _fill_watched(watched)
            self.upcall = self._own(open_tap(upcall_name))
            self._open_upcall(upcall_name, self._own(loaded.program("upcall_ingress")))
        except BaseException:
            self.close()
            raise
        finally:
            loaded.close()
        ports = self.maps[MAPS.index("ports")]
        self.devices = ServedDevices(ports, self.numbers, self.program, upcall_name)

    def _own(self, descriptor: int) -> int:
        self._opened.append(descriptor)
        return descriptor

    def _open_upcall(self, name: str, program: int) -> None:
        with Netlink() as netlink:
            index = netlink.index(name)
            state = BpfMap(self.maps[MAPS.index("state")], 4, 16)
            state.put(bytes(4), struct.pack("=IIII", 1, index, CREDIT, 0))
            netlink.run(
                [
                    without_ipv6_address(name),
                    set_link(name, up=True, mtu=LARGEST_MTU),
                    add_clsact(index),
                    put_program(index, program, "upcall_ingress"),
                ]
            )

    def give(self, init: Client, bridge: str) -> None:
        """Have the lab's init process hold everything for a bridge, and close our descriptors."""
        try:
            init.call("hold", self.maps, name=cache_key(bridge))
            init.call("hold", [self.upcall], name=upcall_key(bridge))
            init.call("hold", [self.numbers, self.program], name=program_key(bridge))
        finally:
            self.close()

    def close(self) -> None:
        """Close our descriptors; the programs stay attached, the maps with whoever holds them."""
        for descriptor in self._opened:
            os.close(descriptor)


def _fill_watched(watched: BpfMap) -> None:
    for row in WATCHED:
        first = _IPV6_ROWS if row.ethertype is EtherType.IPV6 else 0
        watched.put(struct.pack("=I", first + row.protocol), _row(row))


def _row(watch: Watch) -> bytes:
    if watch.ports is not None:
        return _WATCH.pack(_WATCH_PORTS, watch.ports.start, watch.ports.stop - 1, 0)
    if watch.types is not None:
        return _WATCH.pack(_WATCH_TYPES, 0, 0, type_bits(watch.types))
    return _WATCH.pack(_WATCH_ALL, 0, 0, 0)
