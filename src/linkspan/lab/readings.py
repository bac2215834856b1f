"""A running lab as a state: its nodes' namespaces and its switches, read by one process inside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from linkspan.engine.kernel.lines import read_lines, wire_lines, with_lines
from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import read_for_plan, read_namespace
from linkspan.engine.site import Site
from linkspan.engine.user.reading import read_user
from linkspan.lab.settings import read_settings
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.rules import Rules
from linkspan.model.state import Node, NodeKey, State
from linkspan.plan.current import stacks, steady
from linkspan.plan.current_bridges import kernel_bridges
from linkspan.plan.current_links import wires
from linkspan.plan.guests import guests
from linkspan.sandbox.namespaces import inside
from linkspan.services.commands import read_commands
from linkspan.services.firewall import read_rules
from linkspan.services.machines import read_machines
from linkspan.services.mounts import read_mounts
from linkspan.services.passes import read_passes
from linkspan.services.running import read_services
from linkspan.services.wireguard import read_wireguards


def read_state(site: Site, desired: State, *remembered: State) -> State:
    """Everything that there is of a lab. What no reading tells comes from what is known of it, the
    later ones first: which kinds the nodes are of, which settings somebody cares for, which rules
    a digest stands for.

    Raises Refusal or OSError.
    """
    states = (desired, *remembered)
    known = {key: value for state in states for key, value in state.items()}
    names = site.nodes()
    site.find_networks(names)
    nodes = {node: read_node(site, node, read_for_plan) for node in names}
    observed: State = dict(
        [
            *((NodeKey(node), known.get(NodeKey(node), Node(kind="container"))) for node in nodes),
            *read_settings(site, desired),
            *read_rules(site, _hosts(nodes, known), _rules(states)),
            *read_passes(site, known),
            *kernel_bridges(site.lab, nodes),
            *read_lines(site, nodes, states),
            *read_user(site, nodes),
            *with_lines(wires(site.lab, nodes), wire_lines(site, nodes, states)),
            *guests(desired, nodes),
            *read_wireguards(site, nodes),
            *stacks(nodes, time.time()),
            *read_services(site),
            *read_machines(site.init),
            *read_mounts(site, states),
            *read_commands(site.init),
        ]
    )
    return steady(observed, known)


def read_node(
    site: Site, node: str, read: Callable[[Dumps], NamespaceSnapshot] = read_namespace
) -> NamespaceSnapshot:
    """What there is in one node. Raises Refusal or OSError."""
    with inside(site.network(node)), Dumps() as dumps:
        return read(dumps)


def _hosts(nodes: Iterable[str], known: State) -> list[str]:
    """The nodes that may carry bridges, and so rules."""
    return [node for node in nodes if known.get(NodeKey(node)) != Node(kind="container")]


def _rules(states: Iterable[State]) -> list[Rules]:
    return [value for state in states for value in state.values() if isinstance(value, Rules)]
