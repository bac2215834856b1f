"""A VXLAN port of our own switch: Ethernet frames in UDP datagrams to and from far hosts.

The socket is opened in the namespace of the bridge's node, whose routes lead to the far hosts, and
held by init like any port's descriptor. What this process learned of far hosts goes with it; the
next one floods until it has learned it again. Frames to it are segmented and their checksums
filled in here, and what a sender in this machine left to do of either is seen here
(`wire.left_over`). The in-kernel cache does not forward to such a port; its frames come by here.

Source: RFC 7348. Datagrams of another segment, or that are no VXLAN, are counted and dropped.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from linkspan.bridge.reasons import Reason
from linkspan.engine.user.configuration import VxlanConfiguration
from linkspan.engine.user.devices import Direction, enlarge_buffer
from linkspan.engine.user.ports import Port, complete_frames
from linkspan.engine.user.remotes import Remotes
from linkspan.types import PortNumber
from linkspan.wire.formats import BadFormat
from linkspan.wire.left_over import header_of
from linkspan.wire.vxlan import HEADER_BYTES, Vxlan, emit, parse

_LARGEST_DATAGRAM: Final = 65535
_SMALLEST_FRAME: Final = 14
_BUFFER_BYTES: Final = 4 << 20
_TIME_TO_LIVE: Final = 64
_MEMBERSHIP = struct.Struct("=4s4si")


class VxlanPort(Port):
    """A UDP socket and the far hosts that it leads to."""

    def __init__(
        self,
        number: PortNumber,
        name: str,
        descriptor: int,
        settings: VxlanConfiguration,
        mtu: Callable[[], int],
    ) -> None:
        """`mtu` tells that of the port, in bytes."""
        super().__init__(number, name, "vxlan", descriptor)
        self._sock = socket.socket(fileno=descriptor)
        everyone = [(address, settings.port) for address in settings.everyone]
        self._remotes = Remotes(everyone, settings.port, settings.learn_remotes)
        self._vni = settings.vni
        self._mtu = mtu
        self._header = emit(Vxlan(settings.vni))
        self.read = self._read
        self.write = self._write

    def _read(self) -> bytes:
        while True:
            datagram, sender = self._sock.recvfrom(_LARGEST_DATAGRAM)
            try:
                vni = parse(datagram).vni
            except BadFormat:
                self.drop(Reason.DEV_HDR)
                continue
            frame = datagram[HEADER_BYTES:]
            if vni != self._vni or len(frame) < _SMALLEST_FRAME:
                self.drop(Reason.DEV_HDR)
                continue
            self._remotes.learn(frame[6:12], sender[0], time.monotonic())
            return header_of(frame, self._mtu()) + frame

    def _write(self, frame: bytes) -> None:
        parts = complete_frames(frame)
        now = time.monotonic()
        for part in parts:
            for remote in self._remotes.towards(part[:6], now):
                self._sock.sendto(self._header + part, remote)

    def close(self) -> None:
        self._sock.close()


def open_vxlan_socket(settings: VxlanConfiguration) -> int:
    """The UDP socket of a VXLAN port, in the current network namespace. Raises OSError."""
    version = ipaddress.ip_address(settings.everyone[0]).version
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        for direction in Direction:
            enlarge_buffer(sock, direction, _BUFFER_BYTES)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if settings.group is not None:
            _join(sock, family, settings.group, settings.interface or "")
        # A group's datagrams come to the group's address, which only an unbound one hears.
        here = "" if settings.group is not None else settings.local or ""
        sock.bind((here, settings.port))
    except OSError:
        sock.close()
        raise
    return sock.detach()


def _join(sock: socket.socket, family: int, group: str, interface: str) -> None:
    """Hear a multicast group on an interface, and send to it there, but not to ourselves (ip(7),
    ipv6(7))."""
    index = socket.if_nametoindex(interface)
    address = socket.inet_pton(family, group)
    if family == socket.AF_INET:
        request = _MEMBERSHIP.pack(address, bytes(4), index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        leaving = _MEMBERSHIP.pack(bytes(4), bytes(4), index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, leaving)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _TIME_TO_LIVE)
        return
    request = address + struct.pack("=I", index)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _TIME_TO_LIVE)
