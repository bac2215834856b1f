"""rtnetlink for many namespaces at once, on pyroute2's codecs.

pyroute2 knows every message and attribute; what it has beside them (an event loop, a cache, a
socket object a namespace) costs more than the messages themselves when five hundred namespaces
are configured in a row. So a plain socket, opened in the namespace that it is to serve, carries
messages that pyroute2's classes encode and decode, and a whole batch is acknowledged at once.

Source of the protocol: netlink(7), rtnetlink(7), include/uapi/linux/{netlink,rtnetlink}.h.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from linkspan.errors import Refusal
from linkspan.types import format_mac

_REQUEST, _ACK, _DUMP, _CREATE_EXCLUSIVELY = 0x1, 0x4, 0x300, 0x600
_ERROR, _DONE = 2, 3
_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_NEWADDR, _GETADDR = 20, 22
_NEWROUTE = 24
_NEWQDISC, _NEWTFILTER = 36, 44
_TC_H_CLSACT, _TC_H_INGRESS = 0xFFFFFFF1, 0xFFFFFFF2
_TCA_BPF_FLAG_ACT_DIRECT = 1
_ETH_P_ALL = 3
_IFF_UP = 0x1
_IFF_LOWER_UP = 0x10000
_IFA_F_NODAD = 0x02
_RTPROT_STATIC, _RT_TABLE_MAIN, _RTN_UNICAST = 4, 254, 1
_IN6_ADDR_GEN_MODE_NONE = 1

_HEADER: Final = struct.Struct("=LHHLL")
_BATCH_REQUESTS: Final = 64
"""Acknowledgements that wait for us at one time; the socket's queue has room for some 200."""


@dataclass(frozen=True, slots=True)
class Request:
    """One message to the kernel, and what it is for, in words for an error."""

    purpose: str
    message: Any


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface as the kernel reports it."""

    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    carrier: bool


def _message(kind: Any, number: int, flags: int, fields: dict[str, int], attributes: Any) -> Any:
    message = kind()
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message["header"]["type"] = number
    message["header"]["flags"] = _REQUEST | flags
    return message


def add_veth(name: str, peer: str, peer_network: int, mac: str) -> Request:
    """A veth pair: `name` here, `peer` with that MAC in the namespace of the descriptor."""
    far = {
        "attrs": [
            ("IFLA_IFNAME", peer),
            ("IFLA_ADDRESS", mac),
            ("IFLA_NET_NS_FD", peer_network),
        ]
    }
    info = {
        "attrs": [
            ("IFLA_INFO_KIND", "veth"),
            ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", far)]}),
        ]
    }
    attributes = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", info)]
    message = _message(ifinfmsg, _NEWLINK, _ACK | _CREATE_EXCLUSIVELY, {}, attributes)
    return Request(f"make the veth pair {name} - {peer}", message)


def set_link(
    name: str,
    *,
    up: bool | None = None,
    mac: str | None = None,
    mtu: int | None = None,
    alias: str | None = None,
    queue: int | None = None,
) -> Request:
    """Change an interface of this namespace; `queue` is its transmit queue in frames."""
    attributes: list[tuple[str, object]] = [("IFLA_IFNAME", name)]
    attributes += [
        (attribute, value)
        for attribute, value in (
            ("IFLA_ADDRESS", mac),
            ("IFLA_MTU", mtu),
            ("IFLA_IFALIAS", alias),
            ("IFLA_TXQLEN", queue),
        )
        if value is not None
    ]
    fields = {} if up is None else {"flags": _IFF_UP if up else 0, "change": _IFF_UP}
    return Request(f"set up {name}", _message(ifinfmsg, _NEWLINK, _ACK, fields, attributes))


def without_ipv6_address(name: str) -> Request:
    """Keep the kernel from giving an interface a link-local address (a port has none)."""
    family = {
        "attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", _IN6_ADDR_GEN_MODE_NONE)]})]
    }
    attributes = [("IFLA_IFNAME", name), ("IFLA_AF_SPEC", family)]
    message = _message(ifinfmsg, _NEWLINK, _ACK, {"family": socket.AF_UNSPEC}, attributes)
    return Request(f"set the address mode of {name}", message)


def delete_link(name: str) -> Request:
    """Delete an interface of this namespace."""
    message = _message(ifinfmsg, _DELLINK, _ACK, {}, [("IFLA_IFNAME", name)])
    return Request(f"delete {name}", message)


def add_address(index: int, address: str) -> Request:
    """Give an interface an address such as 192.168.57.1/24.

    Duplicate address detection is left out for IPv6: addresses of one file are known to differ,
    and a node is to answer as soon as `up` returns.
    """
    interface = ipaddress.ip_interface(address)
    attributes: list[tuple[str, object]] = [
        ("IFA_LOCAL", str(interface.ip)),
        ("IFA_ADDRESS", str(interface.ip)),
    ]
    network = interface.network
    if interface.version == 4 and network.prefixlen < 31:
        attributes.append(("IFA_BROADCAST", str(network.broadcast_address)))
    fields = {
        "family": socket.AF_INET if interface.version == 4 else socket.AF_INET6,
        "prefixlen": network.prefixlen,
        "index": index,
        "flags": 0 if interface.version == 4 else _IFA_F_NODAD,
    }
    message = _message(ifaddrmsg, _NEWADDR, _ACK | _CREATE_EXCLUSIVELY, fields, attributes)
    return Request(f"add the address {address}", message)


def add_default_route(gateway: str) -> Request:
    """Send everything else through a gateway."""
    family = socket.AF_INET if ipaddress.ip_address(gateway).version == 4 else socket.AF_INET6
    fields = {
        "family": family,
        "table": _RT_TABLE_MAIN,
        "proto": _RTPROT_STATIC,
        "type": _RTN_UNICAST,
    }
    message = _message(
        rtmsg, _NEWROUTE, _ACK | _CREATE_EXCLUSIVELY, fields, [("RTA_GATEWAY", gateway)]
    )
    return Request(f"add the default route through {gateway}", message)


def attach_program(index: int, program: int, name: str) -> list[Request]:
    """Run a tc program (by descriptor) on every frame that comes in by an interface, and let it
    decide what becomes of it (clsact, direct action; tc-bpf(8)).
    """
    queue = _message(
        tcmsg,
        _NEWQDISC,
        _ACK | _CREATE_EXCLUSIVELY,
        {"index": index, "handle": 0xFFFF0000, "parent": _TC_H_CLSACT},
        [("TCA_KIND", "clsact")],
    )
    options = {
        "attrs": [
            ("TCA_BPF_FD", program),
            ("TCA_BPF_NAME", name),
            ("TCA_BPF_FLAGS", _TCA_BPF_FLAG_ACT_DIRECT),
        ]
    }
    program_filter = _message(
        tcmsg,
        _NEWTFILTER,
        _ACK | _CREATE_EXCLUSIVELY,
        {
            "index": index,
            "handle": 0,
            "parent": _TC_H_INGRESS,
            "info": 1 << 16 | socket.htons(_ETH_P_ALL),
        },
        [("TCA_KIND", "bpf"), ("TCA_OPTIONS", options)],
    )
    return [
        Request("add a clsact qdisc", queue),
        Request(f"attach the program {name}", program_filter),
    ]


class Netlink:
    """A netlink socket of the network namespace in which it was opened."""

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._sock.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def run(self, requests: Sequence[Request]) -> None:
        """Carry out requests in order. Raises Refusal at the first that the kernel refuses; of
        those behind it some may have been carried out.
        """
        for start in range(0, len(requests), _BATCH_REQUESTS):
            self._carry_out(requests[start : start + _BATCH_REQUESTS])

    def _encode(self, message: Any) -> bytes:
        self._sequence += 1
        message["header"]["sequence_number"] = self._sequence
        message.encode()
        return bytes(message.data)

    def _carry_out(self, batch: Sequence[Request]) -> None:
        data = b""
        purposes: dict[int, str] = {}
        for request in batch:
            data += self._encode(request.message)
            purposes[self._sequence] = request.purpose
        self._sock.send(data)
        refusals: list[str] = []
        while purposes:
            for number, sequence, body in self._messages():
                if number == _ERROR and sequence in purposes:
                    purpose = purposes.pop(sequence)
                    (code,) = struct.unpack_from("=i", body)
                    if code:
                        refusals.append(f"the kernel refuses to {purpose}: {os.strerror(-code)}")
        if refusals:
            raise Refusal(refusals[0])

    def _messages(self) -> Iterator[tuple[int, int, bytes]]:
        received = self._sock.recv(1 << 18)
        offset = 0
        while offset + _HEADER.size <= len(received):
            length, number, _flags, sequence, _pid = _HEADER.unpack_from(received, offset)
            yield number, sequence, received[offset + _HEADER.size : offset + length]
            offset += (length + 3) & ~3

    def _dump(self, kind: Any, number: int) -> Iterator[Any]:
        self._sock.send(self._encode(_message(kind, number, _DUMP, {}, [])))
        while True:
            received = self._sock.recv(1 << 18)
            offset = 0
            while offset + _HEADER.size <= len(received):
                length, found, *_rest = _HEADER.unpack_from(received, offset)
                if found == _DONE:
                    return
                if found == _ERROR:
                    (code,) = struct.unpack_from("=i", received, offset + _HEADER.size)
                    raise Refusal(f"the kernel refuses to list: {os.strerror(-code)}")
                message = kind(received[offset : offset + length])
                message.decode()
                yield message
                offset += (length + 3) & ~3

    def index(self, name: str) -> int:
        """The number of an interface. Raises OSError when there is none of that name.

        if_nametoindex(3) asks the namespace that the process is in, which is this socket's.
        """
        return socket.if_nametoindex(name)

    def interfaces(self) -> list[Interface]:
        """All interfaces of the namespace."""
        return [
            Interface(
                index=message["index"],
                name=message.get_attr("IFLA_IFNAME"),
                mac=message.get_attr("IFLA_ADDRESS") or format_mac(bytes(6)),
                mtu=message.get_attr("IFLA_MTU"),
                up=bool(message["flags"] & _IFF_UP),
                carrier=bool(message["flags"] & _IFF_LOWER_UP),
            )
            for message in self._dump(ifinfmsg, _GETLINK)
        ]

    def addresses(self) -> dict[int, list[str]]:
        """Addresses with prefix length by interface index, in the kernel's order."""
        found: dict[int, list[str]] = {}
        for message in self._dump(ifaddrmsg, _GETADDR):
            address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            found.setdefault(message["index"], []).append(f"{address}/{message['prefixlen']}")
        return found
