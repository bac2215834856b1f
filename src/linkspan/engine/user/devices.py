"""Opening what a port reads and writes: taps, packet sockets, UNIX sockets.

Every descriptor made here carries frames with a virtio_net_hdr of ten bytes in front (vnet_hdr)
where the kernel offers it: a sender's TCP segment of up to 64 KiB then passes the switch whole,
with its checksum still to be filled in, and whoever needs it segmented segments it.

Sources: drivers/net/tun.c and include/uapi/linux/if_tun.h (tap), net/packet/af_packet.c and
packet(7) (packet sockets).
"""

from __future__ import annotations

import enum
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import Final

from linkspan.wire import vnet

_TUNSETIFF, _TUNSETOFFLOAD, _TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
_TUNGETIFF, _IFREQ_BYTES = 0x800454D2, 40
_IFF_TUN, _IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x0002, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4, _TUN_F_TSO6, _TUN_F_TSO_ECN = 0x01, 0x02, 0x04, 0x08
_TUN_F_USO4, _TUN_F_USO6 = 0x20, 0x40

_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_AUXDATA, _PACKET_VNET_HDR = 1, 8, 15
_PACKET_IGNORE_OUTGOING = 23
_PACKET_MR_PROMISC = 1
_ETH_P_ALL = 3
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33

VNET_HEADER_BYTES: Final = vnet.HEADER_BYTES

SOCKET_BUFFER_BYTES: Final = 8 << 20
"""Queue of a packet socket: about a hundred frames of 64 KiB, where the privilege allows it."""

TUN_DEVICE: Final = Path("/dev/net/tun")


class Direction(enum.Enum):
    """Which queue of a socket: its option for the privileged, and the one for all (socket(7))."""

    RECEIVE = (_SO_RCVBUFFORCE, socket.SO_RCVBUF)
    SEND = (_SO_SNDBUFFORCE, socket.SO_SNDBUF)


def open_tap(name: str) -> int:
    """Make the tap `name` in the current network namespace; returns its descriptor.

    The tap goes when the last duplicate of the descriptor is closed. Segmentation offload for UDP
    is asked for where the kernel has it (6.2 and later). Needs CAP_NET_ADMIN in the namespace.
    Raises OSError.
    """
    descriptor = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        fcntl.ioctl(descriptor, _TUNSETVNETHDRSZ, struct.pack("i", VNET_HEADER_BYTES))
        offloads = _TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_TSO6 | _TUN_F_TSO_ECN
        try:
            fcntl.ioctl(descriptor, _TUNSETOFFLOAD, offloads | _TUN_F_USO4 | _TUN_F_USO6)
        except OSError:
            fcntl.ioctl(descriptor, _TUNSETOFFLOAD, offloads)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_tun(name: str, with_header: bool) -> int:
    """Make the tun `name` in the current network namespace; returns its descriptor, which packets
    cross with struct tun_pi in front, or without.

    The tun goes when the last duplicate of the descriptor is closed. Raises OSError.
    """
    descriptor = os.open(TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        flags = _IFF_TUN | (0 if with_header else _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def may_open_tap() -> bool:
    """Whether /dev/net/tun can be opened by this process."""
    return os.access(TUN_DEVICE, os.R_OK | os.W_OK)


def open_packet_socket(interface: str) -> int:
    """A packet socket bound to an interface of the current network namespace.

    It is promiscuous and does not see its own transmissions (Linux 4.20). Needs CAP_NET_RAW in
    the namespace. Raises OSError.
    """
    # Protocol 0 receives nothing until bind() names the interface and all protocols at once.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        sock.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        sock.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        for direction in Direction:
            enlarge_buffer(sock, direction, SOCKET_BUFFER_BYTES)
        sock.bind((interface, _ETH_P_ALL))
        _make_promiscuous(sock, interface)
    except OSError:
        sock.close()
        raise
    return sock.detach()


def open_promiscuity(interface: str) -> int:
    """A packet socket that hears nothing, and keeps an interface of the current network namespace
    promiscuous as long as it is open. Raises OSError.
    """
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        _make_promiscuous(sock, interface)
    except OSError:
        sock.close()
        raise
    return sock.detach()


def _make_promiscuous(sock: socket.socket, interface: str) -> None:
    index = socket.if_nametoindex(interface)
    membership = struct.pack("iHH8s", index, _PACKET_MR_PROMISC, 0, b"")
    sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)


def enlarge_buffer(sock: socket.socket, direction: Direction, size: int) -> None:
    """Ask for a queue of `size` bytes; without CAP_NET_ADMIN the system's limit holds."""
    forced, ordinary = direction.value
    try:
        sock.setsockopt(socket.SOL_SOCKET, forced, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, ordinary, size)


def open_unix_socket(path: Path, kind: socket.SocketKind) -> int:
    """A UNIX socket bound at `path` for a program such as QEMU: a listening stream socket or a
    datagram socket, which only its owner may open. Raises OSError.
    """
    sock = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
    mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        sock.bind(str(path))
        if kind == socket.SOCK_STREAM:
            sock.listen(1)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(mask)
    return sock.detach()


def is_same_device(descriptor: int, other: int) -> bool:
    """Whether two descriptors are of the same socket, or of taps of the same name that both have
    their interfaces still (TUNGETIFF, drivers/net/tun.c).
    """
    try:
        taps = [fcntl.ioctl(each, _TUNGETIFF, bytes(_IFREQ_BYTES)) for each in (descriptor, other)]
    except OSError as error:
        return error.errno != errno.EBADFD and os.path.sameopenfile(descriptor, other)
    return taps[0] == taps[1]
