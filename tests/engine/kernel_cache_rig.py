"""The in-kernel cache with a switch process that moves only when the test says so.

Programs, maps, upcall and veths are real and live in a network namespace of their own; the far
ends lie in a second one. The process is the loop's own code, run in the test: `serve` lets it deal
with what came up, `tick` lets its second pass, and `restart` puts a new one in its place, which
knows no more than a killed one leaves behind.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from scapy.layers.l2 import Ether
from scapy.packet import Packet
from tests.engine.networks import namespace, veth
from tests.engine.stations import BROADCAST, EXPERIMENT, PacketPeer, frame_of, station
from tests.engine.switch_process import BRIDGE_MAC

from linkspan.bridge.port import PortOptions
from linkspan.engine.user.configuration import (
    PortConfiguration,
    SwitchConfiguration,
    cache_key,
    memory_key,
    upcall_key,
)
from linkspan.engine.user.dataplane import Dataplane
from linkspan.engine.user.kernel_cache import KernelCache
from linkspan.engine.user.load import LoadedCache
from linkspan.engine.user.memory import Memory, make_memory
from linkspan.engine.user.process import add_ports, build_bridge, kernel_devices
from linkspan.engine.user.restore import Keeper, restore
from linkspan.sandbox.namespaces import inside
from linkspan.types import Mac, PortNumber

A, B, C, X = (Mac(station(number)) for number in range(1, 5))
MAC_A, MAC_B = A.hex(":"), B.hex(":")
LLC = 0x0026
"""A length in the place of a type."""


def numbered(destination: bytes, source: bytes, number: int, kind: int = EXPERIMENT) -> bytes:
    """A frame that can be told from others."""
    return frame_of(destination, source, struct.pack("!I", number) + bytes(46), kind)


def number_of(frame: bytes) -> int:
    """Which one of `numbered` it is."""
    (number,) = struct.unpack_from("!I", frame, 14)
    return int(number)


def packet(inner: Packet, tags: tuple[Packet, ...] = ()) -> bytes:
    """A packet from A to B, with tags."""
    whole = Ether(src=MAC_A, dst=MAC_B)
    for tag in tags:
        whole /= tag
    return bytes(whole / inner)


class Rig:
    """Ports 1 to n; `peers[n]` is a raw socket at the far end of port n."""

    def __init__(
        self, owned: ExitStack, options: list[PortOptions], ageing: float, mtu: int
    ) -> None:
        self._near, self.far = owned.enter_context(namespace()), owned.enter_context(namespace())
        with inside(self._near):
            self.loaded = LoadedCache("upcall0")
        owned.callback(self.loaded.close)
        ports = []
        for number, chosen in enumerate(options, 1):
            veth(self._near, f"near{number}", f"p{number}", self.far, mtu)
            with inside(self._near):
                index = self.loaded.devices.add_device(number, f"near{number}")
            port = PortConfiguration(
                number=number,
                name=f"p{number}",
                kind="veth",
                mac=None,
                node=None,
                interface=None,
                options=chosen,
                ifindex=index,
                to_peer=True,
            )
            ports.append(port)
        with inside(self._near):
            self.loaded.devices.make_room(len(ports))
        memory = make_memory()
        owned.callback(os.close, memory)
        self.configuration = SwitchConfiguration(
            name="br0",
            node="host",
            mac=BRIDGE_MAC,
            up=True,
            ageing_time=ageing,
            fdb_max_learned=65536,
            group_fwd_mask=0,
            cache="on",
            ports=ports,
            descriptors={
                cache_key("br0"): self.loaded.maps,
                upcall_key("br0"): [self.loaded.upcall],
                memory_key("br0"): [memory],
            },
        )
        self.peers = {
            number: PacketPeer(self.far, f"p{number}") for number in range(1, len(options) + 1)
        }
        for peer in self.peers.values():
            owned.callback(peer.close)
        self.restart()

    def restart(self) -> None:
        """A new process in the place of one that was killed."""
        held = self.configuration.descriptors
        (descriptor,), (upcall,) = held[memory_key("br0")], held[upcall_key("br0")]
        self.bridge = build_bridge(self.configuration)
        self.dataplane = Dataplane(self.bridge)
        add_ports(self.dataplane, self.configuration)
        memory = Memory(descriptor)
        counted = restore(memory, self.bridge, self.dataplane.ports)
        devices = kernel_devices(self.configuration)
        self.kernel = KernelCache(held[cache_key("br0")], devices, counted)
        with inside(self._near):
            self.dataplane.add_kernel_cache(self.kernel, upcall)
        self.keeper = Keeper(memory, self.bridge, self.dataplane.ports, self.kernel)
        self.dataplane.every_tick = self.keeper.tick
        self.dataplane.tell(self.keeper.note_events)

    def waits(self) -> bool:
        """Whether a frame waits for the process."""
        poll = select.poll()
        poll.register(self.loaded.upcall, select.POLLIN)
        return bool(poll.poll(0))

    def serve(self) -> None:
        """Let the process deal with all that has come up."""
        while self.waits():
            self.pump()

    def pump(self) -> None:
        """Let the process deal with one burst of it."""
        assert self.dataplane.kernel_side is not None
        self.dataplane.kernel_side.pump()

    def hear_of_links(self) -> None:
        """Let the process take notice of carriers that came or went."""
        side = self.dataplane.kernel_side
        assert side is not None
        poll = select.poll()
        poll.register(side.links.fileno(), select.POLLIN)
        while poll.poll(200):
            side.hear_of_links()

    def tick(self) -> None:
        """Let the process do what it does once a second."""
        self.dataplane._tick(time.monotonic())

    def upcalls(self) -> int:
        """How many frames have come up so far."""
        return sum(self.kernel.credit.upcalled().values())

    def counters(self) -> dict[int, Any]:
        """Frames in and out and drops of each port, as `ports` shows them."""
        self.dataplane.settle(time.monotonic())
        return {
            number: (port.frames_in, port.frames_out, dict(port.drops))
            for number, port in self.dataplane.ports.items()
        }

    def where(self, mac: bytes) -> int | None:
        """The port behind which an address is known to live."""
        for (_, known), entry in self.bridge.fdb:
            if known == mac:
                return int(entry.port)
        return None

    def introduce(self, port: int, mac: bytes) -> None:
        """Let the bridge learn an address, and forget the frame that taught it."""
        self.peers[port].send(frame_of(BROADCAST, mac, bytes(46)))
        self.serve()
        self.drain()

    def establish(self, port: int, *frames: bytes) -> None:
        """Let flows from a port come so far that the kernel knows them, and forget the frames."""
        for frame in frames:
            for _ in range(4):
                self.peers[port].send(frame)
                self.serve()
            before = self.upcalls()
            self.peers[port].send(frame)
            assert self.upcalls() == before, "the flow is not in the kernel"
        self.drain()

    def drain(self) -> dict[int, list[bytes]]:
        """All frames that have arrived, by port."""
        return {number: peer.waiting() for number, peer in self.peers.items()}

    def arrivals(self, port: int, count: int) -> list[bytes]:
        """The next frames that arrive at a port, and no other port got any; neither more."""
        found = [self.peers[port].receive() for _ in range(count)]
        assert not any(self.drain().values())
        return found


@contextmanager
def rig(
    ports: int = 3, ageing: float = 300.0, mtu: int = 1500, **options: dict[str, Any]
) -> Iterator[Rig]:
    """A cache with ports on devices of that MTU; `p2={"isolated": True}` sets options of port 2."""
    chosen = [PortOptions(**options.get(f"p{number}", {})) for number in range(1, ports + 1)]
    with ExitStack() as owned:
        made = Rig(owned, chosen, ageing, mtu)
        yield made


def port_number(number: int) -> PortNumber:
    """A port's number as the bridge knows it."""
    return PortNumber(number)
