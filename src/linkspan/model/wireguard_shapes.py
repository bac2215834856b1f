"""Texts of WireGuard's configuration: keys, endpoints, paths of files."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from ipaddress import IPv6Address, ip_address
from typing import Final

from linkspan.model.unfit import UnfitError

KEY_BYTES: Final = 32


def key(text: str) -> str:
    """A key: 32 bytes in base64. The message never shows the text, which may be a private key."""
    try:
        value = b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != KEY_BYTES:
        raise UnfitError(
            "is not a key", "44 characters such as `wg pubkey` writes", "copy the whole key"
        )
    return b64encode(value).decode()


def endpoint(text: str) -> str:
    """Address and UDP port, in canonical form."""
    host, colon, port = text.rpartition(":")
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]") if "[" in host else host)
        if not colon or isinstance(address, IPv6Address) != host.startswith("["):
            raise ValueError
        if not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ValueError
    except ValueError:
        raise UnfitError(
            "is not an endpoint",
            "an address and a port, such as 192.0.2.7:51820 or [fd00:1::7]:51820",
            "correct it; of a name, write the address",
        ) from None
    return format_endpoint(str(address), int(port))


def format_endpoint(address: str, port: int) -> str:
    """An endpoint as it is written."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def split_endpoint(text: str) -> tuple[str, int]:
    """Address and port of an endpoint."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def path(text: str) -> str:
    """A path of a file."""
    if not text or "\0" in text:
        raise UnfitError("is not a path", "the path of a file", "write one")
    return text
