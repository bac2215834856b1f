"""Carrying out changes of WireGuard interfaces, and reading them: by the kernel's module where it
is there, by wireguard-go where it is not.

Which of the two an interface is shows by its kind. A port that was left to the kernel, and where a
peer was found, are the device's own affair: for those the configuration counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from msgspec.structs import replace

from linkspan.engine.site import Site
from linkspan.errors import Bug, Refusal
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.link_facts import WireguardPeer
from linkspan.model.names import Mark
from linkspan.model.state import Wireguard, WireguardKey
from linkspan.plan.change import Change
from linkspan.services import wireguard_go, wireguard_kernel
from linkspan.services.wireguard_api import DeviceStatus
from linkspan.services.wireguard_go import GoWireguards
from linkspan.services.wireguard_kernel import KernelWireguards
from linkspan.services.wireguard_keys import kept, public_of
from linkspan.services.wireguard_places import mark_of

Makers: TypeAlias = KernelWireguards | GoWireguards


def require_wireguard() -> None:
    """Raises Missing where neither the kernel has WireGuard nor wireguard-go is there."""
    if not wireguard_kernel.is_offered():
        wireguard_go.find_program()


class Wireguards:
    """WireGuard interfaces of one lab."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kernel, self._go = KernelWireguards(site), GoWireguards(site)

    def carry_out(self, change: Change) -> None:
        """Carry out a change of a WireGuard interface. Raises Refusal, OSError or Missing."""
        match change:
            case Change(key=WireguardKey() as key, after=None):
                self._remove(key)
            case Change(key=WireguardKey() as key, before=None, after=Wireguard() as after):
                self._remove(key)
                self._add(key, after)
            case Change(
                key=WireguardKey() as key, before=Wireguard() as before, after=Wireguard() as after
            ):
                is_there = wireguard_kernel.is_there(self._site, key)
                maker: Makers = self._kernel if is_there else self._go
                maker.change(key, before, after)
            case _:
                raise Bug(f"no WireGuard is meant by {change.explain()}")

    def _add(self, key: WireguardKey, wanted: Wireguard) -> None:
        if not wanted.public_key:
            return  # the way back to one that did not work
        if kept(self._site.folder, wanted.public_key) is None:
            raise Refusal(f"the private key of {key.interface} of {key.node} is not there any more")
        maker: Makers = self._kernel if wireguard_kernel.is_offered() else self._go
        maker.add(key, wanted)

    def _remove(self, key: WireguardKey) -> None:
        self._kernel.remove(key)
        self._go.remove(key)


def read_wireguards(
    site: Site, nodes: Mapping[str, NamespaceSnapshot]
) -> Iterator[tuple[WireguardKey, Wireguard]]:
    """The WireGuard interfaces that a lab has, each with the key of its peers and its own."""
    for node, found in nodes.items():
        for each in found.interfaces:
            key = WireguardKey(node, each.name)
            if each.mark != Mark(site.lab, mark_of(key)):
                continue
            if each.kind == wireguard_kernel.KIND:
                configured = wireguard_kernel.configured(site, key)
                status = wireguard_kernel.look(site, key)
            else:
                configured = wireguard_go.configured(site, key)
                status = wireguard_go.look_patiently(site.folder, key) if configured else None
            if status is None or configured is None:
                yield key, Wireguard(public_key="", listen=0, mtu=each.mtu, peers=())
            else:
                yield key, replace(as_fact(status, configured), mtu=each.mtu)


def as_fact(status: DeviceStatus, configured: Wireguard) -> Wireguard:
    """What a device says of itself as a fact; what it may choose by itself is as configured."""
    endpoints = {peer.public_key: peer.endpoint for peer in configured.peers}
    found = [
        WireguardPeer(
            public_key=peer.public_key,
            allowed_ips=peer.allowed_ips,
            endpoint=endpoints.get(peer.public_key, peer.endpoint),
            keepalive=peer.keepalive,
        )
        for peer in status.peers
    ]
    return Wireguard(
        public_key=public_of(status.private_key) if status.has_key else "",
        listen=status.listen if configured.listen else 0,
        mtu=configured.mtu,
        peers=tuple(sorted(found, key=lambda peer: peer.public_key)),
    )
