"""Texts and numbers that several values of a file are made of, each with its limits.

`shape` names the function of `model.shapes` that reads the text; the pattern is for the JSON
Schema. Limits come from the kernel, since both engines have to be able to do what the file says.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

SMALLEST_MTU: Final = 68
"""ETH_MIN_MTU (include/uapi/linux/if_ether.h); RFC 791 calls for it of every IPv4 link."""

LARGEST_MTU: Final = 65521
"""A tap's 65535 less its 14 bytes of Ethernet header (MAX_MTU, drivers/net/tun.c)."""

IPV6_MTU: Final = 1280
"""What IPv6 requires of every link (RFC 8200, clause 5)."""

NodeName = Annotated[
    str, Meta(pattern="^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", extra={"shape": "node"})
]
InterfaceName = Annotated[
    str,
    Meta(min_length=1, max_length=15, pattern=r"^[^/:%\s]+$", extra={"shape": "interface"}),
]
MacText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}$",
        extra={"shape": "mac"},
        examples=["52:54:00:12:34:56"],
    ),
]
StationText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}$",
        extra={"shape": "station"},
        examples=["52:54:00:12:34:56"],
    ),
]
"""A MAC address that is somebody's, in the FDB."""

AddressText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F.:]+/[0-9]{1,3}$",
        extra={"shape": "address"},
        examples=["192.168.57.2/24", "fd00:57::2/64"],
    ),
]
PortAddressText = Annotated[
    str,
    Meta(
        pattern="^([0-9a-fA-F.:]+/[0-9]{1,3}|dhcp)$",
        extra={"shape": "port-address"},
        examples=["192.168.57.2/24", "fd00:57::2/64", "dhcp"],
    ),
]
GatewayText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F.:]+$",
        extra={"shape": "gateway"},
        examples=["192.168.57.1", "fd00:57::1"],
    ),
]
HostText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F.:]+$",
        extra={"shape": "host"},
        examples=["192.0.2.7", "fd00:1::7"],
    ),
]
MulticastText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F.:]+$",
        extra={"shape": "multicast"},
        examples=["239.1.1.1", "ff05::1234"],
    ),
]
Reference = Annotated[str, Meta(min_length=1, extra={"shape": "reference"})]
"""The name of something that the file declares elsewhere; checked where all names are known."""

SettingName = Annotated[
    str,
    Meta(
        pattern=r"^net[./]",
        extra={"shape": "setting"},
        examples=["net.ipv4.ip_forward"],
    ),
]
SettingText = Annotated[str, Meta(min_length=1, extra={"shape": "setting-text"})]

Mtu = Annotated[int, Meta(ge=SMALLEST_MTU, le=LARGEST_MTU)]
