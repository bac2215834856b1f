"""Checks of options: what the engine of a bridge has, and what goes together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from linkspan.model.base import Engine
from linkspan.model.bridge_options import SHORTEST_FORWARD_DELAY, BridgeOptions, SpanningTree
from linkspan.model.flaw import Flaw, label
from linkspan.model.kernel_options import options_of
from linkspan.model.options import BY_NAME, OptionScope
from linkspan.model.port_options import PortOptions
from linkspan.model.position import Path
from linkspan.model.topology import Bridge, Cache, Topology

NEEDS: Final[tuple[tuple[OptionScope, str, str], ...]] = (
    (OptionScope.BRIDGE, "multicast_vlan_snooping", "vlan_filtering"),
    (OptionScope.PORT, "mab", "locked"),
    (OptionScope.PORT, "mab", "learning"),
)
"""Options that the kernel refuses without another one (br_multicast_toggle_vlan_snooping,
br_setport)."""


def engines(topology: Topology) -> Iterator[Flaw]:
    """Bridges whose engine cannot be had, or cannot serve all that they have."""
    for name, bridge in topology.bridges.items():
        path: Path = ("bridges", name)
        if bridge.engine is Engine.KERNEL:
            yield from _not_on_the_kernel(path, bridge)
        yield from _taps(path, bridge)


def _taps(path: Path, bridge: Bridge) -> Iterator[Flaw]:
    for name, port in bridge.ports.items():
        place = (*path, "ports", name)
        for field in ("owner", "group", "multi_queue"):
            if not port.is_tap and getattr(port, field):
                yield Flaw(
                    (*place, field.replace("_", "-")),
                    f"{label(place)}: a socket has no {field.replace('_', '-')}",
                    expected=f"{field.replace('_', '-')} only with `kind: tap`",
                    next_step="leave it out",
                )


def _not_on_the_kernel(path: Path, bridge: Bridge) -> Iterator[Flaw]:
    if bridge.cache is Cache.OFF:
        yield Flaw(
            (*path, "cache"),
            f"{label(path)}: engine kernel has no cache that could be off",
            expected="cache only with engine user",
            next_step="remove cache, or write `engine: user`",
        )
    for socket in (name for name, port in bridge.ports.items() if not port.is_tap):
        yield Flaw(
            (*path, "ports", socket),
            f"{label((*path, 'ports', socket))}: engine kernel has no sockets as ports",
            expected="interfaces of nodes, or ports of `kind: tap`",
            next_step="write `engine: user` at the bridge",
            at_key=True,
        )


def options_of_engines(topology: Topology) -> Iterator[Flaw]:
    """Options that the engine of their bridge does not have."""
    for path, options, bridge in _all_options(topology):
        scope = _scope(options)
        for name in options_of(options):
            option = BY_NAME[scope][name]
            if bridge.engine is not Engine.AUTO and bridge.engine not in option.engines:
                having = " or ".join(engine.value for engine in Engine if engine in option.engines)
                yield Flaw(
                    (*path, option.key),
                    f"{label(path)}: engine {bridge.engine.value} has no {option.key}",
                    expected=f"{option.key} only with engine {having}",
                    next_step=f"remove {option.key}, or write `engine: {having}` at the bridge",
                )


def options_together(topology: Topology) -> Iterator[Flaw]:
    """Options that need another one."""
    for path, options, _ in _all_options(topology):
        scope = _scope(options)
        for its_scope, name, needed in NEEDS:
            if its_scope is scope and getattr(options, name) and not getattr(options, needed):
                key, needed_key = BY_NAME[scope][name].key, BY_NAME[scope][needed].key
                yield Flaw(
                    (*path, key),
                    f"{label(path)}: {key} needs {needed_key}",
                    expected=f"{key} together with {needed_key}",
                    next_step=f"write `{needed_key}: true`, or remove {key}",
                    needs=((*path, needed_key),),
                )
        if (
            isinstance(options, BridgeOptions)
            and options.stp is not SpanningTree.OFF
            and options.forward_delay < SHORTEST_FORWARD_DELAY
        ):
            yield Flaw(
                (*path, "forward-delay"),
                f"{label(path)}: forward-delay is too short for a spanning tree",
                expected=f"at least {SHORTEST_FORWARD_DELAY} seconds while stp is on",
                next_step=f"write `forward-delay: {SHORTEST_FORWARD_DELAY}`, or `stp: off`",
                needs=((*path, "stp"),),
            )


def _all_options(
    topology: Topology,
) -> Iterator[tuple[Path, BridgeOptions | PortOptions, Bridge]]:
    """Options with their path and the bridge that has to carry them out."""
    for name, bridge in topology.bridges.items():
        yield ("bridges", name), bridge, bridge
        for socket, port in bridge.ports.items():
            yield ("bridges", name, "ports", socket), port, bridge
        if bridge.uplink is not None:
            yield ("bridges", name, "uplink"), bridge.uplink, bridge
    for node, interface, link in topology.node_ports():
        if link.bridge in topology.bridges:
            path: Path = ("nodes", node, "ports", interface)
            yield path, link, topology.bridges[link.bridge]
    for number, tunnel in topology.tunnels():
        if tunnel.bridge in topology.bridges:
            yield ("links", number), tunnel, topology.bridges[tunnel.bridge]


def _scope(options: BridgeOptions | PortOptions) -> OptionScope:
    return OptionScope.BRIDGE if isinstance(options, BridgeOptions) else OptionScope.PORT
