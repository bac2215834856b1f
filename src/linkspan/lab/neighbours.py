"""Whether a neighbour answers ARP, asked with a packet socket of our own: no entry of the kernel's
neighbour table is used or made.
"""

from __future__ import annotations

import ipaddress
import socket
import time

from linkspan.engine.netlink import Netlink
from linkspan.types import NO_MAC, Mac, parse_mac
from linkspan.wire.formats import BadFormat
from linkspan.wire.probe import parse_resolved, resolve_request

_ETH_P_ARP = 0x0806


def answers_arp(address: str, timeout: float) -> bool | None:
    """Ask for an IPv4 address on the interface whose network holds it; None if there is none.

    The calling process is in the node's network namespace.
    """
    target = ipaddress.ip_address(address)
    for name, mac, own in _own_networks():
        if target in own.network:
            return _ask(name, mac, own.ip.packed, target.packed, timeout)
    return None


def _own_networks() -> list[tuple[str, Mac, ipaddress.IPv4Interface]]:
    """Those of interfaces with a MAC: there are no neighbours to ask in a tunnel of layer 3."""
    with Netlink() as netlink:
        found = netlink.addresses()
        return [
            (interface.name, parse_mac(interface.mac), own)
            for interface in netlink.interfaces()
            if parse_mac(interface.mac) != NO_MAC
            for text in found.get(interface.index, [])
            if isinstance(own := ipaddress.ip_interface(text), ipaddress.IPv4Interface)
        ]


def _ask(interface: str, mac: Mac, source: bytes, target: bytes, timeout: float) -> bool:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind((interface, _ETH_P_ARP))
        sock.send(resolve_request(mac, source, target))
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                if parse_resolved(sock.recv(2048)).address == target:
                    return True
            except TimeoutError:
                break
            except BadFormat:
                continue
    return False
