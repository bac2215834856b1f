"""A machine with one network card on a LAN: a switch, a gateway, a remote client.

The machine is a `Machine` (what linkspan takes for the host); its eth0 is a veth whose other end is
a port of a bridge of the kernel in a namespace of its own, which plays the LAN's switch:

    host: eth0 10.9.0.2/24 ── sw ─┬─ gateway 10.9.0.1, behind it 198.51.100.1
                                  └─ client 10.9.0.9

What somebody could notice of a change is held on to: TCP sessions that never rest, and all that
ip(8) and /proc/sys say of the card.
"""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.engine.networks import namespace
from tests.machine import Machine, linkspan_command, wait_until

from linkspan.sandbox.namespaces import inside
from linkspan.types import Mac, format_mac
from linkspan.wire.formats import BadFormat
from linkspan.wire.probe import parse_resolved, resolve_request

HOST, GATEWAY, CLIENT, BEHIND = "10.9.0.2", "10.9.0.1", "10.9.0.9", "198.51.100.1"
HOST6, GATEWAY6, CLIENT6 = "fd09::2", "fd09::1", "fd09::9"
SLEEP = "86399"
HOST_MAC = "52:54:00:09:00:02"

CARD = f"""
link set lo up
addr add {HOST}/24 dev eth0
addr add 10.9.0.22/24 dev eth0 label eth0:two
addr add 10.77.0.1/30 brd + dev eth0 noprefixroute
addr add 10.78.0.1 peer 10.78.0.2/32 dev eth0
addr add {HOST6}/64 dev eth0 nodad
addr add fd09::22/64 dev eth0 nodad
route add default via {GATEWAY} dev eth0 metric 100 proto static
route add 203.0.113.0/24 via {GATEWAY} dev eth0 src 10.9.0.22 mtu 1400
route add 192.0.2.0/24 via 10.55.0.1 dev eth0 onlink
route add 10.77.0.0/30 dev eth0 proto kernel scope link src 10.77.0.1 metric 50
route add default via {GATEWAY} dev eth0 table 100
-6 route add default via {GATEWAY6} dev eth0 metric 512
-6 route add 2001:db8::/32 via {GATEWAY6} dev eth0 pref high
rule add from 10.9.0.22 table 100
"""


class Lan:
    """The LAN, and what the machine looks like from there and from itself."""

    def __init__(self, machine: Machine, owned: ExitStack) -> None:
        self.machine = machine
        self.owned = owned
        self.host = machine.network
        self.switch = owned.enter_context(namespace())
        self.gateway = owned.enter_context(namespace(ipv6=True))
        self.client = owned.enter_context(namespace(ipv6=True))
        ip(self.switch, "link add sw type bridge", "link set sw up")
        self._join("gateway", self.gateway, "eth0")
        self._join("client", self.client, "eth0")
        self._join("host", self.host, "eth0", f"address {HOST_MAC}")
        ip(
            self.gateway,
            "link set lo up",
            f"addr add {GATEWAY}/24 dev eth0",
            f"addr add {GATEWAY6}/64 dev eth0 nodad",
            f"addr add {BEHIND}/32 dev lo",
        )
        ip(
            self.client,
            "link set lo up",
            f"addr add {CLIENT}/24 dev eth0",
            f"addr add {CLIENT6}/64 dev eth0 nodad",
        )
        ip(self.host, *CARD.strip().splitlines())
        # From now on whatever differs was made by what the test did.
        wait_until(lambda: "tentative" not in ip(self.host, "-6 addr"))
        machine.before = machine.traces()
        self.before = self.look()

    def _join(self, name: str, network: int, interface: str, more: str = "") -> None:
        place = f"/proc/{os.getpid()}/fd/{network}"
        ip(
            self.switch,
            f"link add {name} type veth peer name {interface} {more} netns {place}",
            f"link set {name} master sw up",
        )
        ip(network, f"link set {interface} up")

    def cut(self, name: str) -> None:
        """Pull the cable of `gateway`, `client` or `host` out of the switch."""
        ip(self.switch, f"link set {name} down")

    def mend(self, name: str) -> None:
        """Put it back in."""
        ip(self.switch, f"link set {name} up")

    def send_from_gateway(self, frame: bytes) -> None:
        """Send a frame from the gateway's card."""
        with inside(self.gateway):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sock.bind(("eth0", 0))
        with sock:
            sock.send(frame)

    def look(self) -> str:
        """All that there is to say of the machine's network, but for what passes by itself."""
        parts = [
            ip(self.host, "-j addr show"),
            ip(self.host, "-j -d link show"),
            ip(self.host, "-j -4 route show table all"),
            ip(self.host, "-j -6 route show table all"),
            ip(self.host, "-j rule"),
            run(self.host, "tc", "-j", "qdisc", "show"),
        ]
        settings = run(self.host, "sysctl", "-a", "--pattern", r"^net\.ipv[46]\.conf\.eth0\.")
        return "\n".join([*map(_plain, parts), settings])

    def assert_as_before(self) -> None:
        """The machine's network is what it was, byte for byte, or will be in a moment."""
        wait_until(lambda: self.look() == self.before, self.difference)

    def difference(self) -> str:
        """What differs now, a line each."""
        lines = difflib.unified_diff(
            self.before.splitlines(), self.look().splitlines(), lineterm="", n=0
        )
        return "\n".join(line[:400] for line in lines)

    def connect(self, client: int, address: str, server: int | None = None) -> Session:
        """A TCP session from somewhere to an address of the machine, or of another server."""
        there = self.host if server is None else server
        return self.owned.enter_context(Session(client, there, address))

    def sessions(self) -> list[Session]:
        """Sessions with the machine's addresses, old and new IP, from near and from afar."""
        return [
            self.connect(self.client, HOST),
            self.connect(self.client, HOST6),
            self.connect(self.gateway, "10.9.0.22"),
            Session.from_address(self, self.gateway, BEHIND, HOST),
        ]

    def container(self, node: str) -> int:
        """The network namespace of a node of the machine's lab."""
        command = linkspan_command("exec", node, "--", "sleep", SLEEP)
        sleeper = self.machine.start(command)
        self.owned.callback(sleeper.wait)
        self.owned.callback(sleeper.kill)
        wait_until(self._sleepers)
        (process,) = self._sleepers()
        descriptor = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
        self.owned.callback(os.close, descriptor)
        return descriptor

    def _sleepers(self) -> list[int]:
        processes = self.machine.processes().items()
        return [process for process, line in processes if line.strip() == f"sleep {SLEEP}"]

    def who_has(self, address: str) -> list[str]:
        """The MACs that answer one question of the client's for an address, in a second."""
        target = ipaddress.ip_address(address).packed
        source = ipaddress.ip_address(CLIENT6 if ":" in address else CLIENT).packed
        found = []
        with inside(self.client):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        with sock:
            with inside(self.client):
                sock.bind(("eth0", 3))
            sock.settimeout(0.1)
            sock.send(resolve_request(Mac(sock.getsockname()[4]), source, target))
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError, BadFormat):
                    answer = parse_resolved(sock.recv(2048))
                    if answer.address == target:
                        found.append(format_mac(answer.mac))
        return found

    def listen_for_announcements(self) -> socket.socket:
        """A socket on the client's card that hears whatever comes there."""
        with inside(self.client):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            sock.bind(("eth0", 3))
        sock.settimeout(0.1)
        return self.owned.enter_context(sock)


def _plain(text: str) -> str:
    """JSON, an object a line, without counters, timers and times."""
    lines = []
    for value in json.loads(text):
        if isinstance(value, dict) and value.get("ifname") == "lo":
            continue
        lines.append(json.dumps(_without(value), sort_keys=True))
    return "\n".join(lines)


_PASSING = ("valid_life_time", "preferred_life_time", "gc_timer", "expires", "bytes", "packets")


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner) for key, inner in value.items() if key not in _PASSING}
    return [_without(inner) for inner in value] if isinstance(value, list) else value


class Session:
    """A TCP session whose two ends talk all the time: what is sent comes back, in order."""

    def __init__(self, client: int, server: int, address: str, source: str = "") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with inside(server), socket.socket(family) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((address, 0))
            listening.listen()
            port = listening.getsockname()[1]
            with inside(client):
                self._near = socket.socket(family)
            self._near.settimeout(20)
            if source:
                self._near.bind((source, 0))
            self._near.connect((address, port))
            self._far, _ = listening.accept()
        self._far.settimeout(20)
        self.rounds = 0
        self._error: BaseException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._talk)

    @classmethod
    def from_address(cls, lan: Lan, client: int, source: str, address: str) -> Session:
        """A session from an address behind the gateway: the way back is the default route."""
        return lan.owned.enter_context(cls(client, lan.host, address, source))

    def __enter__(self) -> Session:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session."""
        self._ended.set()
        self._thread.join()
        self._near.close()
        self._far.close()

    def _talk(self) -> None:
        try:
            while not self._ended.wait(0.002):
                for sender, receiver in ((self._near, self._far), (self._far, self._near)):
                    data = self.rounds.to_bytes(4, "big") * 64
                    sender.sendall(data)
                    got = b""
                    while len(got) < len(data):
                        part = receiver.recv(len(data) - len(got))
                        assert part, "the session ended"
                        got += part
                    assert got == data
                self.rounds += 1
        except BaseException as error:
            self._error = error

    def check(self) -> None:
        """The session goes on: it gets further now."""
        start = self.rounds
        wait_until(
            lambda: self.rounds > start + 5 or self._error is not None,
            lambda: f"the session stands still at round {self.rounds}",
        )
        assert self._error is None, repr(self._error)


def run(network: int, *arguments: str) -> str:
    """Run a program in a network namespace; its output."""
    done = subprocess.run(
        ["nsenter", f"--net=/proc/self/fd/{network}", *arguments],
        pass_fds=(network,),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def ip(network: int, *commands: str) -> str:
    """Carry out commands of ip(8) in a network namespace."""
    return "".join(run(network, "ip", *command.split()) for command in commands)


@contextmanager
def lan(machine: Machine) -> Iterator[Lan]:
    """A LAN for a machine."""
    with ExitStack() as owned:
        yield Lan(machine, owned)
