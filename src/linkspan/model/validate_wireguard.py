"""Checks of WireGuard interfaces: their peers, how these are reached, what is behind them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from linkspan.model.flaw import Flaw, brief, label, names_of, resembling
from linkspan.model.position import Path
from linkspan.model.topology import HOST, Topology
from linkspan.model.wireguard import WireguardLink
from linkspan.model.wireguard_peers import (
    OVERHEAD_BYTES,
    all_stations,
    find,
    mtu_of,
    peers,
    underlays,
)
from linkspan.model.wireguard_shapes import split_endpoint

_ALL_LINKS: tuple[Path, ...] = (("links",),)


def wireguards(topology: Topology) -> Iterator[Flaw]:
    """Everything that can be wrong with WireGuard interfaces, as far as the file shows it."""
    ports: dict[tuple[str, int], Path] = {}
    for number, link in topology.wireguards():
        path: Path = ("links", number)
        if link.node != HOST and link.node not in topology.nodes:
            yield _no_node(topology, path, link)
            continue
        if link.listen is not None:
            first = ports.setdefault((link.node, link.listen), path)
            if first is not path:
                yield Flaw(
                    (*path, "listen"),
                    f"{label(path)}: {brief(link.node)} listens on port {link.listen} already",
                    expected="a UDP port of its own",
                    found=f"{label(first)} at {{also}}",
                    next_step="choose another port",
                    also=first,
                    needs=_ALL_LINKS,
                )
        yield from _peers(topology, path, link)
        yield from _overlaps(topology, path, link)
        yield from _ways(topology, path, link)
        yield from _fit(topology, path, link)


def _no_node(topology: Topology, path: Path, link: WireguardLink) -> Flaw:
    near = resembling(link.node, [HOST, *topology.nodes])
    declare = f"declare {brief(link.node)} under nodes"
    return Flaw(
        (*path, "node"),
        f"{label(path)}: there is no node {brief(link.node)}",
        expected=names_of("a node of the file", [HOST, *topology.nodes]),
        next_step=f"write {near}, or {declare}" if near else declare,
        needs=(*_ALL_LINKS, ("nodes", link.node)),
    )


def _of(where: Path) -> tuple[Path, ...]:
    """What has to be right for anything to be said of a peer."""
    keys = ("peer", "public-key", "endpoint", "allowed-ips")
    interface: Path = where[:2]
    return (*_ALL_LINKS, (*interface, "listen"), *((*where, key) for key in keys))


def _peers(topology: Topology, path: Path, link: WireguardLink) -> Iterator[Flaw]:
    taken: dict[str, Path] = {}
    for place, peer in enumerate(link.peers):
        where: Path = (*path, "peers", place)
        if (peer.peer is None) == (peer.public_key is None):
            yield Flaw(
                where,
                f"{label(where)}: it is not clear who the peer is",
                expected="either peer or public-key",
                found="both" if peer.peer else "neither",
                next_step="write `peer: ` and a node of the file, or the other's public key",
                needs=_of(where),
            )
            continue
        other = find(topology, peer.peer) if peer.peer else None
        if peer.peer and other is None:
            having = [one.node for _, one in topology.wireguards() if one is not link]
            yield Flaw(
                (*where, "peer"),
                f"{label(where)}: {brief(peer.peer)} has no WireGuard interface",
                expected=names_of("a node that has one", having),
                next_step="declare one there under links, or write its public-key",
                needs=_of(where),
            )
            continue
        if other is link or (peer.public_key is not None and peer.public_key == link.public_key):
            yield Flaw(
                where,
                f"{label(where)}: this is a tunnel to itself",
                expected="the interface of another node",
                next_step="write the other node",
                needs=_of(where),
            )
            continue
        identity = f"{other.node}:{other.name}" if other else str(peer.public_key)
        first = taken.setdefault(identity, where)
        if first is not where:
            yield Flaw(
                where,
                f"{label(where)}: this peer is there twice",
                expected="each peer once",
                found=f"{label(first)} at {{also}}",
                next_step="write the allowed-ips of both under one of them",
                also=first,
                needs=_of(where),
            )
        yield from _own_endpoint(topology, where, link, peer.endpoint)


def _own_endpoint(
    topology: Topology, where: Path, link: WireguardLink, endpoint: str | None
) -> Iterator[Flaw]:
    if endpoint is None:
        return
    address, port = split_endpoint(endpoint)
    own = {
        text.partition("/")[0]
        for way in all_stations(topology, link.node)
        for text in way.addresses
    }
    if address in own and port == link.listen:
        yield Flaw(
            (*where, "endpoint"),
            f"{label(where)}: this is a tunnel to itself",
            expected="the address of another host",
            found=f"{endpoint}, which is {brief(link.node)} itself",
            next_step="correct the endpoint",
            needs=_of(where),
        )


def _overlaps(topology: Topology, path: Path, link: WireguardLink) -> Iterator[Flaw]:
    """What is behind two peers: packets would go to the one that was told last. A network within
    everything (0.0.0.0/0) is the ordinary exception.
    """
    seen: list[tuple[str, int]] = []
    for peer in peers(topology, link):
        for text in peer.allowed_ips:
            network = ip_network(text)
            for other, place in seen:
                known = ip_network(other)
                if place == peer.number or known.version != network.version:
                    continue
                same = known == network
                if same or (known.prefixlen and network.prefixlen and known.overlaps(network)):
                    where: Path = (*path, "peers", peer.number)
                    first: Path = (*path, "peers", place)
                    yield Flaw(
                        where,
                        f"{label(where)}: {network} overlaps what is behind another peer",
                        expected="each address behind one peer only",
                        found=f"{known} of {label(first)} at {{also}}",
                        next_step="take it from the allowed-ips of one of them",
                        also=first,
                        needs=_of(where),
                    )
                    break
            seen.append((text, peer.number))


def _ways(topology: Topology, path: Path, link: WireguardLink) -> Iterator[Flaw]:
    """One of two peers has to know where the other is, or none can begin."""
    for peer in peers(topology, link):
        if peer.endpoint is not None:
            continue
        reference = link.peers[peer.number].peer
        other = find(topology, reference) if reference else None
        where: Path = (*path, "peers", peer.number)
        if other is None and link.listen is None:
            yield Flaw(
                where,
                f"{label(where)}: neither side can begin",
                expected="an endpoint of the peer, or a port that it finds us at",
                next_step="write `endpoint: ` here, or `listen: ` at the interface",
                needs=_of(where),
            )
        elif other is not None:
            back = [
                each
                for each in peers(topology, other)
                if (name := other.peers[each.number].peer) and find(topology, name) is link
            ]
            if not back or all(each.endpoint is None for each in back):
                yield Flaw(
                    where,
                    f"{label(where)}: neither side can begin",
                    expected="an endpoint at one of the two",
                    found="none at either"
                    if back
                    else f"no peer {brief(link.node)} at {brief(other.node)}",
                    next_step=f"write `listen: 51820` at {brief(other.node)}, or an endpoint",
                    needs=_of(where),
                )


def _fit(topology: Topology, path: Path, link: WireguardLink) -> Iterator[Flaw]:
    mtu = mtu_of(topology, link)
    for peer, way, version in underlays(topology, link):
        room = OVERHEAD_BYTES[version]
        if mtu > way.mtu - room:
            where: Path = (*path, "peers", peer.number)
            yield Flaw(
                (*path, "mtu"),
                f"{label(path)}: its packets do not fit on the way to {label(where[-2:])}",
                expected=f"an MTU of at most {way.mtu - room}: that of {way.interface} of "
                f"{brief(link.node)}, {way.mtu}, less {room}",
                found=f"{mtu} bytes",
                next_step=f"write `mtu: {way.mtu - room}`, or leave mtu out",
                needs=_of(where),
            )
