"""WireGuard: an interface of a node whose packets go to peers, encrypted, over UDP.

A peer is another WireGuard interface of the file (`peer: NODE`), and then nothing of it has to be
written twice, or one that somebody else runs (`public-key: …`).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from linkspan.model.base import Value
from linkspan.model.network import NetworkText
from linkspan.model.texts import AddressText, InterfaceName, Mtu, Reference

EndpointText = Annotated[
    str,
    Meta(
        pattern=r"^(\[[0-9a-fA-F:.]+\]|[0-9.]+):[0-9]{1,5}$",
        extra={"shape": "endpoint"},
        examples=["192.0.2.7:51820", "[fd00:1::7]:51820"],
    ),
]
KeyText = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9+/]{43}=$",
        extra={"shape": "key"},
        examples=["xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="],
    ),
]
PathText = Annotated[str, Meta(min_length=1, extra={"shape": "path"})]

_Seconds = Annotated[int, Meta(ge=1, le=65535)]
_Port = Annotated[int, Meta(ge=1, le=65535)]


class WireguardPeer(Value, frozen=True, kw_only=True):
    """Somebody at the other end of a WireGuard interface."""

    peer: Annotated[
        Reference | None,
        Meta(description="A node of the file that has a WireGuard interface: `b`, or `b:wg1`."),
    ] = None
    public_key: Annotated[
        KeyText | None, Meta(description="Public key of a peer that the file does not declare.")
    ] = None
    allowed_ips: Annotated[
        tuple[NetworkText, ...],
        Meta(
            description="Networks behind the peer, which get routes, but default routes do not. "
            "The addresses of a peer of the file are allowed by themselves."
        ),
    ] = ()
    endpoint: Annotated[
        EndpointText | None,
        Meta(
            description="Where the peer is reached; that of a peer of the file that listens, and "
            "is a neighbour, is worked out."
        ),
    ] = None
    keepalive: Annotated[
        _Seconds | None,
        Meta(description="Seconds between packets that keep the way open through a NAT."),
    ] = None


class WireguardLink(Value, frozen=True, kw_only=True, tag_field="kind", tag="wireguard"):
    """A WireGuard interface of a node.

    Its MTU, left out, is that of the way to its endpoints less 80 bytes, or 1420.
    """

    node: Annotated[Reference, Meta(description="The node: `host`, or one of the file.")]
    name: Annotated[InterfaceName, Meta(description="Name of the interface.")] = "wg0"
    address: Annotated[
        tuple[AddressText, ...],
        Meta(description="IPv4 and IPv6 addresses of the interface, each with its prefix length."),
    ] = ()
    listen: Annotated[
        _Port | None, Meta(description="UDP port; left out, one that the kernel chooses.")
    ] = None
    mtu: Annotated[Mtu | None, Meta(description="Largest packet in bytes.")] = None
    private_key_file: Annotated[
        PathText | None,
        Meta(
            description="File that holds the private key, as `wg genkey` writes it; left out, a "
            "key is made and kept as long as the lab is there."
        ),
    ] = None
    config: Annotated[
        PathText | None,
        Meta(
            description="File of wg-quick that says all of this, beside `node` and `name`: "
            "Address, ListenPort, MTU, PrivateKey and peers."
        ),
    ] = None
    peers: Annotated[tuple[WireguardPeer, ...], Meta(description="The other ends.")] = ()
    public_key: Annotated[
        KeyText | None,
        Meta(description="Public key; worked out, and compared with the private one if given."),
    ] = None
