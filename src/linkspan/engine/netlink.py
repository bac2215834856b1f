"""rtnetlink for many namespaces at once: requests in batches, on plain sockets.

pyroute2 knows every message and attribute; what it has beside them (an event loop, a cache, a
socket object a namespace) costs more than the messages themselves when five hundred namespaces
are configured in a row. So a plain socket, opened in the namespace that it is to serve, carries
messages that are packed by hand (`engine.packed`) or encoded by pyroute2's classes
(`engine.kernel.codec`), and a whole batch is acknowledged at once.

Source of the protocol: netlink(7), rtnetlink(7), include/uapi/linux/{netlink,rtnetlink}.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkspan.engine.packed import (
    HEADER,
    IFLA_IFNAME,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    INTERFACE,
    Packed,
    attribute,
    hardware,
    link_message,
    nest,
    veth_peer,
    whole,
    words,
)
from linkspan.engine.reading.dump import attributes, internet, native, text
from linkspan.errors import Refusal
from linkspan.types import format_mac

_DUMP = 0x300
_ACK, CREATE_EXCLUSIVELY, CREATE_OR_REPLACE, REPLACE = 0x4, 0x600, 0x500, 0x100
_ERROR, _DONE = 2, 3
_GONE: Final = (errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL)
NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_GETADDR = 22
_IFLA_ADDRESS, _IFA_ADDRESS, _IFA_LOCAL = 1, 1, 2
_ADDRESS: Final = struct.Struct("=BBBBI")
"""struct ifaddrmsg."""
_IFF_UP = 0x1
_IFLA_TXQLEN, _IFLA_IFALIAS, _IFLA_AF_SPEC, _IFLA_GROUP = 13, 20, 26, 27
_IFLA_INET6_ADDR_GEN_MODE = 8
_IFF_LOWER_UP = 0x10000
_IN6_ADDR_GEN_MODE_NONE = 1

_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_NLMSGERR_ATTR_MSG = 1
_CODE: Final = struct.Struct("=i")
_ANSWER_BYTES: Final = 1 << 15
"""More than the kernel says of one interface or one request."""

_BATCH_REQUESTS: Final = 64
"""Acknowledgements that wait for us at one time; the socket's queue has room for some 200."""


@dataclass(frozen=True, slots=True)
class Request:
    """One message to the kernel, and what it is for, in words for an error."""

    purpose: str
    message: Any
    may_be_gone: bool = False
    """Whether it is no error when what is to be deleted is gone already."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface as the kernel reports it."""

    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    carrier: bool


def add_veth(name: str, peer: str, peer_network: int, mac: str) -> Request:
    """A veth pair: `name` here, `peer` with that MAC in the namespace of the descriptor."""
    far = veth_peer(words(IFLA_IFNAME, peer), hardware(mac), whole(IFLA_NET_NS_FD, peer_network))
    message = link_message(NEWLINK, CREATE_EXCLUSIVELY, words(IFLA_IFNAME, name), far)
    return Request(f"make the veth pair {name} - {peer}", message)


def set_link(
    name: str,
    *,
    up: bool | None = None,
    mac: str | None = None,
    mtu: int | None = None,
    alias: str | None = None,
    queue: int | None = None,
    group: int | None = None,
) -> Request:
    """Change an interface of this namespace; `queue` is its transmit queue in frames, `group` the
    number of the interfaces that are changed or deleted with it.
    """
    parts = [words(IFLA_IFNAME, name)]
    if mac is not None:
        parts.append(hardware(mac))
    if mtu is not None:
        parts.append(whole(IFLA_MTU, mtu))
    if alias is not None:
        parts.append(words(_IFLA_IFALIAS, alias))
    if queue is not None:
        parts.append(whole(_IFLA_TXQLEN, queue))
    if group is not None:
        parts.append(whole(_IFLA_GROUP, group))
    return Request(f"set up {name}", link_message(NEWLINK, 0, *parts, up=up))


def without_ipv6_address(name: str) -> Request:
    """Keep the kernel from giving an interface a link-local address (a port has none)."""
    mode = attribute(_IFLA_INET6_ADDR_GEN_MODE, bytes([_IN6_ADDR_GEN_MODE_NONE]))
    family = nest(_IFLA_AF_SPEC, nest(socket.AF_INET6, mode))
    message = link_message(NEWLINK, 0, words(IFLA_IFNAME, name), family)
    return Request(f"set the address mode of {name}", message)


def delete_link(name: str) -> Request:
    """Delete an interface of this namespace."""
    return Request(f"delete {name}", link_message(_DELLINK, 0, words(IFLA_IFNAME, name)))


def delete_group(group: int) -> Request:
    """Delete all interfaces of this namespace that are in a group: the kernel waits once for all of
    them and not once for each (`rtnl_group_dellink`, net/core/rtnetlink.c).
    """
    message = link_message(_DELLINK, 0, whole(_IFLA_GROUP, group))
    return Request(f"delete the group {group:#x}", message)


class Netlink:
    """A netlink socket of the network namespace in which it was opened."""

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
            self._sock.setsockopt(_SOL_NETLINK, option, 1)
        self._sock.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def run(self, requests: Sequence[Request]) -> None:
        """Carry out requests in order. Raises Refusal at the first that the kernel refuses; of
        those behind it some may have been carried out.
        """
        for start in range(0, len(requests), _BATCH_REQUESTS):
            for refusal in self._carry_out(requests[start : start + _BATCH_REQUESTS]):
                if refusal is not None:
                    raise refusal

    def attempt(self, requests: Sequence[Request]) -> list[Refusal | None]:
        """Carry out requests in order, also those behind one that the kernel refuses; for each of
        them, the refusal.
        """
        return [
            refusal
            for start in range(0, len(requests), _BATCH_REQUESTS)
            for refusal in self._carry_out(requests[start : start + _BATCH_REQUESTS])
        ]

    def _encode(self, message: Any, flags: int = 0) -> bytes:
        """`message` as bytes, with these flags beside its own."""
        self._sequence += 1
        if isinstance(message, Packed):
            return message.encode(self._sequence, flags)
        message["header"]["sequence_number"] = self._sequence
        message["header"]["flags"] |= flags
        message.encode()
        return bytes(message.data)

    def _carry_out(self, batch: Sequence[Request]) -> list[Refusal | None]:
        """A batch in one system call. The last request alone is acknowledged; what the kernel
        refuses it says in any case, and before that (`netlink_rcv_skb`, net/netlink/af_netlink.c).
        """
        first, last = self._sequence + 1, self._sequence + len(batch)
        data = [self._encode(request.message) for request in batch[:-1]]
        self._sock.send(b"".join([*data, self._encode(batch[-1].message, _ACK)]))
        refusals: list[Refusal | None] = [None] * len(batch)
        while True:
            for number, sequence, body in self._messages():
                if number != _ERROR or not first <= sequence <= last:
                    continue
                request = batch[sequence - first]
                is_gone = request.may_be_gone and -_CODE.unpack_from(body)[0] in _GONE
                if not is_gone and (why := _refusal(body)):
                    text = f"the kernel refuses to {request.purpose}: {why}"
                    refusals[sequence - first] = Refusal(text)
                if sequence == last:
                    return refusals

    def _messages(self) -> Iterator[tuple[int, int, bytes]]:
        received = self._sock.recv(_ANSWER_BYTES)
        offset = 0
        while offset + HEADER.size <= len(received):
            length, number, _flags, sequence, _pid = HEADER.unpack_from(received, offset)
            yield number, sequence, received[offset + HEADER.size : offset + length]
            offset += (length + 3) & ~3

    def _dump(self, number: int, header: bytes) -> Iterator[bytes]:
        self._sock.send(self._encode(Packed(number, _DUMP, header)))
        while True:
            received = self._sock.recv(1 << 18)
            offset = 0
            while offset + HEADER.size <= len(received):
                length, found, *_rest = HEADER.unpack_from(received, offset)
                body = received[offset + HEADER.size : offset + length]
                if found == _DONE:
                    return
                if found == _ERROR:
                    raise Refusal(f"the kernel refuses to list: {_refusal(body)}")
                yield body
                offset += (length + 3) & ~3

    def link(self, which: str | int) -> bytes:
        """What the kernel says of an interface of this socket's namespace, by name or number:
        struct ifinfomsg and attributes. Raises Refusal when there is none.
        """
        if isinstance(which, int):
            message = link_message(_GETLINK, 0, index=which)
        else:
            message = link_message(_GETLINK, 0, words(IFLA_IFNAME, which))
        self._sock.send(self._encode(message))
        while True:
            for number, sequence, answer in self._messages():
                if sequence != self._sequence:
                    continue
                if number == _ERROR:
                    raise Refusal(f"no interface {which}: {_refusal(answer)}")
                return answer

    def index(self, name: str) -> int:
        """The number of an interface of this socket's namespace. Raises Refusal when there is none
        of that name.
        """
        return int(INTERFACE.unpack_from(self.link(name))[3])

    def interfaces(self) -> list[Interface]:
        """All interfaces of the namespace."""
        found: list[Interface] = []
        for answer in self._dump(_GETLINK, bytes(INTERFACE.size)):
            _, _, _, index, flags, _ = INTERFACE.unpack_from(answer)
            parts = attributes(answer, INTERFACE.size)
            found.append(
                Interface(
                    index=index,
                    name=text(parts[IFLA_IFNAME]),
                    mac=format_mac(parts.get(_IFLA_ADDRESS) or bytes(6)),
                    mtu=native(parts[IFLA_MTU]),
                    up=bool(flags & _IFF_UP),
                    carrier=bool(flags & _IFF_LOWER_UP),
                )
            )
        return found

    def addresses(self) -> dict[int, list[str]]:
        """Addresses with prefix length by interface index, in the kernel's order."""
        found: dict[int, list[str]] = {}
        for answer in self._dump(_GETADDR, bytes(_ADDRESS.size)):
            _, length, _, _, index = _ADDRESS.unpack_from(answer)
            parts = attributes(answer, _ADDRESS.size)
            address = internet(parts.get(_IFA_LOCAL) or parts[_IFA_ADDRESS])
            found.setdefault(index, []).append(f"{address}/{length}")
        return found


def _refusal(body: bytes) -> str:
    """Why, in an acknowledgement: what the error is called, and the kernel's own words where it
    has some (extended acknowledgement, without the request in it); nothing when all is well.
    """
    (code,) = _CODE.unpack_from(body)
    if not code:
        return ""
    said = attributes(body, _CODE.size + HEADER.size).get(_NLMSGERR_ATTR_MSG)
    return os.strerror(-code) + (f" ({text(said)})" if said else "")
