"""The language of wireguard-go's control socket: lines `key=value`, keys in hexadecimal.

Source: https://www.wireguard.com/xplatform/ (cross-platform userspace implementation).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator

import msgspec

from linkspan.model.state import Wireguard


class PeerStatus(msgspec.Struct, frozen=True):
    """A peer as the device has it."""

    public_key: str
    endpoint: str | None = None
    allowed_ips: tuple[str, ...] = ()
    keepalive: int = 0
    handshake: int = 0
    """Seconds since 1970-01-01 UTC of the last one; 0 for none."""
    bytes_in: int = 0
    bytes_out: int = 0


class DeviceStatus(msgspec.Struct, frozen=True):
    """A device as it is, its private key left out."""

    has_key: bool
    private_key: str
    """Only to be turned into the public one."""
    listen: int
    peers: tuple[PeerStatus, ...]


def to_hex(key: str) -> str:
    """A key in base64 as hexadecimal."""
    return b64decode(key).hex()


def to_base64(key: str) -> str:
    """A key in hexadecimal as base64."""
    return b64encode(bytes.fromhex(key)).decode()


def request(private: str, wanted: Wireguard) -> str:
    """The request that makes a device as it is wanted, whatever it was."""
    lines = [
        "set=1",
        f"private_key={to_hex(private)}",
        f"listen_port={wanted.listen}",
        "replace_peers=true",
    ]
    for peer in wanted.peers:
        lines += [f"public_key={to_hex(peer.public_key)}", "replace_allowed_ips=true"]
        if peer.endpoint is not None:
            lines.append(f"endpoint={peer.endpoint}")
        lines.append(f"persistent_keepalive_interval={peer.keepalive}")
        lines += [f"allowed_ip={network}" for network in peer.allowed_ips]
    return "\n".join(lines) + "\n\n"


def update(wanted: Wireguard, before: Wireguard) -> str:
    """The request that changes a device from one to the other; peers that stay keep sessions."""
    lines = ["set=1"]
    if wanted.listen != before.listen:
        lines.append(f"listen_port={wanted.listen}")
    known = {peer.public_key: peer for peer in before.peers}
    for peer in wanted.peers:
        old = known.pop(peer.public_key, None)
        if peer == old:
            continue
        lines += [f"public_key={to_hex(peer.public_key)}", "replace_allowed_ips=true"]
        if peer.endpoint is not None:
            lines.append(f"endpoint={peer.endpoint}")
        lines.append(f"persistent_keepalive_interval={peer.keepalive}")
        lines += [f"allowed_ip={network}" for network in peer.allowed_ips]
    for key in known:
        lines += [f"public_key={to_hex(key)}", "remove=true"]
    return "\n".join(lines) + "\n\n"


def parse(text: str) -> DeviceStatus:
    """What a device says of itself (`get=1`)."""
    pairs = [line.partition("=")[::2] for line in text.splitlines() if line]
    device = dict(pairs[: _first_peer(pairs)])
    private = device.get("private_key", "")
    return DeviceStatus(
        has_key=bool(private.strip("0")),
        private_key=to_base64(private) if private.strip("0") else "",
        listen=int(device.get("listen_port", 0)),
        peers=tuple(_peers(pairs[_first_peer(pairs) :])),
    )


def _first_peer(pairs: list[tuple[str, str]]) -> int:
    return next(
        (place for place, (name, _) in enumerate(pairs) if name == "public_key"), len(pairs)
    )


def _peers(pairs: list[tuple[str, str]]) -> Iterator[PeerStatus]:
    starts = [place for place, (name, _) in enumerate(pairs) if name == "public_key"]
    for start, end in zip(starts, [*starts[1:], len(pairs)], strict=True):
        fields = dict(pairs[start:end])
        yield PeerStatus(
            public_key=to_base64(fields["public_key"]),
            endpoint=fields.get("endpoint"),
            allowed_ips=tuple(
                sorted(value for name, value in pairs[start:end] if name == "allowed_ip")
            ),
            keepalive=int(fields.get("persistent_keepalive_interval", 0)),
            handshake=int(fields.get("last_handshake_time_sec", 0)),
            bytes_in=int(fields.get("rx_bytes", 0)),
            bytes_out=int(fields.get("tx_bytes", 0)),
        )
