"""What files mean: short forms, defaults, canonical texts, and that nothing else is raised."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkspan.errors import Mistake
from linkspan.model.base import Engine
from linkspan.model.load import load, loads
from linkspan.model.machine import Disk, DiskFormat
from linkspan.model.topology import (
    Bridge,
    Node,
    NodeKind,
    NodePort,
    Scope,
    SocketKind,
    SocketPort,
    StaticEntry,
    Topology,
    dump,
)

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
EXAMPLE = next(path for path in EXAMPLES if path.stem == "three-containers").read_text()

FULL = """
name: full
scope: sandbox
bridges:
  br0:
    engine: user
    node: host
    mac: 52-54-00-AB-CD-EF
    address: [10.0.0.1/24, fd00:0::0001/64]
    up: false
    mtu: 9000
    ageing-time: 60
    fdb-max-learned: 100
    group-fwd-mask: 0x4000
    ports:
      vm1: {kind: stream, isolated: true}
      vm2: {kind: dgram, group-fwd-mask: 1}
  br1:
nodes:
  h2: {kind: host}
  web:
    gateway: [10.0.0.1, fd00::1]
    ports:
      eth0: {bridge: br0, address: 10.0.0.2/24, mac: 52:54:00:12:34:56, mtu: 1400, hairpin: true,
             learning: false, unicast-flood: false, multicast-flood: false, broadcast-flood: false}
      eth1: {bridge: br0, address: fd00::2/64}
      eth2: br1
"""


def test_every_field_of_a_file_arrives() -> None:
    assert loads(FULL, "lab.yaml") == Topology(
        name="full",
        scope=Scope.SANDBOX,
        bridges={
            "br0": Bridge(
                engine=Engine.USER,
                mac="52:54:00:ab:cd:ef",
                address=("10.0.0.1/24", "fd00::1/64"),
                up=False,
                mtu=9000,
                ageing_time=60.0,
                fdb_max_learned=100,
                group_fwd_mask=0x4000,
                ports={
                    "vm1": SocketPort(kind=SocketKind.STREAM, isolated=True),
                    "vm2": SocketPort(kind=SocketKind.DGRAM, group_fwd_mask=1),
                },
            ),
            "br1": Bridge(),
        },
        nodes={
            "h2": Node(kind=NodeKind.HOST),
            "web": Node(
                gateway=("10.0.0.1", "fd00::1"),
                ports={
                    "eth0": NodePort(
                        bridge="br0",
                        address=("10.0.0.2/24",),
                        mac="52:54:00:12:34:56",
                        mtu=1400,
                        hairpin=True,
                        learning=False,
                        unicast_flood=False,
                        multicast_flood=False,
                        broadcast_flood=False,
                    ),
                    "eth1": NodePort(bridge="br0", address=("fd00::2/64",)),
                    "eth2": NodePort(bridge="br1"),
                },
            ),
        },
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads(path: Path) -> None:
    topology = load(path)
    assert topology.nodes
    assert topology.name


def test_the_first_example_is_the_demo() -> None:
    demo = loads(EXAMPLE, "three-containers.yaml")
    assert demo.name == "demo"
    assert demo.bridges["br0"].address == ("192.168.57.1/24", "fd00:57::1/64")
    assert [*demo.nodes] == ["web", "db", "client"]


def test_a_lab_without_a_name_has_that_of_its_file() -> None:
    assert loads("bridges: {br0: }", "/srv/labs/office.yaml").name == "office"


def test_an_interface_has_the_mtu_of_its_bridge_unless_it_says_its_own() -> None:
    topology = loads(FULL, "lab.yaml")
    ports = topology.nodes["web"].ports
    assert topology.mtu_of(ports["eth0"]) == 1400
    assert topology.mtu_of(ports["eth1"]) == 9000


def test_a_static_entry_has_a_short_form_and_its_address_one_spelling() -> None:
    topology = loads(
        "bridges: {br0: {fdb: {52-54-00-00-00-0A: web.eth0, '525400000007': {port: web.eth0.9, "
        "sticky: true}}}, br1: {fdb: }}\nnodes: {web: {ports: {eth0: br0, eth0.9: br0}}}",
        "lab.yaml",
    )
    assert topology.bridges["br0"].fdb == {
        "52:54:00:00:00:0a": StaticEntry(port="web.eth0"),
        "52:54:00:00:00:07": StaticEntry(port="web.eth0.9", sticky=True),
    }
    assert loads(dump(topology), "again.yaml") == topology


def test_an_alias_stands_for_its_value() -> None:
    topology = loads(
        "bridges: {br0: &quiet {ageing-time: 10, mtu: 9000}, br1: *quiet}\n", "lab.yaml"
    )
    assert topology.bridges["br0"] == topology.bridges["br1"] == Bridge(ageing_time=10, mtu=9000)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.replace("\n", "\r\n").encode())
    assert load(path) == loads(EXAMPLE, "demo.yaml")


def test_a_thousand_nodes_load() -> None:
    lines = [
        f"  n{n}: {{ports: {{eth0: {{bridge: br0, address: [10.0.{n // 250}.{n % 250 + 1}/16, "
        f"fd00::{n + 1:x}/64]}}}}}}"
        for n in range(1000)
    ]
    topology = loads("bridges: {br0: {engine: user}}\nnodes:\n" + "\n".join(lines), "lab.yaml")
    assert len(topology.nodes) == 1000
    assert topology.nodes["n999"].ports["eth0"].address == ("10.0.3.250/16", "fd00::3e8/64")


def test_loading_needs_no_extension_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    with_c = [loads(text, "lab.yaml") for text in (EXAMPLE, FULL)]
    monkeypatch.setitem(sys.modules, "ruamel.yaml.cyaml", None)
    assert [loads(text, "lab.yaml") for text in (EXAMPLE, FULL)] == with_c


SOCKETS = (SocketKind.STREAM, SocketKind.DGRAM)
RESERVED = {"lo", "all", "default", "host"}
names = st.from_regex(r"[a-z][a-z0-9]{0,7}", fullmatch=True).filter(lambda n: n not in RESERVED)
options: dict[str, Any] = {
    "hairpin": st.booleans(),
    "isolated": st.booleans(),
    "learning": st.booleans(),
    "broadcast_flood": st.booleans(),
    "group_fwd_mask": st.integers(0, 0xFFFF).map(lambda mask: mask & ~2),
}


MACHINES = st.fixed_dictionaries(
    {
        "kernel": st.sampled_from(["vmlinuz", "/boot/vmlinuz"]),
        "initrd": st.sampled_from([None, "initrd.img"]),
        "append": st.sampled_from(["", "console=ttyS0 quiet"]),
        "disk": st.none()
        | st.builds(Disk, file=st.just("a,b.img"), format=st.none() | st.sampled_from(DiskFormat)),
        "memory": st.sampled_from(["64M", "2G"]),
        "cpus": st.integers(1, 255),
        "shutdown": st.integers(0, 3600),
    }
)
"""Fields of virtual machines that boot a kernel of the file's."""


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Labs that are right by construction: each bridge has a network, each port a number in it."""
    numbered = [*enumerate(draw(st.lists(names, min_size=1, max_size=4, unique=True)))]
    bridges = {
        name: Bridge(
            address=(f"10.{index}.0.1/16",) if draw(st.booleans()) else (),
            mtu=draw(st.integers(1280, 65521)),
            ageing_time=draw(st.floats(0, 1_000_000)),
            up=draw(st.booleans()),
            ports=draw(
                st.dictionaries(
                    names,
                    st.builds(SocketPort, kind=st.sampled_from(SOCKETS), **options),
                    max_size=2,
                )
            ),
        )
        for index, name in numbered
    }
    nodes: dict[str, Node] = {}
    kinds: st.SearchStrategy[NodeKind] = st.sampled_from(NodeKind)
    for number, name in enumerate(draw(st.lists(names, max_size=6, unique=True))):
        index, bridge = draw(st.sampled_from(numbered))
        both = (f"10.{index}.1.{number + 1}/16", f"fd00:{index + 1}::{number + 1:x}/64")
        port: NodePort = draw(
            st.builds(
                NodePort,
                bridge=st.just(bridge),
                address=st.sampled_from([(), both]),
                mac=st.sampled_from([None, f"52:54:00:00:00:{number:02x}"]),
                mtu=st.none() | st.integers(1280, 65521),
                **options,
            )
        )
        routed = draw(st.booleans())
        gateway = (f"10.{index}.0.254",) if port.address and routed else ()
        kind = draw(kinds)
        machine: dict[str, Any] = draw(MACHINES) if kind is NodeKind.VM else {}
        nodes[name] = Node(kind=kind, ports={"eth0": port}, gateway=gateway, **machine)
    return Topology(name=draw(names), bridges=bridges, nodes=nodes)


@settings(deadline=None)
@given(topologies())
def test_what_is_dumped_loads_to_the_same(topology: Topology) -> None:
    assert loads(dump(topology), "any.yaml") == topology


def loads_or_is_a_mistake(text: str) -> None:
    try:
        loads(text, "lab.yaml")
    except Mistake as error:
        mistake = error
    else:
        return
    assert mistake.faults
    assert str(mistake).encode()


@settings(deadline=None)
@given(st.text())
def test_no_text_raises_anything_but_a_mistake(text: str) -> None:
    loads_or_is_a_mistake(text)


@settings(deadline=None)
@given(st.text(alphabet="ab0:.-?*&!|>%@#'\"{}[], \n\t<~/\\x1"))
def test_no_punctuation_raises_anything_but_a_mistake(text: str) -> None:
    loads_or_is_a_mistake(text)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([EXAMPLE, FULL]),
    st.lists(
        st.tuples(
            st.integers(0, 1000),
            st.integers(0, 12),
            st.text(alphabet="abr0:.-?*&!{}[], \n\t'\"/1", max_size=6),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_no_damage_to_a_file_raises_anything_but_a_mistake(
    text: str, cuts: list[tuple[int, int, str]]
) -> None:
    for begin, length, instead in cuts:
        text = text[:begin] + instead + text[begin + length :]
    loads_or_is_a_mistake(text)


WORDS = """
name scope bridges nodes ports bridge address mac mtu kind gateway node engine up eth0 br0 web host
container user stream 10.0.0.1/24 10.0.0.1 fd00::1/64 52:54:00:00:00:01 sandbox ageing-time
group-fwd-mask
"""
words = st.sampled_from(WORDS.split())
trees = st.recursive(
    words | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=30,
)


@settings(deadline=None, max_examples=300)
@given(st.fixed_dictionaries({}, optional={"bridges": trees, "nodes": trees, "name": trees}))
def test_no_structure_raises_anything_but_a_mistake(tree: object) -> None:
    loads_or_is_a_mistake(json.dumps(tree, ensure_ascii=False))
