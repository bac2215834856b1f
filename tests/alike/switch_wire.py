"""The real switch process, asked through its sockets, with and without the in-kernel cache.

Without it the ports are datagram sockets; with it they are veths whose other ends the test holds.
The host's port is a tap. A frame has gone all its way when the counters say that it came in: the
switch writes what it forwards before it answers, and what the kernel forwards by itself it counts
first. How many frames went out, and where, the counters say as well, so nothing is waited for that
does not come; a frame that nobody counted is found by the next step.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.alike.memory_wire import number_of
from tests.alike.sockets import LARGEST, WireSocket
from tests.alike.wire import (
    BRIDGE_MAC,
    DEFAULT_OPTIONS,
    HOST,
    AddEntry,
    DeleteEntry,
    Deliveries,
    FdbLines,
    Flush,
    Operation,
    Refused,
    Send,
    SetAgeing,
    SetBridgeUp,
    SetCarrier,
    SetMask,
    SetOption,
    SetPortUp,
    Step,
    Wire,
    port_mac,
)
from tests.engine.networks import configure, namespace, veth
from tests.engine.stations import DatagramPeer
from tests.engine.switch_process import Switch
from tests.machine import PATIENCE, wait_until

from linkspan.bridge.port import PortOptions
from linkspan.engine.netlink import set_link
from linkspan.engine.user.configuration import PortConfiguration, cache_key, upcall_key
from linkspan.engine.user.devices import open_tap
from linkspan.engine.user.load import LoadedCache
from linkspan.errors import Refusal
from linkspan.model.texts import LARGEST_MTU
from linkspan.sandbox.namespaces import inside
from linkspan.types import Mac, format_mac, parse_mac

ASKED: Final = (AddEntry, DeleteEntry, SetOption, SetMask, SetAgeing, Flush, SetBridgeUp)
"""Operations that the control socket knows."""

_SHORTEST = 18
"""Bytes of a frame that every kind of port takes."""

_PATIENCE_MILLISECONDS = 20_000

Counted: TypeAlias = dict[str, dict[str, Any]]


def is_comparable(step: Step) -> bool:
    """Whether a step can be taken with sockets as ports and have the outcome that it has with
    taps: the control socket leaves the bridge's own addresses alone, and sockets and veths have
    limits of their own to what they carry."""
    match step:
        case AddEntry(mac, port, kind):
            return port != HOST and kind.value in ("static", "sticky") and not _is_own(mac)
        case DeleteEntry(mac, _):
            return not _is_own(mac)
        case SetAgeing(seconds):
            return seconds > 0  # 0 takes effect with the next tick, which costs a second
        case SetCarrier():
            return False  # a veth without a carrier takes no frames either
        case Send(_, frame):
            return len(frame) >= _SHORTEST
    return True


def _is_own(mac: Mac) -> bool:
    return mac == BRIDGE_MAC or mac[:5] == port_mac("p1")[:5]


def _near_end(port: str) -> str:
    """The switch's end of the veth of a port."""
    return f"near-{port}"


class Station:
    """What stands behind a port: a datagram socket or a packet socket."""

    def __init__(self, sock: WireSocket | DatagramPeer) -> None:
        self.sock = sock
        self._poll = select.poll()
        self._poll.register(sock.sock if isinstance(sock, DatagramPeer) else sock, select.POLLIN)

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        self.sock.send(frame)

    def receive(self, wait: bool) -> bytes | None:
        """The next frame, if there is one or will be one."""
        if not self._poll.poll(_PATIENCE_MILLISECONDS if wait else 0):
            return None
        if isinstance(self.sock, DatagramPeer):
            return self.sock.sock.recv(LARGEST)
        heard = self.sock.receive()
        return None if heard is None else heard[0]


class SwitchWire(Wire):
    """A switch process. Needs root and /dev/net/tun; with the cache, a kernel that has it."""

    def __init__(self, ports: tuple[str, ...], folder: Path, has_cache: bool) -> None:
        super().__init__(ports)
        self.operations = (*ASKED, SetPortUp, SetCarrier) if has_cache else ASKED
        self.most_flows = 0
        """That were seen in the in-kernel cache at one time."""
        self._owned = ExitStack()
        try:
            self._open(ports, folder, has_cache)
        except BaseException:
            self._owned.close()
            raise

    def _open(self, ports: tuple[str, ...], folder: Path, has_cache: bool) -> None:
        options = {"mac": format_mac(BRIDGE_MAC), "cache": "on" if has_cache else "off: compared"}
        self._near = network = self._owned.enter_context(namespace())
        self._switch = self._owned.enter_context(Switch(folder, options))
        self._stations: dict[str, Station] = {}
        if has_cache:
            self._add_veths(ports, network)
        else:
            self._switch.dgram(*ports)
        self._switch.ports = [self._named(port.name, port) for port in self._switch.ports]
        self._add_host(network)
        with inside(network):  # whose interfaces it watches for their carrier
            self._switch.start()
        if not has_cache:
            for port in ports:
                self._stations[port] = Station(self._switch.dgram_peer(port))
        self._client = self._switch.client()
        self._counted = self._count()

    def _named(self, name: str, port: PortConfiguration) -> PortConfiguration:
        mac = format_mac(port_mac(name))
        return PortConfiguration(
            number=number_of(name),
            name=name,
            kind=port.kind,
            mac=mac,
            node=None,
            interface=None,
            options=DEFAULT_OPTIONS,
            ifindex=port.ifindex,
            to_peer=port.to_peer,
        )

    def _add_veths(self, ports: tuple[str, ...], network: int) -> None:
        self._far = far = self._owned.enter_context(namespace())
        with inside(network), closing(LoadedCache("upcall0")) as loaded:
            for port in ports:
                veth(network, _near_end(port), port, far, LARGEST_MTU)
                index = loaded.devices.add_device(number_of(port), _near_end(port))
                self._switch.ports.append(
                    PortConfiguration(
                        *(number_of(port), port, "veth", None, None, None),
                        DEFAULT_OPTIONS,
                        index,
                        to_peer=True,
                    )
                )
            loaded.devices.make_room(len(ports) + 1)
            self._switch.given[cache_key("br0")] = [os.dup(number) for number in loaded.maps]
            self._switch.given[upcall_key("br0")] = [os.dup(loaded.upcall)]
        with inside(far):
            for port in ports:
                self._stations[port] = self._station(port)

    def _station(self, interface: str) -> Station:
        return Station(self._owned.enter_context(closing(WireSocket(interface))))

    def _add_host(self, network: int) -> None:
        with inside(network):
            descriptor = open_tap("br0")
            host = PortConfiguration(0, HOST, "tap", None, None, None, PortOptions())
            self._switch.given[host.key("br0")] = [descriptor]
            self._switch.ports.append(host)
            configure(network, set_link("br0", up=True, mtu=LARGEST_MTU))
            self._stations[HOST] = self._station("br0")

    # frames

    def send(self, port: str, frame: bytes) -> Deliveries:
        before = self._counted
        self._stations[port].send(frame)
        deadline = time.monotonic() + PATIENCE
        while self._counted[port]["frames_in"] == before[port]["frames_in"]:
            self._counted = self._count()
            assert time.monotonic() < deadline, "the switch has not seen the frame"
        found: Deliveries = {}
        for name, counted in self._counted.items():
            due = counted["frames_out"] - before[name]["frames_out"]
            frames = [self._stations[name].receive(wait=True) for _ in range(due)]
            while (extra := self._stations[name].receive(wait=False)) is not None:
                frames.append(extra)
            if frames:
                found[name] = [one for one in frames if one is not None]
        return found

    def _count(self) -> Counted:
        ports: Counted = self._client.call("counters")["ports"]
        return ports

    # operations

    def run(self, operation: Operation) -> None:
        try:
            self._run(operation)
        except Refusal as error:
            raise Refused(str(error)) from None

    def _run(self, operation: Operation) -> None:
        call = self._client.call
        match operation:
            case AddEntry(mac, port, kind):
                call("fdb-add", mac=format_mac(mac), port=port, kind=kind.value)
            case DeleteEntry(mac, port):
                self._delete(mac, port)
            case SetOption(port, name, value):
                changed = value if name in ("mtu", "group_fwd_mask") else bool(value)
                call("options", port=port, options={name: changed})
            case SetMask(mask):
                call("bridge", options={"group_fwd_mask": mask})
            case SetAgeing(seconds):
                call("bridge", options={"ageing_time": seconds})
            case Flush(None):
                call("fdb-flush")
            case Flush(port):
                call("fdb-flush", port=port)
            case SetBridgeUp(up):
                call("bridge", options={"up": up})
            case SetPortUp(port, up):
                configure(self._near, set_link(_near_end(port), up=up))
            case SetCarrier(port, carrier):
                configure(self._far, set_link(port, up=carrier))
            case _:
                raise AssertionError(f"no request for {operation}")

    def _delete(self, mac: Mac, port: str) -> None:
        """Linux deletes an entry only from the port that it is behind."""
        known, _ = self.fdb().get(mac, ("", ""))
        if known != port:
            raise Refused("no such entry behind that port")
        self._client.call("fdb-delete", mac=format_mac(mac))

    def settle(self, operation: Operation) -> None:
        """What was acknowledged is in force; what an interface does is heard of."""
        if isinstance(operation, SetPortUp | SetCarrier):
            state = "forwarding" if self.links.is_live(operation.port) else "disabled"
            wait_until(lambda: self._state(operation.port) == state)

    def _state(self, port: str) -> str:
        ports = self._client.call("snapshot")["bridge"]["ports"]
        (found,) = [known["state"] for known in ports if known["name"] == port]
        return str(found)

    def fdb(self) -> FdbLines:
        bridge = self._client.call("snapshot")["bridge"]
        self.most_flows = max(self.most_flows, bridge["flows"])
        return {parse_mac(line["mac"]): (line["port"], line["kind"]) for line in bridge["fdb"]}

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        self._owned.close()
