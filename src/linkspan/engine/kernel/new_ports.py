"""Making ports of nodes' interfaces, one or many of a bridge.

Many are made in one request to the kernel, then all are marked at the bridge, then all in their
nodes: what one of them costs is the kernel's work and little else. An interface can't be made and
marked in one step, so what a killed command left unmarked, or marked at one end, may be in the way.
That is looked at where the kernel refuses to make a port, and not before each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from linkspan.engine.base import Failed
from linkspan.engine.kernel.messages import add_port
from linkspan.engine.kernel.ownership import Recipe, remove_left, remove_unfinished
from linkspan.engine.netlink import Netlink, Request, set_link, without_ipv6_address
from linkspan.engine.site import Site
from linkspan.errors import Refusal
from linkspan.model.names import Mark
from linkspan.model.state import Port, PortKey
from linkspan.plan.change import Change


@dataclass(frozen=True, slots=True)
class NewPort:
    """A port that is to be made."""

    change: Change
    key: PortKey
    wanted: Port
    near: str
    """What the bridge's end is to be called."""
    mark: Mark


def make_ports(
    site: Site,
    netlink: Netlink,
    bridge: int,
    ports: Sequence[NewPort],
    set_options: Callable[[NewPort], None],
) -> None:
    """Make ports of the bridge with that number in the namespace of `netlink`; `set_options` gives
    one its options.

    Raises Failed for the first that the kernel refuses; of those behind it some may be there.
    """
    requests = [_request(site, bridge, port) for port in ports]
    refusals = netlink.attempt(requests)
    for port, request, refusal in zip(ports, requests, refusals, strict=True):
        if refusal is not None:
            _make_room(site, netlink, port)
            _require([port], netlink.attempt([request]))
    marks = [set_link(port.near, alias=str(port.mark)) for port in ports]
    _require(ports, netlink.attempt(marks))
    keep_from_addresses(netlink, [port.near for port in ports])
    for port in ports:
        set_options(port)
    for port in ports:
        far = site.netlink(port.key.node)
        _require([port], far.attempt([set_link(port.key.interface, alias=str(port.mark))]))


def _request(site: Site, bridge: int, port: NewPort) -> Request:
    try:
        network = site.network(port.key.node)
    except Refusal as error:
        raise Failed.of(port.change, error) from None
    mac, mtu = port.wanted.mac, port.wanted.mtu
    return add_port(port.near, bridge, port.key.interface, network, mac, mtu)


def _make_room(site: Site, netlink: Netlink, port: NewPort) -> None:
    """Remove what a killed command left of a port, or other hands of one that was there."""
    recipe = Recipe(port.mark, "veth", port.wanted.mac)
    remove_unfinished(site.netlink(port.key.node), port.key.interface, recipe)
    remove_left(netlink, port.near, port.mark)


def _require(ports: Sequence[NewPort], refusals: Sequence[Refusal | None]) -> None:
    for port, refusal in zip(ports, refusals, strict=True):
        if refusal is not None:
            raise Failed.of(port.change, refusal)


def keep_from_addresses(netlink: Netlink, ports: Sequence[str]) -> None:
    """Keep the kernel from giving ports link-local addresses of their own. Where it refuses, there
    is no IPv6 on the port, whose MTU is below 1280, or in the kernel.
    """
    netlink.attempt([without_ipv6_address(port) for port in ports])
