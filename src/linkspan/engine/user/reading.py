"""What there is of the user engine's bridges: asked of init, of the processes and of the devices.

What the answers amount to is in `facts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import msgspec

from linkspan.control.client import Client, Unanswered
from linkspan.engine.kernel.links import look
from linkspan.engine.site import Site
from linkspan.engine.user.configuration import SwitchConfiguration, service_name
from linkspan.engine.user.facts import Fact, Nodes, facts
from linkspan.engine.user.interfaces import OF_SWITCH, near_name
from linkspan.model.names import Mark
from linkspan.model.snapshot import BridgeSnapshot
from linkspan.sandbox.state import bridge_socket

_ATTEMPTS = 3


def read_user(site: Site, nodes: Nodes) -> Iterator[Fact]:
    """The user engine's bridges, ports of all kinds and configured entries of a lab, by what
    was read of its nodes' namespaces. Raises Refusal when a switch does not answer.
    """
    configured = list(configurations(site))
    pairs = [(each, _ask(site, each.name)) for each in configured]
    return facts(site.lab, nodes, pairs, _machine_taps(site, configured))


def configurations(site: Site) -> Iterator[SwitchConfiguration]:
    """What init has for the switches of a lab."""
    for service in site.init.call("status")["services"]:
        if service.startswith(service_name("")):
            answer = site.init.call("configuration", name=service)
            yield msgspec.convert(answer["configuration"], SwitchConfiguration)


def _machine_taps(site: Site, configured: Iterable[SwitchConfiguration]) -> dict[str, int]:
    """The taps of virtual machines that there are: their MTU by the name of the port."""
    found = {}
    for port in (port for each in configured for port in each.ports):
        if port.machine and port.kind != "dgram":
            near = near_name(site.lab, "port", str(port.node), str(port.interface))
            tap = look(site.own, near)
            if tap is not None and tap.alias == str(Mark(site.lab, OF_SWITCH + port.name)):
                found[port.name] = tap.mtu
    return found


def _ask(site: Site, bridge: str) -> BridgeSnapshot:
    """What a switch says of itself; one that ends before it answers is asked again, as its socket
    outlives it."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(Unanswered):
            return _ask_once(site, bridge)
    return _ask_once(site, bridge)


def _ask_once(site: Site, bridge: str) -> BridgeSnapshot:
    with Client(bridge_socket(site.folder, bridge)) as client:
        return msgspec.convert(client.call("snapshot")["bridge"], BridgeSnapshot)
