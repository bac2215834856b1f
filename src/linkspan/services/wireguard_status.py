"""WireGuard interfaces of a running lab as `show` has them."""

from __future__ import annotations

from linkspan.engine.site import Site
from linkspan.model.snapshot import WireguardPeerSnapshot, WireguardSnapshot
from linkspan.model.state import WireguardKey
from linkspan.model.topology import Topology
from linkspan.services import wireguard_go, wireguard_kernel
from linkspan.services.wireguard_api import DeviceStatus, PeerStatus


def wireguards(
    site: Site, topology: Topology, now: float
) -> dict[tuple[str, str], WireguardSnapshot]:
    """By node and interface; one that does not answer is left out. `now` is in seconds since
    1970-01-01 UTC. Raises Refusal.
    """
    found: dict[tuple[str, str], WireguardSnapshot] = {}
    for _, link in topology.wireguards():
        key = WireguardKey(link.node, link.name)
        if wireguard_kernel.is_there(site, key):
            status = wireguard_kernel.look(site, key)
        else:
            status = wireguard_go.look(site.folder, key)
        if status is not None:
            found[link.node, link.name] = snapshot(status, link.public_key or "", now)
    return found


def snapshot(status: DeviceStatus, public_key: str, now: float) -> WireguardSnapshot:
    """What a device says of itself, without its private key."""
    return WireguardSnapshot(
        public_key=public_key,
        listen=status.listen,
        peers=[_peer(peer, now) for peer in status.peers],
    )


def _peer(peer: PeerStatus, now: float) -> WireguardPeerSnapshot:
    return WireguardPeerSnapshot(
        public_key=peer.public_key,
        endpoint=peer.endpoint,
        allowed_ips=list(peer.allowed_ips),
        keepalive=peer.keepalive,
        handshake_age=max(0.0, now - peer.handshake) if peer.handshake else None,
        bytes_in=peer.bytes_in,
        bytes_out=peer.bytes_out,
    )
