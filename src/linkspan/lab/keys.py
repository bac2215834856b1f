"""The keys of a lab's WireGuard interfaces: read from files, found again, or made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from linkspan.errors import Fault, Mistake
from linkspan.model.link import AnyLink
from linkspan.model.state import State, Wireguard, WireguardKey
from linkspan.model.topology import Topology
from linkspan.model.wireguard import WireguardLink
from linkspan.services.wireguard_keys import generate, keep, kept, public_of, read_private

Keys = Mapping[int, str]
"""Private keys, by the place of their link in the file."""


def with_keys(
    folder: Path, applied: State, topology: Topology, beside: Path
) -> tuple[Topology, Keys]:
    """The topology with the public key of every WireGuard interface, and the private ones, which
    are not kept yet. Paths of files are from `beside`. Raises Mistake.
    """
    private = {
        number: _private(folder, applied, link, number, beside)
        for number, link in topology.wireguards()
    }
    public = {number: public_of(key) for number, key in private.items()}
    links = tuple(
        _with_key(link, number, public) if number in public else link
        for number, link in enumerate(topology.links)
    )
    return replace(topology, links=links), private


def keep_keys(folder: Path, private: Keys) -> None:
    """Keep private keys in a lab's folder, which is there by now. Raises OSError."""
    for key in private.values():
        keep(folder, key)


def _private(folder: Path, applied: State, link: WireguardLink, number: int, beside: Path) -> str:
    if link.private_key_file is not None:
        return read_private(beside / Path(link.private_key_file).expanduser(), number)
    match applied.get(WireguardKey(link.node, link.name)):
        case Wireguard(public_key=public) if public and (key := kept(folder, public)):
            return key
    return generate()


def _with_key(link: AnyLink, number: int, public: Mapping[int, str]) -> AnyLink:
    assert isinstance(link, WireguardLink)
    own = public[number]
    if link.public_key not in (None, own):
        raise Mistake(
            Fault(
                f"link {number + 1}: public-key is not that of its private key",
                expected=own,
                found=str(link.public_key),
                next_step="leave public-key out, or correct private-key-file",
                path=("links", number, "public-key"),
            )
        )
    if any(peer.public_key == own for peer in link.peers):
        raise Mistake(
            Fault(
                f"link {number + 1}: this is a tunnel to itself: a peer has its own public key",
                expected="the key of another interface",
                found=own,
                next_step="write the other's public key",
                path=("links", number, "peers"),
            )
        )
    return replace(link, public_key=own)
