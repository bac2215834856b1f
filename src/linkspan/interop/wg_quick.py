"""WireGuard interfaces as wg-quick's configuration files.

The private key is not in what is written, but named in the way that wg-quick(8) suggests, so that
the text can be shown to anybody: `PostUp = wg set %i private-key FILE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from linkspan.model.wireguard import WireguardLink
from linkspan.model.wireguard_peers import Peer


def write(link: WireguardLink, peers: Iterable[Peer], mtu: int, key_file: str) -> str:
    """The configuration of an interface whose private key is in `key_file`."""
    lines = ["[Interface]", *_line("Address", ", ".join(link.address))]
    lines += [*_line("ListenPort", link.listen), f"MTU = {mtu}"]
    lines.append(f"PostUp = wg set %i private-key {key_file}")
    for peer in peers:
        lines += ["", "[Peer]", f"PublicKey = {peer.public_key}"]
        lines += [*_line("AllowedIPs", ", ".join(peer.allowed_ips))]
        lines += [*_line("Endpoint", peer.endpoint)]
        lines += [*_line("PersistentKeepalive", peer.keepalive or None)]
    return "\n".join(lines) + "\n"


def _line(name: str, value: object) -> Iterator[str]:
    if value:
        yield f"{name} = {value}"
