"""What a sender left to do on a frame that has lost its virtio-net header on the way.

A kernel that puts a frame into a tunnel leaves the inner checksum, and the cutting of a long TCP
segment, to the device that the tunnel goes out by. One that never reaches a wire (a veth) leaves
both to whoever gets the frame. The kernel's own tunnels are told so beside the frame
(CHECKSUM_PARTIAL, gso_size); a program's UDP socket is not, and has to see it by the frame.

A checksum that is only begun is the sum of the pseudo header and nothing else
(`__tcp_v4_send_check`, net/ipv4/tcp_ipv4.c). One finished checksum in 65,535 is the same number;
it is worked out again then, and comes out as it was. Into what TCP is to be cut is told nowhere:
it is what fits into the MTU, as both ends of a connection have it that keep to the tunnel's.
"""

from __future__ import annotations

import struct
from typing import Final

from linkspan.wire import ethernet, ipv4, ipv6, tcp, udp, vnet
from linkspan.wire.checksum import MODULUS, pseudo_header_v4, pseudo_header_v6
from linkspan.wire.ethernet import EtherType
from linkspan.wire.formats import BadFormat
from linkspan.wire.ipv4 import Protocol
from linkspan.wire.vnet import GsoType, VnetFlag, VnetHeader

_CHECKSUM_OFFSETS: Final[dict[int, int]] = {
    Protocol.TCP: tcp.CHECKSUM_OFFSET,
    Protocol.UDP: udp.CHECKSUM_OFFSET,
}
_SHORT: Final = struct.Struct("!H")


def header_of(frame: bytes, mtu: int) -> bytes:
    """The virtio-net header of a frame that came without one, for a port of that MTU in bytes (0:
    any): NEEDS_CSUM where the checksum of TCP or UDP is only begun, and how to cut TCP that is too
    long. A frame that is cut short, or is neither of them, has nothing left to do.
    """
    try:
        return _header_of(memoryview(frame), mtu)
    except BadFormat:
        return vnet.PLAIN


def _header_of(frame: memoryview, mtu: int) -> bytes:
    ether = ethernet.parse(frame)
    packet = frame[ether.payload_offset :]
    if ether.ethertype == EtherType.IPV4:
        header = ipv4.parse(packet)
        protocol, start, is_fragment = header.protocol, header.payload_offset, header.is_fragment
        end, gso_type = start + header.payload_length, GsoType.TCPV4
        sum_up, addresses = pseudo_header_v4, (packet[12:16], packet[16:20])
    elif ether.ethertype == EtherType.IPV6:
        upper = ipv6.find_upper_layer(packet)
        protocol, start, is_fragment = upper.protocol, upper.offset, upper.is_fragment
        end, gso_type = ipv6.HEADER_BYTES + ipv6.parse(packet).payload_length, GsoType.TCPV6
        sum_up, addresses = pseudo_header_v6, (packet[8:24], packet[24:40])
    else:
        return vnet.PLAIN
    offset = _CHECKSUM_OFFSETS.get(protocol)
    if offset is None or is_fragment or start + offset + _SHORT.size > end:
        return vnet.PLAIN
    (field,) = _SHORT.unpack_from(packet, start + offset)
    begun = sum_up(*addresses, protocol, end - start)
    if (field - begun) % MODULUS:
        return vnet.PLAIN
    size, head = 0, 0
    if mtu and end > mtu and protocol == Protocol.TCP:
        head = start + tcp.parse(packet[start:end]).payload_offset
        size = max(0, mtu - head)
    return vnet.emit(
        VnetHeader(
            VnetFlag.NEEDS_CSUM,
            gso_type if size else GsoType.NONE,
            hdr_len=ether.payload_offset + head if size else 0,
            gso_size=size,
            csum_start=ether.payload_offset + start,
            csum_offset=offset,
        )
    )
