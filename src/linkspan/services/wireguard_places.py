"""What WireGuard interfaces of a lab are marked with, and where it keeps what belongs to them."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from linkspan.model.names import port_name
from linkspan.model.state import WireguardKey

_MARK = "tunnel:"


def folder_of(folder: Path, key: WireguardKey) -> Path:
    """What belongs to an interface, in a lab's folder; short, since sockets are in it."""
    digest = blake2b(f"{key.node}.{key.interface}".encode(), digest_size=4).hexdigest()
    return folder / "wireguard" / digest


def mark_of(key: WireguardKey) -> str:
    """What marks an interface of ours."""
    return _MARK + port_name(key.node, key.interface)
