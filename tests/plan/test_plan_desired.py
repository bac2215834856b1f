"""A topology as a state: everything that the file declares, once, on what it stands on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.load import loads
from linkspan.model.names import with_macs
from linkspan.model.state import (
    AddressKey,
    BridgeKey,
    NodeKey,
    Port,
    PortKey,
    RouteKey,
    SocketKey,
    UpKey,
    parents,
)
from linkspan.model.topology import HOST, Topology
from linkspan.plan.desired import desired
from linkspan.plan.difference import plan

OPTIONS = ("hairpin", "isolated", "learning", "unicast-flood", "multicast-flood")


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Labs of up to three bridges and six nodes, wired at random."""
    bridges = [f"br{number}" for number in range(draw(st.integers(1, 3)))]
    lines = ["name: random", "bridges:"]
    for number, bridge in enumerate(bridges):
        lines.append(f"  {bridge}:")
        lines.append("    engine: user")
        lines.append(f"    address: 10.{number}.0.254/24")
        if draw(st.booleans()):
            lines.append("    ports: {vm: {kind: stream}, other: {kind: dgram}}")
    lines.append("nodes:")
    for node in range(draw(st.integers(1, 6))):
        legs = draw(st.lists(st.sampled_from(bridges), max_size=3, unique=True))
        lines.append(f"  n{node}:")
        lines.append(f"    gateway: {[f'10.{leg[2:]}.0.254' for leg in legs[:1]]}")
        lines.append("    ports:")
        lines += [
            f"      eth{number}: {{bridge: {leg}, address: 10.{leg[2:]}.0.{node + 1}/24,"
            f" {draw(st.sampled_from(OPTIONS))}: {str(draw(st.booleans())).lower()}}}"
            for number, leg in enumerate(legs)
        ] or ["      {}"]
    return loads("\n".join(lines), "random.yaml")


@given(topologies())
def test_everything_the_file_declares_is_a_fact(topology: Topology) -> None:
    whole, state = with_macs(topology), desired(topology)
    assert {key.node for key in state if isinstance(key, NodeKey)} == {HOST, *topology.nodes}
    assert {key.bridge for key in state if isinstance(key, BridgeKey)} == set(topology.bridges)
    for node, interface, port in whole.node_ports():
        match state[PortKey(node, interface)]:
            case Port(bridge=bridge, mac=mac, mtu=mtu, options=options):
                assert (bridge, mac, mtu) == (port.bridge, port.mac, topology.mtu_of(port))
                assert all(getattr(port, name) == value for name, value in options.items())
        assert all(AddressKey(node, interface, address) in state for address in port.address)
        assert UpKey(node, interface) in state
    sockets = {(key.bridge, key.name) for key in state if isinstance(key, SocketKey)}
    assert sockets == {(b, name) for b, bridge in topology.bridges.items() for name in bridge.ports}
    routes = {key.node for key in state if isinstance(key, RouteKey)}
    assert routes == {name for name, node in topology.nodes.items() if node.gateway}


@given(topologies())
def test_what_a_fact_stands_on_is_made_before_it(topology: Topology) -> None:
    state = desired(topology)
    made = [change.key for change in plan(state, {})]
    assert sorted(map(repr, made)) == sorted(map(repr, state))
    for place, key in enumerate(made):
        assert all(parent in made[:place] for parent in parents(key, state))


def test_a_gateway_lies_behind_the_interface_of_its_network() -> None:
    text = """
bridges: {br0: {engine: user}, br1: {engine: user}}
nodes:
  a:
    ports:
      eth0: {bridge: br0, address: 10.0.0.1/24}
      eth1: {bridge: br1, address: ["10.1.0.1/24", "fd00::1/64"]}
    gateway: [10.1.0.254, "fd00::fe"]
"""
    state = desired(loads(text, "lab.yaml"))
    ways = {
        key.destination: (key.metric, getattr(value, "interface", None))
        for key, value in state.items()
        if isinstance(key, RouteKey)
    }
    assert ways == {"0.0.0.0/0": (0, "eth1"), "::/0": (1024, "eth1")}
