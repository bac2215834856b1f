"""A running lab as a state: its nodes' namespaces and its switches, read by one process inside."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator

from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import read_for_plan, read_namespace
from linkspan.engine.site import Site
from linkspan.engine.stack import setting_file
from linkspan.engine.user.reading import read_user
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.state import Node, NodeKey, Setting, SettingKey, State
from linkspan.plan.current import Fact, kernel_bridges, stacks, steady, wires
from linkspan.sandbox.namespaces import inside
from linkspan.services.running import read_services


def read_state(site: Site, known: State) -> State:
    """Everything that there is of a lab. What no reading tells comes from what is `known` of it:
    which kinds the nodes are of, and which settings somebody cares for.

    Raises Refusal or OSError.
    """
    nodes = {node: read_node(site, node, read_for_plan) for node in site.nodes()}
    observed = dict(
        [
            *((NodeKey(node), known.get(NodeKey(node), Node(kind="container"))) for node in nodes),
            *_settings(site, nodes, known),
            *kernel_bridges(site.lab, nodes),
            *read_user(site, nodes),
            *wires(site.lab, nodes),
            *stacks(nodes, time.time()),
            *read_services(site),
        ]
    )
    return steady(observed, known)


def read_node(
    site: Site, node: str, read: Callable[[Dumps], NamespaceSnapshot] = read_namespace
) -> NamespaceSnapshot:
    """What there is in one node. Raises Refusal or OSError."""
    with inside(site.network(node)), Dumps() as dumps:
        return read(dumps)


def _settings(site: Site, nodes: Collection[str], known: State) -> Iterator[Fact]:
    for key in known:
        if isinstance(key, SettingKey) and key.node in nodes:
            # An interface that is not there yet has no settings.
            with inside(site.network(key.node)), contextlib.suppress(FileNotFoundError):
                words = setting_file(key.name).read_text().split()
                yield key, Setting(text=" ".join(words))
