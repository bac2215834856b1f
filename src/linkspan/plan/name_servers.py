"""Which name server knows a name: the bridge's own, or that of another bridge of the lab.

A fixed address is known to every name server of the lab. What a bridge has lent by DHCP only its
own dnsmasq knows, so the others are told to ask it: those on the same node, where the node itself
is to know all names, and those to whose network packets pass, since the one has a way out
(`forward: nat` or `routed`) and the other may be reached (`forward: routed`). In another domain
that is one line; in the same domain one for each node.

A name server on another node is asked through an interface that is not its bridge, where dnsmasq
answers nobody unless it is told the address (`iface_check`, src/network.c of dnsmasq 2.90).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface

from linkspan.model.bridge import Bridge
from linkspan.model.network import Forward
from linkspan.model.offers import fixed_addresses, holders
from linkspan.model.topology import Topology


def asked(topology: Topology, name: str) -> Iterator[str]:
    """The other bridges whose name servers that of a bridge asks."""
    bridge = topology.bridges[name]
    for other, far in topology.bridges.items():
        is_routed = (
            bridge.forward in (Forward.NAT, Forward.ROUTED) and far.forward is Forward.ROUTED
        )
        if other != name and far.dns and far.dhcp and (far.node == bridge.node or is_routed):
            yield other


def domains(topology: Topology, name: str) -> list[str]:
    """The domains in which names are looked for on a bridge's network, its own first."""
    found = [topology.bridges[name], *(topology.bridges[each] for each in asked(topology, name))]
    return list(dict.fromkeys(bridge.dns.domain for bridge in found if bridge.dns))


def forwards(topology: Topology, name: str) -> Iterator[str]:
    """Lines of a dnsmasq's configuration: whom the name server of a bridge asks for what."""
    dns = topology.bridges[name].dns
    elsewhere = set()
    known = {node for _, node, _ in fixed_addresses(topology)}
    known |= {node for node, _, _ in holders(topology, name)}
    for other in asked(topology, name):
        far = topology.bridges[other]
        if dns is None or far.dns is None:
            continue
        server = _address(far)
        if far.dns.domain != dns.domain:
            # Of several with one domain any knows all names in it, having been told as we are.
            if far.dns.domain not in elsewhere:
                elsewhere.add(far.dns.domain)
                yield f"server=/{far.dns.domain}/{server}"
            continue
        for node, _, _ in holders(topology, other):
            if node not in known:
                known.add(node)
                yield f"server=/{node}.{dns.domain}/{server}"


def heard_at(topology: Topology, name: str) -> Iterator[str]:
    """The addresses at which the name server of a bridge is asked from other nodes."""
    node = topology.bridges[name].node
    if any(
        far.node != node and far.dns and name in asked(topology, other)
        for other, far in topology.bridges.items()
    ):
        yield _address(topology.bridges[name])


def _address(bridge: Bridge) -> str:
    return str(ip_interface(bridge.address[0]).ip)
