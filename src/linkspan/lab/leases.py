"""Which addresses a lab's bridges have lent, and which ones its nodes got."""

from __future__ import annotations

from linkspan.control.client import Client
from linkspan.control.descriptors import close_all
from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import read_namespace
from linkspan.lab.find import Place
from linkspan.lab.lent import lent
from linkspan.lab.observe import fetch_network, require_topology
from linkspan.model.snapshot import LeaseSnapshot
from linkspan.model.topology import Topology
from linkspan.sandbox.namespaces import inside


def leases(place: Place) -> list[LeaseSnapshot]:
    """What the bridges of a running lab have lent, by bridge and address. Raises LinkspanError."""
    return lent(place.folder, require_topology(place))


def leased_addresses(init: Client, topology: Topology) -> dict[str, list[str]]:
    """By node: the addresses, without prefix lengths, that its interfaces got from the network.

    The caller is inside the lab's namespaces. Raises LinkspanError or OSError.
    """
    found = {}
    for node, declared in topology.nodes.items():
        asking = {name: port for name, port in declared.ports.items() if port.asks}
        if not asking or topology.is_machine(node):
            continue
        network = fetch_network(init, node)
        try:
            with inside(network), Dumps() as dumps:
                there = read_namespace(dumps).addresses
        finally:
            close_all([network])
        found[node] = [
            each.address.partition("/")[0]
            for each in there
            if each.interface in asking
            and each.scope == "global"
            and each.address not in asking[each.interface].fixed
        ]
    return found
