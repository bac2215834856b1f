"""What the machine as it is asks of a lab of scope host, beyond what the file declares.

    a firewall of Docker's drops a bridge's packets     rules of ours in its chain for others
    any other firewall does                             a mistake, with what its owner can do
    a machine that becomes a router listens to routers  it goes on listening (`accept_ra` 2)

A machine that becomes a router of IPv6 would forget the default route that it was told of, and not
listen any more (`plan.forwarding`); those of its interfaces that listened go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface, ip_network
from typing import Final

from linkspan.errors import Fault
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface
from linkspan.model.rules import Pass, Rules, RulesKey
from linkspan.model.state import Setting, SettingKey, State
from linkspan.model.topology import HOST, Topology
from linkspan.plan.forwarding import IPV6_FORWARDING
from linkspan.services.frames import frames, switched
from linkspan.services.obstacles import obstacles
from linkspan.services.traffic import Server, asked, forwarded

_LISTENING: Final = "net/ipv6/conf/{}/accept_ra"
_ROUTERS_TOO: Final = 2


def surroundings(
    topology: Topology, wanted: State, applied: State, machine: NamespaceSnapshot
) -> tuple[State, list[Fault]]:
    """Facts that a lab needs on this machine, and what stands in its way. The caller is in the
    machine's namespace. Raises OSError, Refusal or Missing.
    """
    found: State = dict(_listening(wanted, applied, machine))
    rules = wanted.get(RulesKey(HOST))
    others = {version: _default_interface(machine, version) for version in (4, 6)}
    packets = [
        *forwarded(rules if isinstance(rules, Rules) else Rules(), others),
        *(packet for server in _servers(topology) for packet in asked(server)),
        *frames(switched(topology, wanted)),
    ]
    in_the_way = obstacles(topology.name, packets)
    found |= dict.fromkeys(in_the_way.passes, Pass())
    return found, in_the_way.faults


def _servers(topology: Topology) -> Iterator[Server]:
    for name, bridge in topology.bridges.items():
        if bridge.node == HOST and (bridge.dhcp or bridge.dns):
            versions = dict.fromkeys(ip_interface(text).version for text in bridge.address)
            yield Server(
                name,
                gives_addresses=bridge.dhcp is not None,
                knows_names=bridge.dns is not None,
                versions=tuple(versions),
            )


def _default_interface(machine: NamespaceSnapshot, version: int) -> str | None:
    """By which interface the machine reaches others; None when there is none, or not one alone."""
    names = {
        route.interface
        for route in machine.routes
        if (to := ip_network(route.destination)).version == version and not to.prefixlen
    }
    return names.pop() if len(names) == 1 else None


def _listening(
    wanted: State, applied: State, machine: NamespaceSnapshot
) -> Iterator[tuple[SettingKey, Setting]]:
    if wanted.get(SettingKey(HOST, IPV6_FORWARDING)) != Setting(text="1"):
        return
    for interface in machine.interfaces:
        key = SettingKey(HOST, _LISTENING.format(interface.name))
        is_ours = interface.mark is not None or interface.kind == "loopback"
        if key not in wanted and not is_ours and (key in applied or _listens(interface)):
            yield key, Setting(text=str(_ROUTERS_TOO))


def _listens(interface: Interface) -> bool:
    found = interface.ipv6.get("accept_ra")
    if interface.master is not None:
        return False
    return found == _ROUTERS_TOO or (found == 1 and interface.ipv6.get("forwarding") == 0)
