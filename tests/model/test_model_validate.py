"""Checks of whole topologies, on values made in Python."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.address_shapes import parse_interface
from linkspan.model.flaw import label, resembling
from linkspan.model.shapes import SHAPES
from linkspan.model.topology import MOST_PORTS, Bridge, Node, NodePort, Topology
from linkspan.model.unfit import UnfitError
from linkspan.model.validate import validate


def lab_with_ports(number: int) -> Topology:
    nodes = {f"n{index}": Node(ports={"eth0": NodePort(bridge="br0")}) for index in range(number)}
    return Topology(name="lab", bridges={"br0": Bridge()}, nodes=nodes)


def test_a_bridge_takes_as_many_ports_as_the_kernels() -> None:
    assert validate(lab_with_ports(MOST_PORTS)) == []
    (flaw,) = validate(lab_with_ports(MOST_PORTS + 1))
    assert flaw.what == "bridge br0 has too many ports"
    assert flaw.found == "1024 ports"


def test_one_address_on_two_bridges_is_allowed() -> None:
    port = {"eth0": "10.0.0.1/24"}
    nodes = {
        f"n{bridge}": Node(ports={"eth0": NodePort(bridge=bridge, address=(port["eth0"],))})
        for bridge in ("br0", "br1")
    }
    topology = Topology(name="lab", bridges={"br0": Bridge(), "br1": Bridge()}, nodes=nodes)
    assert validate(topology) == []


def test_two_interfaces_in_one_network_on_one_bridge_are_allowed() -> None:
    ports = {
        f"eth{index}": NodePort(bridge="br0", address=(f"10.0.0.{index + 1}/24",))
        for index in range(2)
    }
    topology = Topology(name="lab", bridges={"br0": Bridge()}, nodes={"web": Node(ports=ports)})
    assert validate(topology) == []


def fits(text: str) -> bool:
    interface = ip_interface(text)
    network = interface.network
    ends = (network.network_address, network.broadcast_address)
    return network.prefixlen > 30 or interface.ip not in ends


addresses = st.builds(
    lambda host, prefix: f"10.0.{host >> 8}.{host & 255}/{prefix}",
    st.integers(0, 0xFFFF),
    st.integers(16, 32),
)


@given(st.lists(addresses.filter(fits), max_size=8))
def test_an_overlap_is_found_exactly_when_there_is_one(texts: list[str]) -> None:
    bridges = {f"br{index}": Bridge(address=(text,)) for index, text in enumerate(texts)}
    networks = [ip_interface(text).network for text in texts]
    overlapping = {
        index
        for index, network in enumerate(networks)
        if any(
            network.subnet_of(other) and index != place  # type: ignore[arg-type]
            for place, other in enumerate(networks)
        )
    }
    found = {
        int(str(flaw.path[1])[2:])
        for flaw in validate(Topology(name="lab", bridges=bridges))
        if "overlaps" in flaw.what
    }
    assert bool(found) == bool(overlapping)
    assert found <= overlapping


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_a_host_address_is_taken_exactly_when_it_is_one(address: object, prefix: int) -> None:
    text = f"{address}/{prefix}"
    interface = ip_interface(text)
    network = interface.network
    ends = (network.network_address, network.broadcast_address) if prefix < 31 else ()
    ip = interface.ip
    special = ip.is_multicast or ip.is_loopback or ip.is_unspecified
    if ip in ends or special or str(ip) == "255.255.255.255":
        with pytest.raises(UnfitError):
            parse_interface(text)
    else:
        assert str(parse_interface(text)) == text


@pytest.mark.parametrize("shape", sorted(SHAPES))
@given(text=st.text())
def test_a_shape_raises_nothing_but_that_a_text_does_not_fit(shape: str, text: str) -> None:
    try:
        canonical = SHAPES[shape](text)
    except UnfitError as error:
        unfit = error
    else:
        assert SHAPES[shape](canonical) == canonical
        return
    assert unfit.what
    assert unfit.next_step


def test_a_path_is_told_in_words() -> None:
    assert label(("nodes", "web", "ports", "eth0", "mac")) == "node web, port eth0, mac"
    assert label(("bridges",)) == "bridges"
    assert label(("bridges", "bad\nname")) == "bridge bad\\nname"


def test_a_resembling_text_is_not_sought_among_too_many() -> None:
    assert resembling("adress", ["address", "mac"]) == "address"
    assert resembling("adress" * 1000, ["address"]) == ""
    assert resembling("n1", (f"n{number}" for number in range(100_000))) == ""
