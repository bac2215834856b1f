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
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec

from linkspan.control.lines import Client, Unanswered
from linkspan.engine.kernel.links import look
from linkspan.engine.machine_ends import MACHINE
from linkspan.engine.site import Site
from linkspan.engine.user.configuration import (
    OFF_BY_FILE,
    PortConfiguration,
    SwitchConfiguration,
    service_name,
)
from linkspan.engine.user.interfaces import OF_SWITCH, near_name
from linkspan.engine.user.options import sparse_bridge_options, sparse_port_options
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
from linkspan.plan.current import is_bridges_end
from linkspan.sandbox.state import bridge_socket
from linkspan.types import HOST_PORT

Fact: TypeAlias = tuple[AnyKey, AnyValue]
Nodes: TypeAlias = Mapping[str, NamespaceSnapshot]

UNKNOWN_CACHE = ""
"""The cache of a bridge that is not whole; no bridge can be changed to have another."""

_ATTEMPTS = 3
_OWN_KINDS = ("veth", "tap")


def read_user(site: Site, nodes: Nodes) -> Iterator[Fact]:
    """The user engine's bridges, ports, sockets, uplinks and configured entries of a lab, by what
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
        for each in live.ports:
            on[each.name].append(live.name)
    for configuration, live in pairs:
        yield _bridge(lab, nodes, configuration, live)
        found = {port.name: port for port in live.ports}
        for port in configuration.ports:
            # Interfaces move between bridges; names of sockets and tunnels are a bridge's own.
            is_here = (on[port.name] == [live.name]) if port.node else port.name in found
            if port.machine:
                mtu = machine_taps.get(port.name)
                yield from _machine_port(port, live.name, found.get(port.name), is_here, mtu)
            elif port.number != HOST_PORT:
                yield from _port(
                    lab, nodes, port, live.name, live.node, found.get(port.name), is_here
                )
        for entry in live.fdb:
            if entry.kind in ("static", "sticky"):
                key = EntryKey(live.name, entry.mac, entry.vlan)
                yield key, Entry(port=entry.port, sticky=entry.kind == "sticky")


def _bridge(
    lab: str, nodes: Nodes, configuration: SwitchConfiguration, live: BridgeSnapshot
) -> Fact:
    own = _ours(lab, nodes, live.node, live.name, live.name)
    cache = "off" if configuration.cache == OFF_BY_FILE else "auto"
    return BridgeKey(live.name), Bridge(
        node=live.node,
        engine="user",
        mac=live.mac if own is not None and own.mac == live.mac else "",
        mtu=0 if own is None else own.mtu,
        cache=UNKNOWN_CACHE if own is None else cache,
        options=sparse_bridge_options(live.options, configuration.declared),
    )


def _machine_port(
    port: PortConfiguration,
    bridge: str,
    live: PortSnapshot | None,
    is_here: bool,
    tap_mtu: int | None,
) -> Iterator[Fact]:
    """The port of a virtual machine, if its tap is there or it has none."""
    options: Mapping[str, Any] = msgspec.structs.asdict(port.options)
    if live is not None:
        options = live.options
    mtu = int(options["mtu"])
    if port.kind == "dgram":
        tap_mtu = mtu
    if tap_mtu is not None:
        yield (
            PortKey(str(port.node), str(port.interface)),
            Port(
                bridge=bridge if is_here else "",
                engine="user",
                mac="",
                mtu=mtu if tap_mtu == mtu else 0,
                kind=MACHINE,
                options=sparse_port_options(options),
            ),
        )
        yield from _shape(port, live)


def _port(
    lab: str,
    nodes: Nodes,
    port: PortConfiguration,
    bridge: str,
    place: str,
    live: PortSnapshot | None,
    is_here: bool,
) -> Iterator[Fact]:
    options: Mapping[str, Any] = msgspec.structs.asdict(port.options)
    if live is not None:
        options = live.options
    sparse = sparse_port_options(options)
    if port.vxlan is not None:
        if is_here:
            yield (
                VxlanKey(bridge, port.name),
                Vxlan(
                    node=place,
                    engine="user",
                    mtu=int(options["mtu"]),
                    options=sparse,
                    **msgspec.structs.asdict(port.vxlan),
                ),
            )
    elif port.node is None or port.interface is None:
        if is_here:
            socket = Socket(kind=port.kind, mtu=int(options["mtu"]), options=sparse)
            yield SocketKey(bridge, port.name), socket
    elif port.uplink:
        there = nodes[port.node].interface(port.interface) if port.node in nodes else None
        if there is not None:
            uplink = Uplink(bridge=bridge if is_here else "", engine="user", options=sparse)
            yield UplinkKey(port.node, port.interface), uplink
    else:
        own = _ours(lab, nodes, port.node, port.interface, port.name)
        if own is not None:
            yield (
                PortKey(port.node, port.interface),
                Port(
                    bridge=bridge if is_here else "",
                    engine="user",
                    mac=own.mac or "",
                    mtu=own.mtu if own.mtu == options["mtu"] else 0,
                    options=sparse,
                ),
            )
            yield from _shape(port, live)


def _shape(port: PortConfiguration, live: PortSnapshot | None) -> Iterator[Fact]:
    """How the line of a node's port is, as far as it is limited."""
    shape = port.shape if live is None else live.shape
    if shape is not None:
        yield ShapingKey(str(port.node), str(port.interface)), shaping("user", shape)


def _ours(lab: str, nodes: Nodes, node: str, name: str, identity: str) -> Interface | None:
    """An interface of a node, if it is there and carries the mark of what it should be."""
    found = nodes[node].interface(name) if node in nodes else None
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
