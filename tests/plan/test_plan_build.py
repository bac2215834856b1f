"""The plan of a whole lab: complete, in an order in which each step finds what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.machine import EXAMPLES

from linkspan.model.load import load, loads
from linkspan.model.names import with_macs
from linkspan.model.topology import HOST, Topology
from linkspan.plan.actions import (
    AddDefaultRoute,
    AddInterface,
    AddNode,
    AddSocket,
    ConfigureInterface,
    StartSwitch,
)
from linkspan.plan.build import build

OPTIONS = ("hairpin", "isolated", "learning", "unicast-flood", "multicast-flood")


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Labs of up to three bridges and six nodes, wired at random."""
    bridges = [f"br{number}" for number in range(draw(st.integers(1, 3)))]
    lines = ["name: random", "bridges:"]
    for number, bridge in enumerate(bridges):
        lines.append(f"  {bridge}:")
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
def test_each_step_finds_what_it_needs(topology: Topology) -> None:
    nodes: set[str] = set()
    interfaces: set[tuple[str, str]] = set()
    switches: set[str] = set()
    addressed: set[str] = set()
    for action in build(topology):
        match action:
            case AddNode(node=node):
                nodes.add(node)
            case AddInterface(node=node, interface=interface, bridge=bridge):
                assert node in nodes
                assert bridge not in switches, "a switch inherits its ports when it starts"
                interfaces.add((node, interface))
            case AddSocket(bridge=bridge):
                assert bridge not in switches
            case StartSwitch(bridge=bridge):
                switches.add(bridge)
            case ConfigureInterface(node=node, interface=interface, addresses=addresses):
                assert (node, interface) in interfaces
                assert switches == set(topology.bridges), "nobody's first frames are lost"
                addressed.update([node] if addresses else [])
            case AddDefaultRoute(node=node):
                assert node in addressed


@given(topologies())
def test_everything_the_file_declares_is_made_once(topology: Topology) -> None:
    whole = with_macs(topology)
    actions = build(topology)
    assert [action.node for action in actions if isinstance(action, AddNode)] == [
        HOST,
        *topology.nodes,
    ]
    wanted = {
        (port.bridge, node, interface, port.mac, topology.mtu_of(port))
        for node, interface, port in whole.links()
    } | {
        (name, bridge.node, name, bridge.mac, bridge.mtu) for name, bridge in whole.bridges.items()
    }
    made = [
        (action.bridge, action.node, action.interface, action.mac, action.mtu)
        for action in actions
        if isinstance(action, AddInterface)
    ]
    assert len(made) == len(wanted)
    assert set(made) == wanted
    routes = [
        (action.node, action.gateway) for action in actions if isinstance(action, AddDefaultRoute)
    ]
    assert routes == [
        (name, gateway) for name, node in topology.nodes.items() for gateway in node.gateway
    ]


@given(topologies())
def test_ports_of_a_bridge_are_numbered_from_the_host_up(topology: Topology) -> None:
    for bridge in topology.bridges:
        numbers = [
            action.number
            for action in build(topology)
            if isinstance(action, AddInterface | AddSocket) and action.bridge == bridge
        ]
        assert numbers[0] == 0
        assert sorted(numbers) == list(range(len(numbers)))


@given(topologies())
def test_the_same_file_gives_the_same_plan(topology: Topology) -> None:
    assert build(topology) == build(topology) == build(with_macs(topology))


def test_options_of_the_file_reach_the_port() -> None:
    topology = loads(
        """
        name: options
        bridges: {br0: {mtu: 9000}}
        nodes:
          a:
            ports:
              eth0:
                bridge: br0
                hairpin: true
                isolated: true
                learning: false
                unicast-flood: false
                multicast-flood: false
                broadcast-flood: false
                group-fwd-mask: 16384
                mtu: 1400
        """,
        "options.yaml",
    )
    (action,) = (
        action
        for action in build(topology)
        if isinstance(action, AddInterface) and action.node == "a"
    )
    options = action.options
    assert (options.hairpin, options.isolated, options.learning) == (True, True, False)
    assert (options.unicast_flood, options.multicast_flood) == (False, False)
    assert (options.broadcast_flood, options.group_fwd_mask) == (False, 16384)
    assert (options.mtu, action.mtu) == (1400, 1400)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_step_says_what_it_does(file: Path) -> None:
    explanations = [action.explain() for action in build(load(file))]
    assert all(explanations)
    assert len(set(explanations)) == len(explanations), "two steps that can't be told apart"


def test_explanations_of_the_demo() -> None:
    explanations = [action.explain() for action in build(load(EXAMPLES / "three-containers.yaml"))]
    assert "make the container web" in explanations
    assert "make eth0 in db, port 2 of br0" in explanations
    assert "start the switch of br0" in explanations
    assert "set br0 in host up with 192.168.57.1/24, fd00:57::1/64" in explanations
    assert "route the rest from client through 192.168.57.1" in explanations
