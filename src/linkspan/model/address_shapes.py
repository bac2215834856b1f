"""IP addresses and networks as a file has them, in canonical form: of interfaces, hosts, ranges."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_network,
)
from typing import TypeAlias

from linkspan.model.unfit import UnfitError

Interface: TypeAlias = IPv4Interface | IPv6Interface
Address: TypeAlias = IPv4Address | IPv6Address

_PREFIX = re.compile("[0-9]{1,3}")


def address(text: str) -> str:
    """An address of an interface with its prefix length, in canonical form."""
    return str(parse_interface(text))


def gateway(text: str) -> str:
    """An address without prefix length that can be a next hop, in canonical form."""
    return _one_host(text, "a gateway")


def host(text: str) -> str:
    """An address of a host, without prefix length, in canonical form."""
    return _one_host(text, "a host")


def _one_host(text: str, of_what: str) -> str:
    if "/" in text:
        raise UnfitError(
            f"is not the address of {of_what}",
            "an address without prefix length",
            f"write {text.partition('/')[0]}",
        )
    found = _parse_ip(text, "an address such as 192.168.57.1 or fd00:57::1")
    _refuse_special(found)
    return str(found)


def network(text: str) -> str:
    """A network that a route leads to, in canonical form."""
    try:
        if "/" not in text or "%" in text:
            raise ValueError
        return str(ip_network(text))
    except ValueError:
        pass
    try:
        meant = str(ip_network(text, strict=False)) if "/" in text else ""
    except ValueError:
        meant = ""
    raise UnfitError(
        "is not a network",
        "a network such as 192.168.50.0/24, 0.0.0.0/0 or ::/0",
        f"write {meant}" if meant else "write the network with its prefix length",
    )


@lru_cache(maxsize=8192)
def parse_interface(text: str) -> Interface:
    """Read `192.168.57.2/24` or `fd00::2/64`.

    Raises UnfitError for anything that an interface cannot have: no prefix length, the network's
    own or its broadcast address, multicast, loopback, unspecified.
    """
    host, slash, prefix = text.partition("/")
    found = _parse_ip(host, "an address such as 192.168.57.2/24 or fd00:57::2/64")
    usual = 24 if found.version == 4 else 64
    if not slash:
        raise UnfitError(
            "has no prefix length", f"an address such as {host}/{usual}", f"write {host}/{usual}"
        )
    longest = found.max_prefixlen
    if not _PREFIX.fullmatch(prefix) or int(prefix) > longest:
        raise UnfitError(
            f'has no prefix length after the slash, but "{prefix[:20]}"',
            f"a number from 0 to {longest}",
            f"write for instance {host}/{usual}",
        )
    _refuse_special(found)
    interface = (
        IPv4Interface((int(found), int(prefix)))
        if isinstance(found, IPv4Address)
        else IPv6Interface((int(found), int(prefix)))
    )
    network = interface.network
    if network.prefixlen < longest - 1:
        if interface.ip == network.network_address:
            raise UnfitError(
                f"is the address of the network {network} itself",
                "the address of a host",
                f"write for instance {network.network_address + 1}/{prefix}",
            )
        if found.version == 4 and interface.ip == network.broadcast_address:
            raise UnfitError(
                f"is the broadcast address of {network}",
                "the address of a host",
                f"write for instance {network.network_address + 1}/{prefix}",
            )
    return interface


def _parse_ip(text: str, expected: str) -> Address:
    try:
        if "%" in text:
            raise ValueError
        return ip_address(text)
    except ValueError:
        raise UnfitError("is not an IP address", expected, "correct the address") from None


def _refuse_special(found: Address) -> None:
    kinds = (
        ("the unspecified address", found.is_unspecified),
        ("a multicast address", found.is_multicast),
        ("a loopback address", found.is_loopback),
        ("the limited broadcast address", str(found) == "255.255.255.255"),
    )
    for kind, applies in kinds:
        if applies:
            raise UnfitError(f"is {kind}", "the address of a host", "choose another address")


def port_address(text: str) -> str:
    """An address as `address`, or the word `dhcp`."""
    return text if text == "dhcp" else address(text)


def ipv4(text: str) -> str:
    """An IPv4 address without prefix length, in canonical form."""
    found = _parse_ip(text, "an address such as 192.168.122.10")
    if found.version != 4:
        raise UnfitError("is not an IPv4 address", "such as 192.168.122.10", "correct the address")
    _refuse_special(found)
    return str(found)


def router(text: str) -> str:
    """An IPv4 address, or the word `none`."""
    return text if text == "none" else ipv4(text)


def address_range(text: str) -> str:
    """A range of addresses of one family, `FIRST-LAST` in canonical form."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        example = "a range such as 192.168.122.2-192.168.122.254"
        raise UnfitError("is not a range", example, "write the first and the last address")
    first, last = host(first), host(last)
    if ip_address(first).version != ip_address(last).version:
        raise UnfitError(
            "begins and ends in different families",
            "two addresses of IPv4, or two of IPv6",
            "correct one of them",
        )
    if int(ip_address(first)) > int(ip_address(last)):
        raise UnfitError("ends before it begins", f"{last}-{first}", f"write {last}-{first}")
    return f"{first}-{last}"


def multicast(text: str) -> str:
    """An address of a multicast group, in canonical form."""
    found = _parse_ip(text, "a group such as 239.1.1.1 or ff05::1234")
    if not found.is_multicast:
        raise UnfitError(
            "is no multicast group", "a group such as 239.1.1.1", "write the hosts under remote"
        )
    return str(found)
