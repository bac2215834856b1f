"""Texts with a shape: names, MAC addresses, IP addresses.

Each shape is a function from the text of a file to its canonical form; it raises `UnfitError` with
what is wrong. `SHAPES` is the table that the loader looks them up in, by the name that a type of
`model.topology` carries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

from linkspan.model.publish import publish
from linkspan.model.setting_shapes import setting_name, setting_text
from linkspan.model.unfit import UnfitError
from linkspan.model.wireguard_shapes import endpoint, key, path
from linkspan.types import INTERFACE_NAME_BYTES, NO_MAC, format_mac, is_group, parse_mac
from linkspan.types import is_valid_interface_name as kernel_takes

Interface: TypeAlias = IPv4Interface | IPv6Interface
Address: TypeAlias = IPv4Address | IPv6Address

_LAB = re.compile("[a-z0-9][a-z0-9-]{0,30}")
_NODE = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MEMORY = re.compile("[1-9][0-9]{0,6}[MG]")
_PREFIX = re.compile("[0-9]{1,3}")


_GROUP_PREFIX: Final = b"\x01\x80\xc2\x00\x00"
_GROUPS_TAKEN: Final = (1, 2, 3)
"""PAUSE, LACP, port authentication."""

_RESERVED_INTERFACES: Final = {
    "lo": "is the loopback interface, which every node has",
    "all": "is refused by the kernel (sysctl_dev_name_is_allowed, include/linux/inetdevice.h)",
    "default": "is refused by the kernel (sysctl_dev_name_is_allowed, include/linux/inetdevice.h)",
}


def lab_name(text: str) -> str:
    """Name of a lab: part of paths and of ownership marks."""
    if not _LAB.fullmatch(text):
        raise UnfitError(
            "is not a name for a lab",
            "lower-case letters, digits and hyphens, at most 31, not beginning with a hyphen",
            "choose another name",
        )
    return text


def node_name(text: str) -> str:
    """Name of a node: also its host name, hence a label of RFC 1123 in lower case."""
    if not _NODE.fullmatch(text):
        raise UnfitError(
            "is not a name for a node",
            "lower-case letters, digits and inner hyphens, at most 63 (a host name)",
            "choose another name",
        )
    return text


def interface_name(text: str) -> str:
    """Name of an interface or a bridge, as the kernel takes it (`dev_valid_name`)."""
    size = len(text.encode())
    if size > INTERFACE_NAME_BYTES:
        raise UnfitError(
            f"is too long for an interface: {size} bytes",
            f"at most {INTERFACE_NAME_BYTES} bytes",
            "choose a shorter name",
        )
    if text in _RESERVED_INTERFACES:
        raise UnfitError(_RESERVED_INTERFACES[text], "another name", "choose another name")
    # The kernel reads a percent sign as a format (dev_alloc_name): eth%d becomes eth0.
    if not kernel_takes(text) or "%" in text or not text.isprintable():
        raise UnfitError(
            "is not a name for an interface",
            "a text without spaces, slash, colon and percent sign",
            "choose another name",
        )
    return text


def mac(text: str) -> str:
    """A MAC address that an interface can have: neither a group's nor zero."""
    return _of_a_station(text, "leave mac out")


def station(text: str) -> str:
    """A MAC address that somebody behind a port can have."""
    return _of_a_station(text, "remove the entry")


def _of_a_station(text: str, otherwise: str) -> str:
    try:
        value = parse_mac(text)
    except ValueError:
        raise UnfitError(
            "is not a MAC address",
            "six bytes such as 52:54:00:12:34:56",
            f"correct the address, or {otherwise}",
        ) from None
    if value == NO_MAC:
        raise UnfitError(
            "is no interface's address",
            "six bytes that are not all zero",
            f"choose another address, or {otherwise}",
        )
    if is_group(value):
        raise UnfitError(
            "is a group address, which no interface can have",
            "an even first byte (IEEE 802-2014, 8.4)",
            f"write {format_mac(bytes([value[0] & 0xFE]) + value[1:])}, or {otherwise}",
        )
    return format_mac(value)


def group_address(text: str) -> str:
    """A bridge group address (br_changelink, net/bridge/br_netlink.c)."""
    try:
        value = parse_mac(text)
    except ValueError:
        value = NO_MAC
    if value[:5] != _GROUP_PREFIX or value[5] > 0x0F or value[5] in _GROUPS_TAKEN:
        raise UnfitError(
            "is not an address for a group of bridges",
            "01:80:c2:00:00:00, or 01:80:c2:00:00:04 to 01:80:c2:00:00:0f",
            "choose another address, or leave group-address out",
        )
    return format_mac(value)


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
    """A range of IPv4 addresses, `FIRST-LAST` in canonical form."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        example = "a range such as 192.168.122.2-192.168.122.254"
        raise UnfitError("is not a range", example, "write the first and the last address")
    first, last = ipv4(first), ipv4(last)
    if int(IPv4Address(first)) > int(IPv4Address(last)):
        raise UnfitError("ends before it begins", f"{last}-{first}", f"write {last}-{first}")
    return f"{first}-{last}"


def domain(text: str) -> str:
    """A domain: labels of RFC 1123 in lower case, with dots between them."""
    if len(text) > 253 or not all(_NODE.fullmatch(part) for part in text.split(".")):
        raise UnfitError(
            "is not a domain",
            "lower-case letters, digits and inner hyphens, with dots between the labels",
            "choose another domain, such as lab",
        )
    return text


def reference(text: str) -> str:
    """A name that stands elsewhere in the file; whether it does, the whole file says."""
    if not text:
        raise UnfitError("is empty", "a name", "write the name of what is meant")
    return text


def multicast(text: str) -> str:
    """An address of a multicast group, in canonical form."""
    found = _parse_ip(text, "a group such as 239.1.1.1 or ff05::1234")
    if not found.is_multicast:
        raise UnfitError(
            "is no multicast group", "a group such as 239.1.1.1", "write the hosts under remote"
        )
    return str(found)


def file_name(text: str) -> str:
    """The name of a file of this machine; whether it is there shows when it is needed."""
    if not text:
        raise UnfitError("is empty", "a path such as images/guest.qcow2", "name the file")
    if not text.isprintable():
        raise UnfitError(
            "is not the name of a file", "a path such as images/guest.qcow2", "correct the path"
        )
    return text


def line(text: str) -> str:
    """One line of text, which may be empty."""
    if not text.isprintable():
        raise UnfitError(
            "is not one line of text", "a text without control characters", "remove them"
        )
    return text


def memory(text: str) -> str:
    """An amount of memory: a whole number of MiB or GiB."""
    if not _MEMORY.fullmatch(text):
        raise UnfitError(
            "is not an amount of memory",
            "a whole number and M or G, such as 256M or 2G",
            "write for instance 256M",
        )
    return text


SHAPES: Final[dict[str, Callable[[str], str]]] = {
    "lab": lab_name,
    "node": node_name,
    "interface": interface_name,
    "mac": mac,
    "station": station,
    "group-address": group_address,
    "address": address,
    "port-address": port_address,
    "ipv4": ipv4,
    "router": router,
    "range": address_range,
    "domain": domain,
    "gateway": gateway,
    "reference": reference,
    "host": host,
    "multicast": multicast,
    "key": key,
    "endpoint": endpoint,
    "path": path,
    "setting": setting_name,
    "setting-text": setting_text,
    "network": network,
    "publish": publish,
    "file": file_name,
    "line": line,
    "memory": memory,
}
