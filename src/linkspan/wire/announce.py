"""Whole frames by which a host tells its neighbours, unasked, where an address is now.

For IPv4 the ARP announcement (RFC 5227, 3: a request for one's own address), for IPv6 the
unsolicited neighbour advertisement (RFC 4861, 7.2.6).
"""

from __future__ import annotations

from typing import Final

from linkspan.types import BROADCAST, NO_MAC, Mac
from linkspan.wire import arp, checksum, ethernet, ipv6, neighbour_discovery
from linkspan.wire.arp import Arp, Operation
from linkspan.wire.ethernet import Ethernet, EtherType
from linkspan.wire.ipv4 import Protocol
from linkspan.wire.ipv6 import Ipv6
from linkspan.wire.neighbour_discovery import Advertisement

ALL_NODES: Final = bytes.fromhex("ff020000000000000000000000000001")


def announcement(mac: Mac, address: bytes) -> bytes:
    """The frame that says that `address`, of 4 or 16 bytes, is at `mac`."""
    if len(address) == 4:
        header = Ethernet(BROADCAST, mac, EtherType.ARP)
        message = Arp(Operation.REQUEST, mac, address, NO_MAC, address)
        return ethernet.emit(header) + arp.emit(message)
    advertisement = Advertisement(address, mac, overrides=True)
    length = neighbour_discovery.length(advertisement)
    packet = Ipv6(
        address, ALL_NODES, Protocol.ICMPV6, length, hop_limit=neighbour_discovery.HOP_LIMIT
    )
    pseudo = checksum.pseudo_header_v6(address, ALL_NODES, Protocol.ICMPV6, length)
    header = Ethernet(ipv6.group_mac(ALL_NODES), mac, EtherType.IPV6)
    body = neighbour_discovery.emit(advertisement, pseudo)
    return ethernet.emit(header) + ipv6.emit(packet) + body
