"""Names and MACs that linkspan makes up: always the same, never twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from linkspan.model import names
from linkspan.model.names import Mark, parse_mark, with_macs
from linkspan.model.topology import Bridge, Node, NodePort, Topology
from linkspan.types import Mac, is_group, is_valid_interface_name, parse_mac

node_names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
interfaces = st.from_regex(r"[a-z0-9.~é]{1,7}", fullmatch=True).filter(is_valid_interface_name)
labs = st.builds(
    lambda name, nodes: Topology(
        name=name,
        bridges={"br0": Bridge(), "br1": Bridge(mac="02:00:00:00:00:01")},
        nodes={
            node: Node(ports={port: NodePort(bridge="br0") for port in ports})
            for node, ports in nodes.items()
        },
    ),
    node_names,
    st.dictionaries(node_names, st.lists(interfaces, max_size=4), max_size=8),
)


def all_macs(topology: Topology) -> list[str | None]:
    return [bridge.mac for bridge in topology.bridges.values()] + [
        port.mac for _, _, port in topology.node_ports()
    ]


@given(labs)
def test_every_mac_is_there_once_and_fit_for_an_interface(lab: Topology) -> None:
    macs = all_macs(with_macs(lab))
    assert len(set(macs)) == len(macs)
    for text in macs:
        mac = parse_mac(text or "")
        assert not is_group(mac)
        assert mac[0] & 2


@given(labs)
def test_macs_do_not_depend_on_the_order_of_the_file(lab: Topology) -> None:
    turned = replace(lab, nodes=dict(reversed(lab.nodes.items())))
    assert with_macs(turned).nodes == with_macs(lab).nodes
    assert with_macs(with_macs(lab)) == with_macs(lab)


def test_macs_stay_the_same_from_version_to_version() -> None:
    lab = Topology(
        name="demo",
        bridges={"br0": Bridge()},
        nodes={"web": Node(ports={"eth0": NodePort(bridge="br0")})},
    )
    complete = with_macs(lab)
    assert complete.bridges["br0"].mac == "02:b2:11:b9:66:5d"
    assert complete.nodes["web"].ports["eth0"].mac == "02:c4:98:0a:c6:63"


def test_a_mac_of_the_file_is_kept_and_never_given_to_another() -> None:
    lab = Topology(name="demo", bridges={"br0": Bridge(), "br1": Bridge()})
    wanted = with_macs(lab).bridges["br0"].mac
    taken = replace(lab, bridges={"br0": Bridge(), "br1": Bridge(mac=wanted)})
    complete = with_macs(taken)
    assert complete.bridges["br1"].mac == wanted
    assert complete.bridges["br0"].mac not in (None, wanted)


def test_hashes_that_collide_are_hashed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        names, "hashed_mac", lambda *owner: Mac(b"\x02\0\0\0\0" + bytes([int(owner[-1])]))
    )
    lab = Topology(name="demo", bridges={"a": Bridge(), "b": Bridge(), "c": Bridge()})
    assert all_macs(with_macs(lab)) == [f"02:00:00:00:00:0{number}" for number in range(3)]


def test_a_mark_is_read_back() -> None:
    assert str(Mark("demo", "web.eth0")) == "linkspan:demo:web.eth0"
    assert parse_mark("linkspan:demo:web.eth0") == Mark("demo", "web.eth0")


@pytest.mark.parametrize(
    "alias", [None, "", "linkspan", "linkspan:demo", "linkspan::x", "uplink", "Linkspan:a:b"]
)
def test_what_carries_no_mark_is_not_ours(alias: str | None) -> None:
    assert parse_mark(alias) is None
