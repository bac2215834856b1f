"""What a host tells its neighbours unasked, read by somebody else's codecs."""

from __future__ import annotations

import pytest

from linkspan.types import parse_mac
from linkspan.wire.announce import announcement

MAC = "52:54:00:09:00:02"


def test_an_arp_announcement_asks_everybody_for_ones_own_address() -> None:
    scapy = pytest.importorskip("scapy.all")
    frame = scapy.Ether(announcement(parse_mac(MAC), bytes([10, 9, 0, 2])))
    assert (frame.dst, frame.src) == ("ff:ff:ff:ff:ff:ff", MAC)
    message = frame[scapy.ARP]
    assert (message.op, message.hwsrc, message.psrc, message.pdst) == (
        1,
        MAC,
        "10.9.0.2",
        "10.9.0.2",
    )


def test_an_unsolicited_advertisement_overrides_what_neighbours_believed() -> None:
    scapy = pytest.importorskip("scapy.all")
    address = bytes.fromhex("fd09") + bytes(13) + b"\x02"
    data = announcement(parse_mac(MAC), address)
    frame = scapy.Ether(data)
    assert (frame.dst, frame[scapy.IPv6].dst, frame[scapy.IPv6].hlim) == (
        "33:33:00:00:00:01",
        "ff02::1",
        255,
    )
    message = frame[scapy.ICMPv6ND_NA]
    assert (message.tgt, message.O, message.S, message.R) == ("fd09::2", 1, 0, 0)
    assert frame[scapy.ICMPv6NDOptDstLLAddr].lladdr == MAC
    right = message.cksum
    del message.cksum
    assert scapy.Ether(bytes(frame))[scapy.ICMPv6ND_NA].cksum == right
