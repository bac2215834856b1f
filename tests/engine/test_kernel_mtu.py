"""Sizes, cuts and tags: what passes the Linux bridge passes the in-kernel cache, as it came.

The same frames go through a bridge of the kernel's own, and what arrives behind it is what must
arrive here. A frame that is still to be cut (GSO) passes whatever its size and that of its segments
(`is_skb_forwardable`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest
from pyroute2 import IPRoute
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw
from tests.engine.kernel_cache_rig import MAC_A, MAC_B, A, B, numbered, port_number, rig
from tests.engine.networks import configure, namespace, needs_cache, veth

from linkspan.bridge.reasons import Reason
from linkspan.engine.netlink import set_link
from linkspan.engine.user.devices import open_packet_socket
from linkspan.engine.user.ports import PacketPort
from linkspan.sandbox.namespaces import inside

pytestmark = needs_cache

MTU = 1000
_PLAIN = bytes(10)


def to_be_cut(tagged: bool, version: int, segment: int, size: int) -> bytes:
    """A TCP segment with its virtio_net_hdr, to be cut into such of `segment` bytes."""
    tag = Dot1Q(vlan=5) if tagged else None
    ether = Ether(src=MAC_A, dst=MAC_B)
    network = (
        IP(src="10.0.0.1", dst="10.0.0.2") if version == 4 else IPv6(src="fd00::1", dst="fd00::2")
    )
    packet = network / TCP(sport=1, dport=2, flags="A", chksum=0) / Raw(bytes(size))
    frame = bytes(ether / tag / packet if tag else ether / packet)
    at = len(frame) - size - 20
    header = struct.pack("=BBHHHH", 1, 1 if version == 4 else 4, at + 20, segment, at, 16)
    return header + frame


def sized(size: int, tag: str = "") -> bytes:
    """A frame of that many bytes."""
    start = B + A + bytes.fromhex(tag) + b"\x88\xb5"
    return _PLAIN + start + bytes(size - len(start))


FRAMES: dict[str, bytes] = {
    **{f"{size} bytes": sized(size) for size in (60, 1014, 1018, 1019)},
    **{
        f"{size} bytes with {tag}": sized(size, tag)
        for size in (60, 1014, 1018, 1022, 1023, 1024, 1026, 1027)
        for tag in ("81000005", "88a80005", "88a8000581000006")
    },
    **{
        f"IPv{version} in {segment}{' with a tag' * tagged}": to_be_cut(
            tagged, version, segment, size
        )
        for version in (4, 6)
        for tagged in (False, True)
        for segment, size in ((500, 900), (900, 8000), (1400, 9000))
    },
}


class Station:
    """A packet socket that speaks virtio_net_hdr, tags included."""

    def __init__(self, network: int, interface: str) -> None:
        with inside(network):
            self._port = PacketPort(
                port_number(9), interface, "veth", open_packet_socket(interface)
            )

    def send(self, frame: bytes) -> None:
        self._port.write(frame)

    def waiting(self) -> list[bytes]:
        found = []
        try:
            while True:
                found.append(self._port.read())
        except BlockingIOError:
            return found

    def close(self) -> None:
        self._port.close()


@contextmanager
def linux_bridge() -> Iterator[tuple[Station, Station]]:
    """Two stations on a bridge of the kernel's, the second behind a port of a smaller MTU."""
    with ExitStack() as owned:
        near, far = owned.enter_context(namespace()), owned.enter_context(namespace())
        veth(near, "near1", "p1", far, mtu=9000)
        veth(near, "near2", "p2", far, mtu=9000)
        configure(near, set_link("near2", mtu=MTU))
        with inside(near), IPRoute() as netlink:
            netlink.link("add", ifname="br0", kind="bridge")
            (bridge,) = netlink.link_lookup(ifname="br0")
            for name in ("near1", "near2"):
                netlink.link("set", index=netlink.link_lookup(ifname=name)[0], master=bridge)
            netlink.link("set", index=bridge, state="up")
        one, two = Station(far, "p1"), Station(far, "p2")
        owned.callback(one.close)
        owned.callback(two.close)
        yield one, two


def behind(stations: Sequence[Station], frame: bytes) -> list[bytes]:
    one, two = stations
    two.waiting()
    one.send(frame)
    return two.waiting()


@pytest.fixture(scope="module")
def passes() -> dict[str, list[bytes]]:
    """What arrives behind the kernel's bridge, by the name of what was sent."""
    with linux_bridge() as stations:
        stations[1].send(_PLAIN + numbered(A, B, 0))
        return {name: behind(stations, frame) for name, frame in FRAMES.items()}


def test_linux_bridge_is_the_judge_that_this_takes_it_for(passes: dict[str, list[bytes]]) -> None:
    dropped = {name for name, frames in passes.items() if not frames}
    assert dropped == {
        "1019 bytes",
        *(name for name in FRAMES if name.startswith(("1023", "1024", "1026", "1027"))),
    }


def test_sizes_cuts_and_tags_are_those_of_the_linux_bridge(passes: dict[str, list[bytes]]) -> None:
    with rig(2, mtu=9000, p2={"mtu": MTU}) as made:
        made.introduce(2, B)
        stations = Station(made.far, "p1"), Station(made.far, "p2")
        for name, frame in FRAMES.items():
            short = frame[10:80]
            made.establish(1, short)
            before = made.upcalls()
            found = behind(stations, frame)
            assert made.upcalls() - before == (not passes[name]), name
            made.serve()
            assert found + stations[1].waiting() == passes[name], name
        for station in stations:
            station.close()
        drops = sum(not frames for frames in passes.values())
        assert made.counters()[2][2] == {Reason.PKT_TOO_BIG.name: drops}
