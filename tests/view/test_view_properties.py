"""Whatever a lab looks like, it can be shown; and the rules that tables and matrices keep."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.view.view_labs import bridge, containers, interface, lab, node, port

from linkspan import view
from linkspan.model.snapshot import (
    BridgeSnapshot,
    Counters,
    FdbSnapshot,
    InterfaceSnapshot,
    LabSnapshot,
    NodeSnapshot,
    PortSnapshot,
    Reach,
)
from linkspan.view.table import Cell, Quantity, byte_count, milliseconds

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
ANY_TEXT = st.text(max_size=20)
ADDRESSES = st.lists(
    st.ip_addresses(v=4).map("{}/24".format) | st.ip_addresses(v=6).map("{}/64".format), max_size=4
)
MACS = st.binary(min_size=6, max_size=6).map(lambda mac: mac.hex(":"))
COUNTS = st.integers(0, 2**64)
COUNTERS = st.builds(
    Counters, COUNTS, COUNTS, COUNTS, COUNTS, st.dictionaries(ANY_TEXT, COUNTS, max_size=3)
)


@st.composite
def labs(draw: st.DrawFn) -> LabSnapshot:
    """Labs whose parts fit together by chance only, as after a crash in the middle of a change."""
    node_names = draw(st.lists(NAMES, max_size=16, unique=True))
    bridge_names = draw(st.lists(NAMES, max_size=3))
    some_bridge = st.sampled_from(bridge_names) if bridge_names else st.none()
    interfaces = st.builds(
        InterfaceSnapshot,
        name=st.sampled_from(["eth0", "eth1", "lo"]) | ANY_TEXT,
        mac=MACS,
        mtu=st.integers(0, 2**32),
        up=st.booleans(),
        carrier=st.booleans(),
        addresses=ADDRESSES,
        bridge=st.none() | some_bridge,
    )
    ports = st.builds(
        PortSnapshot,
        name=NAMES | ANY_TEXT,
        number=st.integers(0, 2000),
        kind=st.sampled_from(["tap", "veth", "packet", "stream", "dgram"]),
        state=st.sampled_from(["forwarding", "disabled"]),
        node=st.none() | st.sampled_from([*node_names, "unheard-of"]),
        interface=st.none() | st.sampled_from(["eth0", "eth1"]) | ANY_TEXT,
        options=st.dictionaries(st.sampled_from(["isolated", "hairpin", "x"]), st.booleans()),
        counters=COUNTERS,
    )
    entries = st.builds(
        FdbSnapshot,
        mac=MACS,
        vlan=st.integers(0, 4094),
        port=ANY_TEXT,
        kind=st.sampled_from(["learned", "static", "sticky", "local"]),
        age=st.none() | st.floats(0, 1e6),
    )
    bridges = [
        BridgeSnapshot(
            name=name,
            node=draw(st.sampled_from(["host", *node_names])),
            engine="user",
            mac=draw(MACS),
            up=draw(st.booleans()),
            addresses=draw(ADDRESSES),
            options={},
            pid=1,
            restarts=draw(st.integers(0, 10**6)),
            ports=draw(st.lists(ports, max_size=15)),
            fdb=draw(st.lists(entries, max_size=4)),
        )
        for name in bridge_names
    ]
    nodes = [
        NodeSnapshot(
            name,
            draw(st.sampled_from(["container", "host", "vm"])),
            draw(st.lists(interfaces, max_size=3)),
        )
        for name in node_names
    ]
    state = draw(st.sampled_from(["running", "stale"]))
    return LabSnapshot(draw(NAMES), "sandbox", state, draw(st.floats(0, 4e9)), bridges, nodes)


@settings(max_examples=150, deadline=None)
@given(labs(), st.integers(60, 200), st.booleans())
def test_any_lab_is_drawn_within_its_columns_with_every_node(
    anything: LabSnapshot, columns: int, in_ascii: bool
) -> None:
    drawing = view.picture(anything, columns=columns, ascii=in_ascii)
    lines = drawing.splitlines()
    assert max(map(len, lines)) <= columns
    assert all(line == line.rstrip() for line in lines)
    assert all(each.name in drawing for each in anything.nodes)
    assert all(each.name in drawing for each in anything.bridges)
    assert not in_ascii or drawing.isascii()


@settings(max_examples=100, deadline=None)
@given(labs())
def test_any_lab_has_tables_that_steer_no_terminal(anything: LabSnapshot) -> None:
    for each in (
        view.bridges_table,
        view.ports_table,
        view.fdb_table,
        view.addresses_table,
        view.drops_table,
    ):
        assert each(anything).replace("\n", "").isprintable()


@given(
    st.lists(
        st.builds(
            Reach,
            source=ANY_TEXT,
            destination=ANY_TEXT,
            address=st.sampled_from(["", "10.0.0.1", "fd00::1"]),
            result=st.sampled_from(
                ["reached", "no-reply", "no-route", "no-address", "error", "new"]
            ),
            milliseconds=st.none() | st.floats(0, 1e5),
            detail=ANY_TEXT,
        ),
        max_size=40,
    ),
    st.integers(0, 200),
)
def test_any_answers_are_summed_up(results: list[Reach], columns: int) -> None:
    text = view.ping_matrix(results, columns)
    assert text.replace("\n", "").isprintable()
    assert not results or " reach each other" in text


def test_a_list_of_many_ports_names_socket_and_trouble() -> None:
    many = containers(40)
    ports = [*many.bridges[0].ports, port(41, None, name="vm", kind="stream", state="disabled")]
    drawing = view.picture(lab([bridge(*ports[1:])], many.nodes), columns=100)
    last = drawing.splitlines()[-1]
    assert last.split() == ["╙─", "41", "stream", "socket", "vm,", "stream,", "disabled"]


def test_a_node_with_two_ports_on_one_bridge_stands_there_twice() -> None:
    both = node("bond", interface("eth0", 1, "10.0.0.1/24"), interface("eth1", 2))
    drawing = view.picture(lab([bridge(port(1, "bond:eth0"), port(2, "bond:eth1"))], [both]))
    assert drawing.count("│ bond ") == 2
    assert "+ eth1 on br0" in drawing
    assert "+ eth0 on br0" in drawing


def test_escape_sequences_in_names_from_inside_a_node_are_not_passed_on() -> None:
    evil = "\x1b[2J\u202e"
    hostile = lab(
        [bridge(port(1, f"a:{evil}"))], [node("a", interface(evil, 1), interface(f"{evil}2", 2))]
    )
    for text in (view.picture(hostile), view.addresses_table(hostile), view.ports_table(hostile)):
        assert "\x1b" not in text
        assert "?[2J?" in text


def test_numbers_stand_under_each_other() -> None:
    rows: list[list[Cell]] = [
        ["a", 1, Quantity("9 B")],
        ["long name", 12345, None],
        ["", 7, Quantity("1.0 kB")],
    ]
    assert view.table(["name", "frames", "size"], rows).splitlines() == [
        "name       frames    size",
        "a               1     9 B",
        "long name  12,345       -",
        "                7  1.0 kB",
    ]


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        view.table(["one", "two"], [["only"]])


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (5 * 10**21, "5,000.0 EB"),
    ],
)
def test_bytes_are_shown_in_decimal_units(count: int, text: str) -> None:
    assert byte_count(count) == text


@pytest.mark.parametrize(
    ("time", "text"), [(0.004, "0.00 ms"), (0.1234, "0.12 ms"), (23.44, "23.4 ms"), (180, "180 ms")]
)
def test_times_keep_the_digits_that_matter(time: float, text: str) -> None:
    assert milliseconds(time) == text
