"""Frames as a kernel hands them over, and scapy's word on what became of them.

scapy builds the large packet; its checksum field is then given the sum of the pseudo header only.
"""

from __future__ import annotations

import struct

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Packet

from linkspan.wire import ethernet, ipv6, vnet
from linkspan.wire.checksum import pseudo_header_v4, pseudo_header_v6
from linkspan.wire.vnet import GsoType, VnetFlag, VnetHeader

# Without both addresses scapy would ask the machine's own network for them.
ETHER = Ether(dst="52:54:00:00:00:0b", src="52:54:00:00:00:0a")
LINKS = {
    "untagged": ETHER,
    "tagged": ETHER / Dot1Q(vlan=10, prio=3),
    "double": ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=10),
}
NETWORKS = {
    "v4": IP(src="192.0.2.1", dst="192.0.2.2", id=0xFFFE, flags="DF"),
    "v4-options": IP(src="192.0.2.1", dst="192.0.2.2", options=b"\x94\x04\x00\x00"),
    "v6": IPv6(src="fd00::1", dst="fd00::2", fl=5),
    "v6-extended": IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(),
}
TRANSPORTS = {
    "tcp": TCP(
        sport=5001, dport=80, flags="FPACE", seq=0xFFFFF000, options=[("Timestamp", (1, 2))]
    ),
    "udp": UDP(sport=5001, dport=53),
}
CASES = [(link, network, kind) for link in LINKS for network in NETWORKS for kind in TRANSPORTS]


def payload_of(length: int) -> bytes:
    return bytes((index * 7 + index // 251) & 0xFF for index in range(length))


def as_from_kernel(packet: Packet, gso_type: GsoType, gso_size: int) -> bytes:
    """The virtio-net header and the frame, its checksum only begun."""
    frame = bytearray(bytes(packet))
    ether = ethernet.parse(frame)
    at = ether.payload_offset
    is_tcp = TCP in packet
    if ether.ethertype == ethernet.EtherType.IPV4:
        start = at + (frame[at] & 15) * 4
        sums, addresses = pseudo_header_v4, (frame[at + 12 : at + 16], frame[at + 16 : at + 20])
    else:
        start = at + ipv6.find_upper_layer(bytes(frame[at:])).offset
        sums, addresses = pseudo_header_v6, (frame[at + 8 : at + 24], frame[at + 24 : at + 40])
    offset = 16 if is_tcp else 6
    partial = sums(*addresses, 6 if is_tcp else 17, len(frame) - start) % 0xFFFF
    struct.pack_into("!H", frame, start + offset, partial)
    header = VnetHeader(
        VnetFlag.NEEDS_CSUM, gso_type, start + (20 if is_tcp else 8), gso_size, start, offset
    )
    return vnet.emit(header) + frame


def gso_type_of(network: str, kind: str) -> GsoType:
    if kind == "udp":
        return GsoType.UDP_L4
    return GsoType.TCPV4 if network.startswith("v4") else GsoType.TCPV6


def assert_scapy_agrees(frame: bytes) -> Packet:
    """Scapy, told to forget every checksum and length, writes the same frame again."""
    packet = Ether(frame)
    fresh = Ether(frame)
    for layer in (IP, IPv6, TCP, UDP):
        if layer in fresh:
            for field in ("chksum", "len", "plen"):
                if field in fresh[layer].fields:
                    delattr(fresh[layer], field)
    assert bytes(fresh) == frame
    return packet
