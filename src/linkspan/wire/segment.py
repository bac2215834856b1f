"""Finish what a sender left to the hardware: checksums and segmentation.

A tap or packet socket with offloads hands over frames of up to 64 KiB whose checksum is only begun
and which nobody has cut yet; the virtio-net header in front says what is missing. Between ports
that both have offloads such a frame passes whole. `complete` makes it fit for a port that has
none: it returns plain Ethernet frames, in order.

Theory of operation. With NEEDS_CSUM the checksum field holds the sum of the pseudo header, so the
sum from `csum_start` to the end of the frame, inverted, is the checksum, whatever the protocol
(`skb_checksum_help`, net/core/dev.c). Segmentation follows the kernel's
(`tcp_gso_segment`, `__udp_gso_segment`, `inet_gso_segment`):

- everything in front of the payload, VLAN tags and IP options and extension headers included, is
  repeated on each segment; IPv4's identification counts up, lengths are those of the segment;
- TCP's sequence number advances; FIN and PSH stay on the last segment only, CWR on the first;
- each UDP datagram gets its own length and checksum (0 is sent as 0xffff);
- gso_type UDP, the old kind, is IPv4 fragmentation of one finished datagram. It is refused for
  IPv6, where no Linux tap has it switched on.

The sums of the headers are taken once per frame; per segment there is one sum over its payload
plus a few additions. The pseudo header's sum comes from the checksum field, as the kernel does it,
so that it is right behind an IPv6 routing header too; only the length in it changes.

The header is a stranger's word. Where it contradicts the frame the answer is BadFormat, with the
contradiction named, and nothing is guessed. `hdr_len` is the exception: the specification calls it
a hint (virtio 1.2, 5.1.6.2), and Linux puts there the size of its first buffer, so it is refused
only when it exceeds the frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from linkspan.wire import ethernet, ipv4, ipv6, tcp, udp, vnet
from linkspan.wire.checksum import MODULUS, finish, sum_words
from linkspan.wire.ethernet import EtherType
from linkspan.wire.formats import BadFormat, Octets, require
from linkspan.wire.ipv4 import Protocol
from linkspan.wire.tcp import TcpFlag
from linkspan.wire.vnet import GsoType, VnetFlag, VnetHeader

_GSO_RULES: Final = {
    # gso_type: IP versions, protocol, place of the checksum in its header
    GsoType.TCPV4: ((4,), Protocol.TCP, tcp.CHECKSUM_OFFSET),
    GsoType.TCPV6: ((6,), Protocol.TCP, tcp.CHECKSUM_OFFSET),
    GsoType.UDP: ((4,), Protocol.UDP, udp.CHECKSUM_OFFSET),
    GsoType.UDP_L4: ((4, 6), Protocol.UDP, udp.CHECKSUM_OFFSET),
}
# Plain integers: arithmetic on flags is slow, and these meet every segment.
_ONLY_LAST: Final = int(TcpFlag.FIN | TcpFlag.PSH)
_ONLY_FIRST: Final = int(TcpFlag.CWR)

_NOTHING_LEFT: Final = (vnet.PLAIN, vnet.emit(VnetHeader(VnetFlag.DATA_VALID)))

_SHORT = struct.Struct("!H")
_LONG = struct.Struct("!I")


class _Network:
    """The IP header of a frame that is being cut, and how each segment's differs."""

    def __init__(self, data: memoryview) -> None:
        ether = ethernet.parse(data)
        self.offset = ether.payload_offset
        packet = data[self.offset :]
        if ether.ethertype == EtherType.IPV4:
            header = ipv4.parse(packet)
            self.version = 4
            self.protocol = header.protocol
            self.transport = self.offset + header.payload_offset
            is_fragment = header.is_fragment
            stated = header.payload_offset + header.payload_length
            self.identification = header.identification
            # The sum of what all segments share: without length, identification and checksum.
            self.shared = sum_words(packet[: header.payload_offset]) - sum(
                _SHORT.unpack_from(packet, field)[0] for field in (2, 4, 10)
            )
        elif ether.ethertype == EtherType.IPV6:
            upper = ipv6.find_upper_layer(packet)
            self.version = 6
            self.protocol = upper.protocol
            self.transport = self.offset + upper.offset
            is_fragment = upper.is_fragment
            stated = ipv6.HEADER_BYTES + ipv6.parse(packet).payload_length
            self.identification = self.shared = 0
        else:
            raise BadFormat(f"segmentation: IPv4 or IPv6 expected, {ether.ethertype:#06x} found")
        if is_fragment:
            raise BadFormat("segmentation: a whole packet expected, a fragment found")
        if stated != len(packet):
            raise BadFormat(f"segmentation: IP says {stated} bytes, {len(packet)} found")

    def write(self, head: bytearray, length: int, index: int, fragment: int | None = None) -> None:
        """Make `head` that of segment `index`, a frame of `length` bytes in all."""
        offset = self.offset
        if self.version == 6:
            _SHORT.pack_into(head, offset + 4, length - offset - ipv6.HEADER_BYTES)
            return
        total = length - offset
        if fragment is None:
            identification = (self.identification + index) & 0xFFFF
            shared = self.shared
        else:
            identification = self.identification
            shared = self.shared + fragment - _SHORT.unpack_from(head, offset + 6)[0]
            self.shared = shared
            _SHORT.pack_into(head, offset + 6, fragment)
        _SHORT.pack_into(head, offset + 2, total)
        _SHORT.pack_into(head, offset + 4, identification)
        _SHORT.pack_into(head, offset + 10, finish(shared + total + identification))


def complete(frame: Octets) -> list[bytes]:
    """Turn a virtio-net header and its frame into plain Ethernet frames without that header.

    Raises BadFormat when the header is unknown or impossible for the frame, CutShort when either
    ends too soon.
    """
    view = memoryview(frame)
    data = view[vnet.HEADER_BYTES :]
    if view[: vnet.HEADER_BYTES] in _NOTHING_LEFT and len(data) >= ethernet.HEADER_BYTES:
        return [bytes(data)]
    header = vnet.parse(view)
    require(data, ethernet.HEADER_BYTES, "Ethernet header")
    if header.hdr_len > len(data):
        raise BadFormat(f"virtio-net header: hdr_len {header.hdr_len} in {len(data)} bytes")
    needs_checksum = bool(header.flags & VnetFlag.NEEDS_CSUM)
    if needs_checksum:
        field = header.csum_start + header.csum_offset
        if header.csum_start < ethernet.HEADER_BYTES or field + 2 > len(data):
            raise BadFormat(
                f"virtio-net header: checksum of byte {header.csum_start} and later at byte "
                f"{field}, in {len(data)} bytes"
            )
    if header.gso_type is GsoType.NONE:
        return [_with_checksum(data, header) if needs_checksum else bytes(data)]
    if not needs_checksum:
        raise BadFormat(f"virtio-net header: {header.gso_type.name} without NEEDS_CSUM")
    if header.gso_size == 0:
        raise BadFormat(f"virtio-net header: {header.gso_type.name} with gso_size 0")
    network = _Network(data)
    _check_agreement(header, network)
    if header.gso_type is GsoType.UDP:
        return list(_udp_fragments(data, header, network))
    if header.gso_type is GsoType.UDP_L4:
        return list(_udp_segments(data, header.gso_size, network))
    return list(_tcp_segments(data, header.gso_size, network))


def _check_agreement(header: VnetHeader, network: _Network) -> None:
    versions, protocol, checksum_offset = _GSO_RULES[header.gso_type]
    if network.version not in versions or network.protocol != protocol:
        raise BadFormat(
            f"virtio-net header: {header.gso_type.name} on IPv{network.version} "
            f"protocol {network.protocol}"
        )
    if (header.csum_start, header.csum_offset) != (network.transport, checksum_offset):
        raise BadFormat(
            f"virtio-net header: checksum at {network.transport}+{checksum_offset} expected, "
            f"{header.csum_start}+{header.csum_offset} found"
        )


def _with_checksum(data: memoryview, header: VnetHeader) -> bytes:
    # Zero becomes 0xffff for every protocol, as in the kernel: it means "none" to UDP and makes
    # no difference to the others.
    checksum = finish(sum_words(data[header.csum_start :])) or MODULUS
    field = header.csum_start + header.csum_offset
    return b"".join((data[:field], _SHORT.pack(checksum), data[field + 2 :]))


def _cut(payload: memoryview, size: int) -> Iterator[tuple[int, memoryview, int]]:
    """Yield each piece's offset, bytes and sum; one empty piece when there is no payload."""
    for start in range(0, len(payload) or 1, size):
        piece = payload[start : start + size]
        yield start, piece, sum_words(piece)


def _tcp_segments(data: memoryview, size: int, network: _Network) -> Iterator[bytes]:
    at = network.transport
    header = tcp.parse(data[at:])
    head_length = at + header.payload_offset
    payload = data[head_length:]
    head = bytearray(data[:head_length])
    first_flags: int = _SHORT.unpack_from(head, at + 12)[0]
    # The field holds the pseudo header's sum with the whole length; segments have their own.
    shared = sum_words(head[at:]) - (len(data) - at) - header.sequence - first_flags
    shared += header.payload_offset
    flags = first_flags & ~_ONLY_LAST
    for index, (start, piece, total) in enumerate(_cut(payload, size)):
        if start + size >= len(payload):
            flags |= first_flags & _ONLY_LAST
        sequence = (header.sequence + start) & 0xFFFFFFFF
        network.write(head, head_length + len(piece), index)
        _LONG.pack_into(head, at + 4, sequence)
        _SHORT.pack_into(head, at + 12, flags)
        checksum = finish(shared + len(piece) + sequence + flags + total)
        _SHORT.pack_into(head, at + tcp.CHECKSUM_OFFSET, checksum)
        yield b"".join((head, piece))
        flags &= ~_ONLY_FIRST


def _whole_datagram(data: memoryview, at: int) -> None:
    stated = udp.HEADER_BYTES + udp.parse(data[at:]).payload_length
    if stated != len(data) - at:
        raise BadFormat(f"segmentation: UDP says {stated} bytes, {len(data) - at} found")


def _udp_segments(data: memoryview, size: int, network: _Network) -> Iterator[bytes]:
    at = network.transport
    _whole_datagram(data, at)
    head_length = at + udp.HEADER_BYTES
    payload = data[head_length:]
    head = bytearray(data[:head_length])
    # Once in the header and once in the pseudo header's sum that the checksum field holds.
    shared = sum_words(head[at:]) - 2 * (len(data) - at)
    for index, (_start, piece, total) in enumerate(_cut(payload, size)):
        length = udp.HEADER_BYTES + len(piece)
        network.write(head, head_length + len(piece), index)
        _SHORT.pack_into(head, at + 4, length)
        checksum = finish(shared + 2 * length + total) or MODULUS
        _SHORT.pack_into(head, at + udp.CHECKSUM_OFFSET, checksum)
        yield b"".join((head, piece))


def _udp_fragments(data: memoryview, header: VnetHeader, network: _Network) -> Iterator[bytes]:
    size = header.gso_size
    if size & 7:
        raise BadFormat(f"virtio-net header: fragments of a multiple of 8 expected, {size} found")
    at = network.transport
    _whole_datagram(data, at)
    datagram = memoryview(_with_checksum(data, header))[at:]
    head = bytearray(data[:at])
    keep = _SHORT.unpack_from(head, network.offset + 6)[0]
    for start in range(0, len(datagram), size):
        piece = datagram[start : start + size]
        more = ipv4.MORE_FRAGMENTS if start + size < len(datagram) else 0
        network.write(head, at + len(piece), 0, keep | more | start >> 3)
        yield b"".join((head, piece))
