"""Where published ports lead: the addresses of a node that the file knows of beforehand."""

from __future__ import annotations

from linkspan.model.address_shapes import parse_interface
from linkspan.model.publish import Publish
from linkspan.model.segments import segment
from linkspan.model.topology import Topology


def targets(topology: Topology, bridge: str, forward: Publish) -> dict[int, str]:
    """By IP version: the address on the bridge's network that a forward leads to. A node that asks
    for its address has one that is known if it has a fixed lease.
    """
    address = forward.address
    if address is not None:
        return {address.version: str(address)}
    node, dhcp = topology.nodes.get(forward.target), topology.bridges[bridge].dhcp
    found: dict[int, str] = {}
    joined = segment(topology, bridge)
    for port in node.ports.values() if node else ():
        if port.bridge in joined:
            for text in port.fixed:
                own = parse_interface(text)
                found.setdefault(own.version, str(own.ip))
            if port.asks and dhcp:
                for version in (4, 6):
                    if lease := dhcp.lease_of(forward.target, version):
                        found.setdefault(version, lease)
    return found
