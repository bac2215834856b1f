"""What a network's rules and services let pass, as packets that every firewall has to accept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from linkspan.model.rules import Network, Rules
from linkspan.services.packets import Network as Prefix
from linkspan.services.packets import Packet, Way

_DHCP: Final = {4: (67, "broadcast"), 6: (547, "multicast")}
_DNS: Final = (53, "local")
"""Ports of servers, and the kind of address that they are asked at."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a bridge's dnsmasq is asked."""

    bridge: str
    gives_addresses: bool
    knows_names: bool
    versions: tuple[int, ...]


def forwarded(rules: Rules, others: Mapping[int, str | None]) -> Iterator[Packet]:
    """What networks with a way out send and get; `others` are the interfaces of the default routes
    by IP version.
    """
    for network in rules.networks:
        if network.forward == "none":
            continue
        for version in (4, 6):
            own = tuple(
                found
                for prefix in network.prefixes
                if (found := ip_network(prefix)).version == version
            )
            if own:
                yield from _of(network, rules, version, own, others.get(version))


def _of(
    network: Network, rules: Rules, version: int, own: tuple[Prefix, ...], other: str | None
) -> Iterator[Packet]:
    name = network.bridge

    def packet(way: Way, words: str, is_new: bool = True, is_translated: bool = False) -> Packet:
        return Packet(
            way, name, version, words, other, own, is_new=is_new, is_translated=is_translated
        )

    yield packet(Way.OUT, f"what comes from {name}")
    yield packet(Way.IN, f"answers to {name}", is_new=False)
    if network.forward == "routed":
        yield packet(Way.IN, f"what goes to {name}")
    published = (each for each in rules.forwards if each.bridge == name)
    if any((":" in each.target) == (version == 6) for each in published):
        yield packet(Way.IN, f"what goes to published ports of {name}", is_translated=True)


def asked(server: Server) -> Iterator[Packet]:
    """What a bridge's dnsmasq is asked."""
    for version in server.versions:
        ports = [("DHCP", _DHCP[version])] if server.gives_addresses else []
        ports += [("names", _DNS)] if server.knows_names else []
        for what, (port, destination) in ports:
            yield Packet(
                Way.TO_NODE,
                server.bridge,
                version,
                f"questions for {what} on {server.bridge}",
                protocol="udp",
                port=port,
                destination=destination,
            )
