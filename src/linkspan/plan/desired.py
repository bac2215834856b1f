"""What there should be: a topology, and what was found on its uplinks, as a state.

The file leaves things open that a state does not: an engine is `auto` until it was chosen, a MAC
and an MTU are worked out, the interface of a gateway is the one in whose network it lies.
"""

from __future__ import annotations

from collections.abc import Iterator

from linkspan.model.base import Engine
from linkspan.model.kernel_options import options_of
from linkspan.model.names import with_macs
from linkspan.model.setting_shapes import setting_path
from linkspan.model.shaping import Shape, ShapingKey, shaping
from linkspan.model.state import (
    Address,
    AddressKey,
    Bridge,
    BridgeKey,
    Entry,
    EntryKey,
    Node,
    NodeKey,
    Port,
    PortKey,
    Setting,
    SettingKey,
    Socket,
    SocketKey,
    State,
    Tap,
    TapKey,
    Up,
    UpKey,
)
from linkspan.model.topology import HOST, Scope, Topology
from linkspan.plan.containers import containers
from linkspan.plan.desired_links import Fact, links
from linkspan.plan.forwarding import forwarding
from linkspan.plan.machines import machines
from linkspan.plan.routing import routes
from linkspan.plan.services import services
from linkspan.plan.uplink import declared, with_uplink


def desired(topology: Topology) -> State:
    """The state that `topology` declares; every bridge's engine has been chosen.

    Uplinks are in it for a sandbox only, whose network cards the file declares; those of a machine
    have to be read (`plan.uplink`).
    """
    whole = with_macs(topology)
    state: State = dict(
        [
            *_nodes(whole),
            *_bridges(whole),
            *_ports(whole),
            *_entries(whole),
            *links(whole),
            *forwarding(whole),
            *_addresses(whole),
            *routes(whole),
            *services(whole),
            *machines(whole),
            *containers(whole),
        ]
    )
    for name, bridge, uplink in topology.uplinks() if topology.scope is Scope.SANDBOX else ():
        taken = declared(state, bridge.node, uplink.interface)
        state = with_uplink(state, taken, name, options_of(uplink), bridge.mac)
    return state


def _nodes(topology: Topology) -> Iterator[Fact]:
    yield NodeKey(HOST), Node(kind="host")
    for name, node in topology.nodes.items():
        if topology.is_machine(name):
            continue
        yield NodeKey(name), Node(kind=node.kind.value)
        for setting, value in node.sysctls.items():
            yield SettingKey(name, setting_path(setting)), Setting(text=str(value))


def _bridges(topology: Topology) -> Iterator[Fact]:
    for name, bridge in topology.bridges.items():
        is_user = bridge.engine is Engine.USER
        yield (
            BridgeKey(name),
            Bridge(
                node=bridge.node,
                engine=bridge.engine.value,
                mac=str(bridge.mac),
                mtu=bridge.mtu,
                cache=bridge.cache.value if is_user else "off",
                options=options_of(bridge),
            ),
        )
        for port_name, port in bridge.ports.items():
            options = options_of(port)
            if port.is_tap:
                yield (
                    TapKey(name, port_name),
                    Tap(
                        node=bridge.node,
                        engine=bridge.engine.value,
                        mtu=bridge.mtu,
                        owner=port.owner,
                        group=port.group,
                        multi_queue=port.multi_queue,
                        options=options,
                    ),
                )
            else:
                socket = Socket(kind=port.kind.value, mtu=bridge.mtu, options=options)
                yield SocketKey(name, port_name), socket


def _ports(topology: Topology) -> Iterator[Fact]:
    for node, interface, port in topology.node_ports():
        yield (
            PortKey(node, interface),
            Port(
                bridge=port.bridge,
                engine=topology.bridges[port.bridge].engine.value,
                mac="" if topology.is_machine(node) else str(port.mac),
                mtu=topology.mtu_of(port),
                kind="machine" if topology.is_machine(node) else "interface",
                options=options_of(port),
            ),
        )
        if port.shape != Shape():
            engine = topology.bridges[port.bridge].engine.value
            yield ShapingKey(node, interface), shaping(engine, port.shape)


def _entries(topology: Topology) -> Iterator[Fact]:
    for name, bridge in topology.bridges.items():
        for mac, entry in bridge.fdb.items():
            yield EntryKey(name, mac), Entry(port=entry.port, sticky=entry.sticky)


def _addresses(topology: Topology) -> Iterator[Fact]:
    for name, bridge in topology.bridges.items():
        for address in bridge.address:
            yield AddressKey(bridge.node, name, address), Address()
        yield UpKey(bridge.node, name), Up(up=bridge.up)
    for node, interface, addresses in topology.stations():
        if topology.is_machine(node):
            continue
        for address in addresses:
            yield AddressKey(node, interface, address), Address()
        yield UpKey(node, interface), Up(up=True)
