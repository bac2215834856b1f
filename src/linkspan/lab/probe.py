"""Who can reach whom: an ICMP echo from every node to every address, and ARP where that fails.

One process opens a raw socket in each node's namespace; what leaves it goes through that node's
own stack, routes and interface, like any program's traffic. All echoes are under way at once, a
few hundred at a time, and each is sent again once, since the first may be spent on resolving the
neighbour. Echoes that are under way together wait for each other, so the times come from a second
pass over those who were reached, one echo at a time. Where no reply comes to an IPv4 address on
the node's own network, ARP tells whether the neighbour is there at all: the difference between a
filter and a broken wire.
"""

from __future__ import annotations

import contextlib
import ipaddress
import selectors
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from linkspan.control.client import Client
from linkspan.control.descriptors import close_all
from linkspan.lab.find import Place
from linkspan.lab.leases import leased_addresses, leases
from linkspan.lab.machines import not_running
from linkspan.lab.neighbours import answers_arp
from linkspan.lab.observe import fetch_network, require_topology
from linkspan.model.snapshot import LeaseSnapshot, Reach
from linkspan.model.topology import HOST, Topology
from linkspan.sandbox import holder
from linkspan.sandbox.namespaces import inside
from linkspan.sandbox.syscalls import raise_descriptor_limit
from linkspan.sandbox.worker import run_inside
from linkspan.wire import icmp
from linkspan.wire.formats import BadFormat
from linkspan.wire.icmp import Echo, EchoType

TRIES: Final = 2
UNDER_WAY: Final = 256
"""Echoes waiting for a reply at one time."""

MEASURED: Final = 1000
"""Most echoes of the second pass; the others keep the time of the first."""

MEASURING_SECONDS: Final = 3.0
"""Longest time that the second pass takes."""

_DATA: Final = b"linkspan ping"

_KINDS: Final = {
    4: (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    6: (socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6),
}
_NO_ROUTE: Final = (101, 113)
"""ENETUNREACH, EHOSTUNREACH."""


@dataclass(slots=True)
class Probe:
    """One echo from a node to an address, and what came of it."""

    source: str
    destination: str
    address: str
    number: int
    tries: int = 0
    sent: float = 0.0
    result: str = ""
    milliseconds: float | None = None
    detail: str = ""

    def reach(self) -> Reach:
        return Reach(
            self.source,
            self.destination,
            self.address,
            self.result,
            self.milliseconds,
            self.detail,
        )


def ping(place: Place, timeout: float = 1.0) -> list[Reach]:
    """Probe all pairs of nodes of a running lab; `timeout` is in seconds for each echo.

    A node without an address can't be probed: the result says so. A virtual machine is probed and
    does not probe, since only its guest could.
    """
    topology = require_topology(place)
    lent = [lease for lease in leases(place) if lease.node and topology.is_machine(lease.node)]
    with holder.connect(place.folder) as init:
        _, lab = init.call_for_descriptors("fetch", name="lab")
        try:
            found = run_inside(lab, lambda: _probe(init, topology, lent, timeout))
        finally:
            close_all(lab)
        return _with_states(found, not_running(place.folder, init, topology))


def _with_states(found: Sequence[Reach], states: Mapping[str, str]) -> list[Reach]:
    """Answers, where there was none with what is known of the machine that was asked."""
    return [
        replace(reach, detail="; ".join(filter(None, [reach.detail, states[reach.destination]])))
        if reach.result == "no-reply" and reach.destination in states
        else reach
        for reach in found
    ]


def _probe(
    init: Client, topology: Topology, lent: Sequence[LeaseSnapshot], timeout: float
) -> list[Reach]:
    """`lent` are the leases of virtual machines, into which nobody can look."""
    owned = addresses(topology)
    for node, leased in leased_addresses(init, topology).items():
        owned[node] += leased
    for lease in lent:
        owned[str(lease.node)].append(lease.address)
    sources = [node for node in owned if not topology.is_machine(node)]
    return _Prober(init, owned, sources, timeout).run()


def addresses(topology: Topology) -> dict[str, list[str]]:
    """The nodes that take part and their addresses as the file has them. One that has no address
    and carries bridges, or nothing, is no more than what the others are wired to.
    """
    owned: dict[str, list[str]] = {HOST: [], **{name: [] for name in topology.nodes}}
    for bridge in topology.bridges.values():
        if bridge.up:
            owned[bridge.node] += [address.partition("/")[0] for address in bridge.address]
    for node, _, own in topology.stations():
        owned[node] += [address.partition("/")[0] for address in own]
    wiring = {HOST, *(bridge.node for bridge in topology.bridges.values())}
    wiring -= {node for node, _, port in topology.node_ports() if port.asks}
    return {node: own for node, own in owned.items() if own or node not in wiring}


@dataclass
class _Prober:
    init: Client
    owned: dict[str, list[str]]
    sources: list[str]
    timeout: float
    sockets: dict[tuple[str, int], socket.socket] = field(default_factory=dict)
    waiting: dict[int, Probe] = field(default_factory=dict)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> list[Reach]:
        raise_descriptor_limit()
        with contextlib.ExitStack() as stack:
            networks = {node: fetch_network(self.init, node) for node in self.sources}
            stack.callback(close_all, list(networks.values()))
            stack.callback(self.selector.close)
            for node, network in networks.items():
                with inside(network):
                    for version, kind in _KINDS.items():
                        sock = stack.enter_context(socket.socket(*kind))
                        sock.setblocking(False)
                        self.sockets[node, version] = sock
                        self.selector.register(sock, selectors.EVENT_READ)
            probes = list(self._probes())
            self._send_all([probe for probe in probes if not probe.result])
            self._measure([probe for probe in probes if probe.result == "reached"])
            _ask_neighbours(probes, networks, self.timeout)
            return [probe.reach() for probe in probes]

    def _probes(self) -> Iterator[Probe]:
        number = 0
        for source in self.sources:
            for destination, targets in self.owned.items():
                if source == destination:
                    continue
                if not targets:
                    yield Probe(source, destination, "", 0, result="no-address")
                for address in targets:
                    number += 1
                    yield Probe(source, destination, address, number)

    def _send_all(self, probes: Sequence[Probe]) -> None:
        todo = list(reversed(probes))
        while todo or self.waiting:
            while todo and len(self.waiting) < UNDER_WAY:
                self._send(todo.pop())
            if not self.waiting:
                continue
            for key, _ in self.selector.select(self._patience()):
                assert isinstance(key.fileobj, socket.socket)
                self._receive(key.fileobj)
            todo += self._overdue()

    def _measure(self, reached: Sequence[Probe]) -> None:
        """Take the time of one echo after the other, each under a number of its own."""
        end = time.perf_counter() + MEASURING_SECONDS
        first = max((probe.number for probe in reached), default=0) + 1
        for number, probe in enumerate(reached[:MEASURED], first):
            if time.perf_counter() > end:
                return
            alone = Probe(probe.source, probe.destination, probe.address, number)
            self._send_all([alone])
            if alone.result == "reached":
                probe.milliseconds = alone.milliseconds

    def _send(self, probe: Probe) -> None:
        version = ipaddress.ip_address(probe.address).version
        kind = EchoType.REQUEST if version == 4 else EchoType.REQUEST_V6
        sequence, identifier = probe.number & 0xFFFF, probe.number >> 16
        echo = Echo(kind, identifier, sequence, _DATA)
        probe.tries += 1
        probe.sent = time.perf_counter()
        try:
            self.sockets[probe.source, version].sendto(icmp.emit(echo), (probe.address, 0))
        except BlockingIOError:
            pass  # it is overdue in a moment and sent again
        except OSError as error:
            probe.result = "no-route" if error.errno in _NO_ROUTE else "error"
            probe.detail = error.strerror or ""
            return
        self.waiting[probe.number] = probe

    def _receive(self, sock: socket.socket) -> None:
        """Take every reply that is there. A raw IPv4 socket shows the IP header (raw(7))."""
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, peer = sock.recvfrom(2048)
                now = time.perf_counter()
                message = (
                    packet[(packet[0] & 15) * 4 :] if sock.family == socket.AF_INET else packet
                )
                try:
                    echo = icmp.parse(message)
                except BadFormat:
                    continue
                number = echo.identifier << 16 | echo.sequence
                probe = self.waiting.get(number)
                if echo.type.is_reply and probe is not None and _same(peer[0], probe.address):
                    del self.waiting[number]
                    probe.result = "reached"
                    probe.milliseconds = round((now - probe.sent) * 1000, 3)

    def _patience(self) -> float:
        first = min(probe.sent for probe in self.waiting.values())
        return max(0.0, first + self.timeout / TRIES - time.perf_counter())

    def _overdue(self) -> list[Probe]:
        """Take out what has waited long enough; what may be tried again is returned."""
        limit = time.perf_counter() - self.timeout / TRIES
        late = [probe for probe in self.waiting.values() if probe.sent <= limit]
        for probe in late:
            del self.waiting[probe.number]
            if probe.tries >= TRIES:
                probe.result = "no-reply"
        return [probe for probe in late if not probe.result]


def _same(one: str, other: str) -> bool:
    return ipaddress.ip_address(one.partition("%")[0]) == ipaddress.ip_address(other)


def _ask_neighbours(probes: Sequence[Probe], networks: dict[str, int], timeout: float) -> None:
    """Add to each unanswered IPv4 echo on a node's own network whether ARP was answered."""
    silent = [
        probe
        for probe in probes
        if probe.result == "no-reply" and ipaddress.ip_address(probe.address).version == 4
    ]
    for probe in silent[:UNDER_WAY]:
        with inside(networks[probe.source]):
            answer = answers_arp(probe.address, min(timeout, 0.3))
        if answer is not None:
            probe.detail = (
                f"ARP was {'answered, ICMP was not' if answer else 'not answered either'}"
            )
