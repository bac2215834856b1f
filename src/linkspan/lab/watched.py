"""Somebody in the network whose answers say that the host is still connected.

The gateway is asked where it is (ARP, neighbour solicitation), by a packet socket on the card or
on the bridge that took its place: what comes back has gone the way that the host's packets go. An
address that was given is asked for an echo (ping), by whatever way the routes have for it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from linkspan.types import Mac
from linkspan.wire import icmp
from linkspan.wire.formats import BadFormat
from linkspan.wire.probe import parse_resolved, resolve_request

ATTEMPTS, ATTEMPT_SECONDS = 3, 0.4
"""How often, and with how much patience each, somebody is asked before a change."""

_ETH_P_ALL: Final = 3
_ECHO: Final = {
    4: (icmp.EchoType.REQUEST, icmp.EchoType.REPLY),
    6: (icmp.EchoType.REQUEST_V6, icmp.EchoType.REPLY_V6),
}


class Gateway:
    """A neighbour that is asked for its MAC from one interface."""

    def __init__(self, address: str, sources: Sequence[str], interface: str) -> None:
        """`sources` are the interface's addresses with prefix lengths. Raises OSError."""
        self.address = address
        self._target = ipaddress.ip_address(address).packed
        self._source = _nearest(address, sources)
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        try:
            self._sock.bind((interface, _ETH_P_ALL))
        except OSError:
            self._sock.close()
            raise
        self._sock.setblocking(False)

    def ask(self) -> None:
        """Ask once. Raises OSError when the interface has gone or is down."""
        mac = Mac(self._sock.getsockname()[4])
        self._sock.send(resolve_request(mac, self._source, self._target))

    def has_answered(self) -> bool:
        """Whether an answer is among what has come."""
        found = False
        for frame in _received(self._sock):
            with contextlib.suppress(BadFormat):
                found |= parse_resolved(frame).address == self._target
        return found

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()


class Echo:
    """A host that is pinged."""

    def __init__(self, address: str) -> None:
        """Raises OSError."""
        self.address = address
        version = ipaddress.ip_address(address).version
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
        self._question, self._answer = _ECHO[version]
        self._sock = socket.socket(family, socket.SOCK_RAW, protocol)
        self._sock.setblocking(False)
        self._identifier = os.getpid() & 0xFFFF
        self._sequence = 0

    def ask(self) -> None:
        """Ask once. Raises OSError when there is no way to it."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        message = icmp.emit(icmp.Echo(self._question, self._identifier, self._sequence))
        self._sock.sendto(message, (self.address, 0))

    def has_answered(self) -> bool:
        """Whether an answer is among what has come."""
        found = False
        for packet in _received(self._sock):
            body = packet[(packet[0] & 15) * 4 :] if self._sock.family == socket.AF_INET else packet
            mine = self._identifier.to_bytes(2, "big")
            found |= body[:1] == bytes([self._answer]) and body[4:6] == mine
        return found

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()


def answers(make: Callable[[], Gateway | Echo]) -> bool:
    """Whether somebody answers within a second or so."""
    try:
        somebody = make()
    except OSError:
        return False
    poller = select.poll()
    poller.register(somebody.fileno(), select.POLLIN)
    try:
        for _ in range(ATTEMPTS):
            somebody.ask()
            deadline = time.monotonic() + ATTEMPT_SECONDS
            while (left := deadline - time.monotonic()) > 0:
                if poller.poll(left * 1000) and somebody.has_answered():
                    return True
    except OSError:
        return False
    finally:
        somebody.close()
    return False


def _received(sock: socket.socket) -> list[bytes]:
    found: list[bytes] = []
    with contextlib.suppress(OSError):
        while True:
            found.append(sock.recv(65536))
    return found


def _nearest(address: str, sources: Sequence[str]) -> bytes:
    """The source address in whose network an address lies, else the first of its version."""
    target = ipaddress.ip_address(address)
    own = [each for each in map(ipaddress.ip_interface, sources) if each.version == target.version]
    near = next((each for each in own if target in each.network), own[0] if own else None)
    unspecified = bytes(len(target.packed))
    return near.ip.packed if near is not None else unspecified
