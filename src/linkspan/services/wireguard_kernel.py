"""WireGuard by the kernel's own module.

The interface is of kind `wireguard` and is configured over generic netlink, with pyroute2's codec
(include/uapi/linux/wireguard.h). It ends with its node's namespace; in scope host it carries the
lab's mark, and is removed by the plan like all that does. One that was made and not marked when a
command was killed is known by the journal (`remove_half_made`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from linkspan.engine.kernel.links import look as look_at
from linkspan.engine.kernel.ownership import Recipe, delete, remove_unfinished
from linkspan.engine.kernel.trial import in_new_namespace
from linkspan.engine.netlink import (
    CREATE_EXCLUSIVELY,
    NEWLINK,
    Netlink,
    Request,
    set_link,
)
from linkspan.engine.packed import IFLA_IFNAME, IFLA_MTU, kind_of, link_message, whole, words
from linkspan.engine.site import Site
from linkspan.errors import Refusal
from linkspan.model.link_facts import WireguardPeer
from linkspan.model.names import Mark
from linkspan.model.state import State, Wireguard, WireguardKey
from linkspan.model.wireguard_shapes import format_endpoint, split_endpoint
from linkspan.sandbox.namespaces import inside
from linkspan.services.wireguard_api import DeviceStatus, PeerStatus
from linkspan.services.wireguard_keys import file_of
from linkspan.services.wireguard_places import folder_of, mark_of
from linkspan.types import NO_MAC, format_mac

KIND: Final = "wireguard"
_CONFIGURED: Final = "device.json"
_ANY_MTU: Final = 1420


@cache
def is_offered() -> bool:
    """Whether this kernel has WireGuard, found out by trying it."""

    def work(netlink: Netlink) -> bytes:
        netlink.run([_add_link("wg0", _ANY_MTU)])
        return b""

    try:
        in_new_namespace(work)
    except Refusal:
        return False
    return True


def is_there(site: Site, key: WireguardKey) -> bool:
    """Whether an interface is the kernel's."""
    link = look_at(site.netlink(key.node), key.interface)
    return link is not None and link.kind == KIND


class KernelWireguards:
    """WireGuard interfaces of one lab that the kernel has."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add(self, key: WireguardKey, wanted: Wireguard) -> None:
        """Make an interface and configure it. Raises Refusal or OSError."""
        netlink = self._site.netlink(key.node)
        mark = str(Mark(self._site.lab, mark_of(key)))
        netlink.run([_add_link(key.interface, wanted.mtu), set_link(key.interface, alias=mark)])
        private = file_of(self._site.folder, wanted.public_key).read_text()
        with _socket(self._site, key) as wireguard:
            wireguard.set(key.interface, private_key=private, listen_port=wanted.listen)
            for peer in wanted.peers:
                wireguard.set(key.interface, peer=_request(peer))
        self._keep(key, wanted)

    def change(self, key: WireguardKey, before: Wireguard, after: Wireguard) -> None:
        """Configure an interface anew; peers that stay keep their sessions. Raises Refusal or
        OSError.
        """
        if before.mtu != after.mtu:
            self._site.netlink(key.node).run([set_link(key.interface, mtu=after.mtu)])
        known = {peer.public_key: peer for peer in before.peers}
        with _socket(self._site, key) as wireguard:
            if before.listen != after.listen:
                wireguard.set(key.interface, listen_port=after.listen)
            for peer in after.peers:
                if known.pop(peer.public_key, None) != peer:
                    wireguard.set(key.interface, peer=_request(peer))
            for public in known:
                wireguard.set(key.interface, peer={"public_key": public, "remove": True})
        self._keep(key, after)

    def remove(self, key: WireguardKey) -> None:
        """Remove an interface, or what is left of one. Raises Refusal."""
        if is_there(self._site, key):
            delete(self._site.netlink(key.node), key.interface, _recipe(self._site, key))
        _file(self._site, key).unlink(missing_ok=True)

    def _keep(self, key: WireguardKey, wanted: Wireguard) -> None:
        file = _file(self._site, key)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(wanted))


def configured(site: Site, key: WireguardKey) -> Wireguard | None:
    """What an interface was told last; None when it was told nothing."""
    try:
        return msgspec.json.decode(_file(site, key).read_bytes(), type=Wireguard)
    except (OSError, msgspec.DecodeError):
        return None


def look(site: Site, key: WireguardKey) -> DeviceStatus | None:
    """What an interface says of itself; None when it can't be asked."""
    try:
        with _socket(site, key) as wireguard:
            return _status(wireguard.info(key.interface))
    except (OSError, Refusal):
        return None


def remove_half_made(site: Site, nodes: Collection[str], begun: State) -> None:
    """Remove interfaces of a state that were made and not marked any more. Raises Refusal."""
    for key in begun:
        if isinstance(key, WireguardKey) and key.node in nodes:
            remove_unfinished(site.netlink(key.node), key.interface, _recipe(site, key))


def _recipe(site: Site, key: WireguardKey) -> Recipe:
    return Recipe(Mark(site.lab, mark_of(key)), KIND, format_mac(NO_MAC))


def _add_link(name: str, mtu: int) -> Request:
    parts = (words(IFLA_IFNAME, name), whole(IFLA_MTU, mtu), kind_of(KIND))
    return Request(
        f"make the WireGuard interface {name}",
        link_message(NEWLINK, CREATE_EXCLUSIVELY, *parts),
    )


def _file(site: Site, key: WireguardKey) -> Path:
    return folder_of(site.folder, key) / _CONFIGURED


@contextmanager
def _socket(site: Site, key: WireguardKey) -> Iterator[Any]:
    """A socket to the module in a node's namespace. Raises Refusal for what the kernel refuses."""
    from pyroute2 import WireGuard
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with inside(site.network(key.node)), WireGuard() as wireguard:
            yield wireguard
    except NetlinkError as error:
        raise Refusal(f"WireGuard refuses {key.interface} of {key.node}: {error}") from None


def _request(peer: WireguardPeer) -> dict[str, Any]:
    request: dict[str, Any] = {
        "public_key": peer.public_key,
        "persistent_keepalive": peer.keepalive,
        "replace_allowed_ips": True,
        "allowed_ips": list(peer.allowed_ips),
    }
    if peer.endpoint is not None:
        request["endpoint_addr"], request["endpoint_port"] = split_endpoint(peer.endpoint)
    return request


def _status(answers: Iterable[Any]) -> DeviceStatus:
    """The answer is in several messages when there are many peers; a peer with many networks is in
    several of them, each with some (wg_get_device_dump, drivers/net/wireguard/netlink.c).
    """
    private, listen = "", 0
    peers: dict[str, PeerStatus] = {}
    for answer in answers:
        key = answer.get_attr("WGDEVICE_A_PRIVATE_KEY")
        private = _text(key) if key else private
        listen = answer.get_attr("WGDEVICE_A_LISTEN_PORT") or listen
        for each in answer.get_attr("WGDEVICE_A_PEERS") or ():
            found = _peer(each)
            if (begun := peers.get(found.public_key)) is not None:
                networks = (*begun.allowed_ips, *found.allowed_ips)
                found = msgspec.structs.replace(begun, allowed_ips=tuple(sorted(networks)))
            peers[found.public_key] = found
    return DeviceStatus(bool(private), private, listen, tuple(peers.values()))


def _peer(attributes: Any) -> PeerStatus:
    endpoint = attributes.get_attr("WGPEER_A_ENDPOINT")
    handshake = attributes.get_attr("WGPEER_A_LAST_HANDSHAKE_TIME")
    networks = attributes.get_attr("WGPEER_A_ALLOWEDIPS") or ()
    return PeerStatus(
        public_key=_text(attributes.get_attr("WGPEER_A_PUBLIC_KEY")),
        endpoint=format_endpoint(endpoint["addr"], endpoint["port"]) if endpoint else None,
        allowed_ips=tuple(sorted(network["addr"] for network in networks)),
        keepalive=attributes.get_attr("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL") or 0,
        handshake=handshake["tv_sec"] if handshake else 0,
        bytes_in=attributes.get_attr("WGPEER_A_RX_BYTES") or 0,
        bytes_out=attributes.get_attr("WGPEER_A_TX_BYTES") or 0,
    )


def _text(key: bytes | str) -> str:
    return key.decode() if isinstance(key, bytes) else key
