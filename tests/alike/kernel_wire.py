"""The kernel's bridge between taps of the test's own, in a namespace that only the test holds.

A frame written to a tap has gone all its way when write(2) returns: `tun_get_user` hands it to
`netif_receive_skb`, the bridge to the egress taps' queues. Nothing has to be waited for there. An
interface's carrier and the state of its port are told on by a kernel worker; asking for the link
(ETHTOOL_GLINK) makes the kernel do that at once (`linkwatch_sync_dev`).

What goes up to the host's stack is heard by a packet socket on the bridge. The stacks of the ports
get frames of their own, to 01:80:c2:00:00:0X: packet sockets for one protocol each stand behind
the bridge's hook and hear just these. They count as deliveries to the host (docs/alike.md).
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import select
import socket
import struct
import time
from contextlib import ExitStack, closing
from typing import Final

from tests.alike import bridge_netlink
from tests.alike.sockets import ETH_P_ALL, LARGEST, WireSocket
from tests.alike.wire import (
    BRIDGE_MAC,
    DEFAULT_MTU,
    HOST,
    AddEntry,
    AddPort,
    DeleteEntry,
    Deliveries,
    FdbLines,
    Flush,
    LetAge,
    Operation,
    Refused,
    RemovePort,
    SetAgeing,
    SetBridgeMac,
    SetBridgeUp,
    SetCarrier,
    SetMask,
    SetMaxLearned,
    SetOption,
    SetPortUp,
    SetState,
    Wire,
    port_mac,
)
from tests.engine.networks import namespace
from tests.machine import wait_until

from linkspan.bridge.fdb import EntryKind
from linkspan.engine.kernel import messages
from linkspan.engine.kernel.netfilter import keep_from_netfilter
from linkspan.engine.netlink import Netlink, Request, set_link
from linkspan.engine.user.devices import VNET_HEADER_BYTES, open_tap
from linkspan.errors import Refusal
from linkspan.model.options import Plain
from linkspan.sandbox.namespaces import inside
from linkspan.types import format_mac

STACK_TYPES: Final = (
    0x0004, 0x0800, 0x0806, 0x8035, 0x8100, 0x8808, 0x8809, 0x86DD, 0x88A8, 0x88B5, 0x88CC,
)  # fmt: skip
"""Protocols that the stacks of the ports are listened to for; 4 is that of frames with a length."""

_TUNSETCARRIER = 0x400454E2
_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0x0A
_NO_OFFLOAD: Final = bytes(VNET_HEADER_BYTES)
_SOON = 0.01
"""Seconds; the shortest ageing time."""
_HOST_MTU = 65535


class KernelWire(Wire):
    """A bridge of the kernel. Needs root and /dev/net/tun."""

    def __init__(
        self, ports: tuple[str, ...], tells_stacks_apart: bool = False, **options: Plain
    ) -> None:
        """`options` are of the bridge, beside those that no comparison works without."""
        super().__init__(ports)
        self.tells_stacks_apart = tells_stacks_apart
        self._owned = ExitStack()
        try:
            self._open(ports, options)
        except BaseException:
            self._owned.close()
            raise

    def _open(self, ports: tuple[str, ...], options: dict[str, Plain]) -> None:
        with inside(self._owned.enter_context(namespace())):
            keep_from_netfilter()
            self._netlink = self._owned.enter_context(Netlink())
            self._dumps = self._owned.enter_context(
                socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            )
            self._asking = self._owned.enter_context(socket.socket(socket.AF_INET))
            self._taps = {port: open_tap(port) for port in ports}
            for tap in self._taps.values():
                self._owned.callback(os.close, tap)
            chosen = {"multicast_snooping": False, **options}
            self._joins = chosen["multicast_snooping"]
            self._netlink.run([messages.add_bridge("br0", format_mac(BRIDGE_MAC), chosen)])
            self._index = {name: socket.if_nametoindex(name) for name in ("br0", *ports)}
            self._netlink.run(
                [
                    request
                    for port in ports
                    for request in (
                        set_link(port, mac=format_mac(port_mac(port)), mtu=DEFAULT_MTU, up=True),
                        messages.set_master(port, self._index["br0"]),
                    )
                ]
                + [set_link("br0", up=True, mtu=_HOST_MTU)]
            )
            self._host = self._hear("br0")
            heard = [self._hear(None, kind) for kind in STACK_TYPES]
            self._stacks = {sock.fileno(): sock for sock in heard}
        self._names = {index: name for name, index in self._index.items()}
        self._names[self._index["br0"]] = HOST
        self._ports = {tap: port for port, tap in self._taps.items()}
        self._poll = select.epoll()
        self._owned.callback(self._poll.close)
        for descriptor in (*self._ports, *self._stacks, self._host.fileno()):
            self._poll.register(descriptor, select.EPOLLIN)
        self._synchronise()

    def _hear(self, interface: str | None, kind: int = ETH_P_ALL) -> WireSocket:
        return self._owned.enter_context(closing(WireSocket(interface, kind)))

    # frames

    def send(self, port: str, frame: bytes) -> Deliveries:
        try:
            if port == HOST:
                self._host.send(frame)
            else:
                os.write(self._taps[port], _NO_OFFLOAD + frame)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOBUFS):
                raise
        return self.receive(frame)

    def receive(self, sent: bytes = b"") -> Deliveries:
        """What has been delivered and not been fetched so far, but for what the bridge says by
        itself: with snooping its stack joins the group of all snoopers, and says so again later.
        """
        found: Deliveries = {}
        while ready := self._poll.poll(0):
            for descriptor, _ in ready:
                if (port := self._ports.get(descriptor)) is not None:
                    frame = os.read(descriptor, LARGEST)[VNET_HEADER_BYTES:]
                    if not self._joins or frame[6:12] != BRIDGE_MAC or sent[6:12] == BRIDGE_MAC:
                        found.setdefault(port, []).append(frame)
                elif descriptor == self._host.fileno():
                    if (heard := self._host.receive()) is not None:
                        found.setdefault(HOST, []).append(heard[0])
                else:
                    self._hear_stack(self._stacks[descriptor], sent, found)
        return found

    def _hear_stack(self, sock: WireSocket, sent: bytes, found: Deliveries) -> None:
        """A frame that a port's own stack got, which is told of tags that the kernel took off."""
        heard = sock.receive()
        if heard is None or heard[1] not in self.links.members:
            return
        frame, port = heard
        whole = frame[:12] == sent[:12] and sent[12:].endswith(frame[12:])
        if self.tells_stacks_apart:
            found.setdefault(f"stack of {port}", []).append(sent if whole else frame)
        elif self.links.bridge_up:
            found.setdefault(HOST, []).append(sent if whole else frame)

    # operations

    def run(self, operation: Operation) -> None:
        try:
            if isinstance(operation, SetCarrier):
                value = array.array("i", [operation.carrier])
                fcntl.ioctl(self._taps[operation.port], _TUNSETCARRIER, value)
            else:
                self._netlink.run(self._requests(operation))
        except Refusal as error:
            raise Refused(str(error)) from None

    def _requests(self, operation: Operation) -> list[Request]:
        match operation:
            case AddEntry(mac, port, kind):
                return [bridge_netlink.put_entry(*self._place(port), mac, kind)]
            case DeleteEntry(mac, port):
                return [bridge_netlink.delete_entry(*self._place(port), mac)]
            case SetOption(port, "mtu", value):
                return [set_link(port, mtu=value)]
            case SetOption(port, name, value):
                return [messages.set_port(port, {name: value})]
            case SetMask(mask):
                return messages.set_bridge("br0", {"group_fwd_mask": mask})
            case SetAgeing(seconds):
                return messages.set_bridge("br0", {"ageing_time": seconds})
            case LetAge():
                return messages.set_bridge("br0", {"ageing_time": min(self.ageing_time, _SOON)})
            case Flush(None):
                return [bridge_netlink.flush_bridge("br0")]
            case Flush(str(port)):
                return [bridge_netlink.flush_port(port)]
            case SetPortUp(port, up):
                return [set_link(port, up=up)]
            case SetState(port, state):
                return [bridge_netlink.set_state(port, state)]
            case SetBridgeUp(up):
                return [set_link("br0", up=up)]
            case SetBridgeMac(mac):
                return [set_link("br0", mac=format_mac(mac))]
            case SetMaxLearned(most):
                return messages.set_bridge("br0", {"fdb_max_learned": most})
            case RemovePort(port):
                return [messages.set_master(port, None)]
            case AddPort(port):
                return [messages.set_master(port, self._index["br0"])]
        raise AssertionError(f"no request for {operation}")

    def _place(self, port: str) -> tuple[int, bool]:
        """Number of the interface, and whether it is the bridge itself."""
        return self._index["br0" if port == HOST else port], port == HOST

    def settle(self, operation: Operation) -> None:
        match operation:
            case SetPortUp() | SetCarrier() | SetBridgeUp() | AddPort() | RemovePort():
                self._synchronise()
                self.receive()
            case LetAge():
                wait_until(self._has_forgotten)
                self._netlink.run(self._requests(SetAgeing(self.ageing_time)))
            case SetAgeing(0):
                wait_until(self._has_forgotten)

    def _has_forgotten(self) -> bool:
        time.sleep(0.005)
        return all(kind != EntryKind.LEARNED.value for _, kind in self.fdb().values())

    def _synchronise(self) -> None:
        """Let every interface's carrier be known to the bridge, and the bridge's to its users."""
        for name in (*self.ports, "br0"):
            question = array.array("I", [_ETHTOOL_GLINK, 0])
            address, _ = question.buffer_info()
            asked = struct.pack("16sP16x", name.encode(), address)
            fcntl.ioctl(self._asking, _SIOCETHTOOL, asked)

    def fdb(self) -> FdbLines:
        return {
            mac: (self._names[index], kind.value)
            for mac, index, kind in bridge_netlink.entries(self._dumps, self._index["br0"])
        }

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        self._owned.close()
