"""What there is of the user engine's bridges, as facts of a state.

Three tell of a port: init has it in the configuration for the next process, the running process
has it, its interface is in the node. Where one of them lacks it, a command was killed or somebody
deleted something, and what is reported makes a plan mend it:

    no interface                   no port is reported; making it anew removes what is left of it
    an interface of ours, not on   a port of no bridge (""): going on with it, or removing it, is a
    exactly the configured bridge  change of something that is there
    a bridge's own interface       a bridge that has to be made anew: of no known cache
    without a bridge, or the
    other way round
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from linkspan.engine.machine_ends import MACHINE
from linkspan.engine.user.configuration import (
    OFF_BY_FILE,
    PortConfiguration,
    SwitchConfiguration,
    VxlanConfiguration,
)
from linkspan.engine.user.options import sparse_bridge_options, sparse_port_options
from linkspan.model.fact import Options
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface
from linkspan.model.names import Mark, port_name
from linkspan.model.shaping import ShapingKey, shaping
from linkspan.model.snapshot import BridgeSnapshot, PortSnapshot
from linkspan.model.state import (
    AnyKey,
    AnyValue,
    Bridge,
    BridgeKey,
    Entry,
    EntryKey,
    Port,
    PortKey,
    Socket,
    SocketKey,
    Uplink,
    UplinkKey,
    Vxlan,
    VxlanKey,
)
from linkspan.plan.current_bridges import is_bridges_end
from linkspan.plan.current_links import declared_tap
from linkspan.types import HOST_PORT

Fact: TypeAlias = tuple[AnyKey, AnyValue]
Nodes: TypeAlias = Mapping[str, NamespaceSnapshot]

UNKNOWN_CACHE = ""
"""The cache of a bridge that is not whole; no bridge can be changed to have another."""

_OWN_KINDS = ("veth", "tap")


@dataclass(frozen=True, slots=True)
class _Found:
    """A configured port of a bridge, and what its process says of it."""

    bridge: BridgeSnapshot
    port: PortConfiguration
    live: PortSnapshot | None
    is_here: bool
    """Whether the process has it, and no other one has."""
    interface: Interface | None
    """Of the node, if it is there."""

    @property
    def place(self) -> str:
        """The bridge, where the port is on exactly that one."""
        return self.bridge.name if self.is_here else ""

    @property
    def options(self) -> Options:
        return sparse_port_options(self._all_options)

    @property
    def mtu(self) -> int:
        return int(self._all_options["mtu"])

    @property
    def _all_options(self) -> Mapping[str, Any]:
        if self.live is not None:
            return self.live.options
        return msgspec.structs.asdict(self.port.options)

    def common_mtu(self, of_interface: int) -> int:
        """The MTU of the port and its interface, if it is the same."""
        return of_interface if of_interface == self.mtu else 0


def facts(
    lab: str,
    nodes: Nodes,
    bridges: Iterable[tuple[SwitchConfiguration, BridgeSnapshot]],
    machine_taps: Mapping[str, int] = {},
) -> Iterator[Fact]:
    """The same, of what init and the processes said of each bridge, and of the MTUs of the taps of
    virtual machines by the name of the port."""
    pairs = list(bridges)
    yield from _unfinished(lab, nodes)
    on: dict[str, list[str]] = defaultdict(list)
    for _, live in pairs:
        for port_there in live.ports:
            on[port_there.name].append(live.name)
    for configuration, live in pairs:
        yield _bridge(lab, nodes, configuration, live)
        found = {port.name: port for port in live.ports}
        for port in configuration.ports:
            # Interfaces move between bridges; names of sockets and tunnels are a bridge's own.
            is_here = (on[port.name] == [live.name]) if port.node else port.name in found
            interface = _interface(nodes, port.node, port.interface)
            each = _Found(live, port, found.get(port.name), is_here, interface)
            if port.machine:
                yield from _machine_port(each, machine_taps.get(port.name))
            elif port.number != HOST_PORT:
                yield from _port(lab, each)
        for entry in live.fdb:
            if entry.kind in ("static", "sticky"):
                key = EntryKey(live.name, entry.mac, entry.vlan)
                yield key, Entry(port=entry.port, sticky=entry.kind == "sticky")


def _bridge(
    lab: str, nodes: Nodes, configuration: SwitchConfiguration, live: BridgeSnapshot
) -> Fact:
    own = _ours(lab, _interface(nodes, live.node, live.name), live.name)
    cache = "off" if configuration.cache == OFF_BY_FILE else "auto"
    return BridgeKey(live.name), Bridge(
        node=live.node,
        engine="user",
        mac=live.mac if own is not None and own.mac == live.mac else "",
        mtu=0 if own is None else own.mtu,
        cache=UNKNOWN_CACHE if own is None else cache,
        options=sparse_bridge_options(live.options, configuration.declared),
    )


def _machine_port(found: _Found, tap_mtu: int | None) -> Iterator[Fact]:
    """The port of a virtual machine, if its tap is there or it has none."""
    port = found.port
    if port.kind == "dgram":
        tap_mtu = found.mtu
    if tap_mtu is not None:
        yield (
            PortKey(str(port.node), str(port.interface)),
            Port(
                bridge=found.place,
                engine="user",
                mac="",
                mtu=found.common_mtu(tap_mtu),
                kind=MACHINE,
                options=found.options,
            ),
        )
        yield from _shape(found)


def _port(lab: str, found: _Found) -> Iterator[Fact]:
    port = found.port
    if port.vxlan is not None:
        if found.is_here:
            yield _tunnel(found, port.vxlan)
    elif port.node is None or port.interface is None:
        if found.is_here:
            socket = Socket(kind=port.kind, mtu=found.mtu, options=found.options)
            yield SocketKey(found.bridge.name, port.name), socket
    elif port.tap:
        yield from _tap(lab, found)
    elif port.uplink:
        if found.interface is not None:
            uplink = Uplink(bridge=found.place, engine="user", options=found.options)
            yield UplinkKey(port.node, port.interface), uplink
    elif (own := _ours(lab, found.interface, port.name)) is not None:
        yield (
            PortKey(port.node, port.interface),
            Port(
                bridge=found.place,
                engine="user",
                mac=own.mac or "",
                mtu=found.common_mtu(own.mtu),
                options=found.options,
            ),
        )
        yield from _shape(found)


def _tunnel(found: _Found, tunnel: VxlanConfiguration) -> Fact:
    vxlan = Vxlan(
        node=found.bridge.node,
        engine="user",
        mtu=found.mtu,
        options=found.options,
        **msgspec.structs.asdict(tunnel),
    )
    return VxlanKey(found.bridge.name, found.port.name), vxlan


def _tap(lab: str, found: _Found) -> Iterator[Fact]:
    """A tap that the file declared; in place when nobody has set it down, or taken it."""
    there = found.interface
    if there is None or (fact := declared_tap(lab, str(found.port.node), there, "user")) is None:
        return
    key, tap = fact
    yield (
        key,
        replace(
            tap,
            mtu=found.common_mtu(tap.mtu),
            in_place=found.is_here and there.up and there.master is None,
            options=found.options,
        ),
    )


def _shape(found: _Found) -> Iterator[Fact]:
    """How the line of a node's port is, as far as it is limited."""
    shape = found.port.shape if found.live is None else found.live.shape
    if shape is not None:
        key = ShapingKey(str(found.port.node), str(found.port.interface))
        yield key, shaping("user", shape)


def _interface(nodes: Nodes, node: str | None, name: str | None) -> Interface | None:
    if node is None or name is None or node not in nodes:
        return None
    return nodes[node].interface(name)


def _ours(lab: str, found: Interface | None, identity: str) -> Interface | None:
    """An interface, if it is there and carries the mark of what it should be."""
    return found if found is not None and found.mark == Mark(lab, identity) else None


def _unfinished(lab: str, nodes: Nodes) -> Iterator[Fact]:
    """What carries our mark and may be on no bridge; bridges and ports that are found to be whole
    take the place of these facts."""
    everything = [
        (node, each)
        for node, found in nodes.items()
        for each in found.interfaces
        if each.mark is not None and each.mark.lab == lab and each.kind in _OWN_KINDS
    ]
    carried = Counter(each.mark for _, each in everything)
    of_kernel = {mark for mark, ends in carried.items() if ends > 1}  # a veth of the kernel engine
    for node, each in everything:
        if each.mark is None or each.mark in of_kernel or is_bridges_end(each):
            continue
        if (tap := declared_tap(lab, node, each, "user")) is not None:
            key, found = tap
            yield key, replace(found, in_place=False)
        if each.mark.id == each.name:
            yield (
                BridgeKey(each.name),
                Bridge(
                    node=node, engine="user", mac=each.mac or "", mtu=each.mtu, cache=UNKNOWN_CACHE
                ),
            )
        elif each.mark.id == port_name(node, each.name):
            yield (
                PortKey(node, each.name),
                Port(bridge="", engine="user", mac=each.mac or "", mtu=each.mtu),
            )
