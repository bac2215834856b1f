"""Every way in which a frame can end, one row each, and the rules of Linux at the odd corners."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bridge.bridge_samples import (
    ARP,
    BRIDGE_MAC,
    BROADCAST,
    GROUP,
    HOST_PORT,
    IPV4,
    P1,
    P2,
    P3,
    P4,
    PortState,
    bridge_of,
    frame,
    port_mac,
    rendered,
    reserved,
    station,
)

from linkspan.bridge.commit import OwnAddress, commit
from linkspan.bridge.decide import decide
from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.port import MAX_FRAME_BYTES, PortOptions
from linkspan.bridge.reasons import Reason, Stage, write_reasons
from linkspan.bridge.state import Bridge
from linkspan.bridge.verdict import Learn, Verdict
from linkspan.errors import Mistake
from linkspan.types import NO_VLAN, Mac, PortNumber

A, B, C = station(1), station(2), station(3)
VLAN_TAG = b"\x81\x00\x00\x05"


def town(**options: PortOptions) -> Bridge:
    """Ports 1 to 4 and the host; station A was learned behind port 1, B behind port 2."""
    bridge = bridge_of(1, 2, 3, 4, options=options)
    for mac, port in ((A, P1), (B, P2)):
        bridge.add_entry(mac, port, EntryKind.LEARNED, 0.0)
    return bridge


def fate(bridge: Bridge, ingress: int, data: bytes, gso: bool = False) -> Verdict:
    return decide(bridge, PortNumber(ingress), data, 0.0, gso)


def state(number: int, value: PortState) -> Callable[[Bridge], None]:
    return lambda bridge: bridge.set_state(PortNumber(number), value)


def unchanged(bridge: Bridge) -> None:
    pass


OFF = PortOptions(unicast_flood=False, multicast_flood=False, broadcast_flood=False)
Options = dict[str, PortOptions]
Change = Callable[[Bridge], None]
ROWS: list[tuple[str, Options, Change, int, bytes, Reason, tuple[int, ...]]] = [
    ("known unicast", {}, unchanged, 1, frame(B, A), Reason.FORWARDED, (2,)),
    (
        "unknown unicast floods, not to the host",
        {}, unchanged, 1, frame(C, A), Reason.FLOODED_UNKNOWN_UNICAST, (2, 3, 4),
    ),
    (
        "unknown multicast floods",
        {}, unchanged, 1, frame(GROUP, A), Reason.FLOODED_MULTICAST, (2, 3, 4, 0),
    ),
    (
        "broadcast",
        {}, unchanged, 1, frame(BROADCAST, A, ARP), Reason.FLOODED_BROADCAST, (2, 3, 4, 0),
    ),
    ("to the bridge", {}, unchanged, 1, frame(BRIDGE_MAC, A), Reason.TO_HOST, (0,)),
    ("to a port's interface", {}, unchanged, 1, frame(port_mac(3), A), Reason.TO_HOST, (0,)),
    ("LLDP", {}, unchanged, 1, frame(reserved(14), A), Reason.LINK_LOCAL_TO_HOST, (0,)),
    ("runt", {}, unchanged, 1, bytes(13), Reason.PKT_TOO_SMALL, ()),
    ("empty", {}, unchanged, 1, b"", Reason.PKT_TOO_SMALL, ()),
    ("giant", {}, unchanged, 1, frame(B, A, payload=MAX_FRAME_BYTES), Reason.PKT_TOO_BIG, ()),
    ("cut tag", {}, unchanged, 1, frame(B, A, b"\x00", VLAN_TAG, 0), Reason.HDR_TRUNC, ()),
    ("bridge down", {}, lambda b: b.set_up(False), 1, frame(B, A), Reason.BRIDGE_DOWN, ()),
    ("no such port", {}, unchanged, 9, frame(B, A), Reason.INGRESS_UNKNOWN, ()),
    ("source is a group", {}, unchanged, 1, frame(B, GROUP), Reason.MAC_INVALID_SOURCE, ()),
    ("source is zero", {}, unchanged, 1, frame(B, Mac(bytes(6))), Reason.MAC_INVALID_SOURCE, ()),
    ("pause", {}, unchanged, 1, frame(reserved(1), A), Reason.MAC_IEEE_MAC_CONTROL, ()),
    (
        "ingress blocking",
        {}, state(1, PortState.BLOCKING), 1, frame(B, A), Reason.BRIDGE_INGRESS_STP_STATE, (),
    ),
    (
        "nobody takes it",
        {"p2": OFF, "p3": OFF, "p4": OFF}, unchanged, 1, frame(C, A), Reason.NO_TX_TARGET, (),
    ),
    ("destination where it came from", {}, unchanged, 2, frame(B, C), Reason.SAME_PORT, ()),
    (
        "hairpin sends it back",
        {"p2": PortOptions(hairpin=True)}, unchanged, 2, frame(B, C), Reason.FORWARDED, (2,),
    ),
    (
        "hairpin floods back",
        {"p1": PortOptions(hairpin=True)}, unchanged, 1, frame(C, A),
        Reason.FLOODED_UNKNOWN_UNICAST, (1, 2, 3, 4),
    ),
    (
        "egress blocking",
        {}, state(2, PortState.BLOCKING), 1, frame(B, A), Reason.EGRESS_STP_STATE, (),
    ),
    (
        "both isolated",
        {"p1": PortOptions(isolated=True), "p2": PortOptions(isolated=True)},
        unchanged, 1, frame(B, A), Reason.ISOLATED, (),
    ),
    (
        "one isolated",
        {"p1": PortOptions(isolated=True)}, unchanged, 1, frame(B, A), Reason.FORWARDED, (2,),
    ),
    (
        "isolated reaches the host",
        {"p1": PortOptions(isolated=True), "p2": PortOptions(isolated=True)},
        unchanged, 1, frame(BROADCAST, A), Reason.FLOODED_BROADCAST, (3, 4, 0),
    ),
    (
        "host reaches isolated",
        {"p2": PortOptions(isolated=True)}, unchanged, 0, frame(B, BRIDGE_MAC),
        Reason.FORWARDED, (2,),
    ),
    (
        "broadcast that only the host takes",
        {"p2": OFF, "p3": OFF, "p4": OFF}, unchanged, 1, frame(BROADCAST, A), Reason.TO_HOST, (0,),
    ),
    (
        "longer than the MTU",
        {"p2": PortOptions(mtu=100)}, unchanged, 1, frame(B, A, payload=105),
        Reason.PKT_TOO_BIG, (),
    ),
    (
        "as long as the MTU and a tag allow",
        {"p2": PortOptions(mtu=100)}, unchanged, 1, frame(B, A, payload=104),
        Reason.FORWARDED, (2,),
    ),
    (
        "a tag takes no room in the MTU",
        {"p2": PortOptions(mtu=100)}, unchanged, 1, frame(B, A, tag=VLAN_TAG, payload=104),
        Reason.FORWARDED, (2,),
    ),
    (
        "longer than the MTU behind its tag",
        {"p2": PortOptions(mtu=100)}, unchanged, 1, frame(B, A, tag=VLAN_TAG, payload=105),
        Reason.PKT_TOO_BIG, (),
    ),
    (
        "host absent",
        {}, lambda b: b.remove_port(HOST_PORT), 1, frame(BRIDGE_MAC, A), Reason.HOST_DOWN, (),
    ),
    (
        "host down",
        {}, state(0, PortState.DISABLED), 1, frame(reserved(14), A), Reason.HOST_DOWN, (),
    ),
    ("from host, known", {}, unchanged, 0, frame(A, BRIDGE_MAC), Reason.FORWARDED, (1,)),
    (
        "from host, multicast off does not apply",
        {"p2": OFF}, unchanged, 0, frame(GROUP, BRIDGE_MAC), Reason.FLOODED_MULTICAST, (1, 2, 3, 4),
    ),
    (
        "from host, unknown unicast off applies",
        {"p2": OFF}, unchanged, 0, frame(C, BRIDGE_MAC), Reason.FLOODED_UNKNOWN_UNICAST, (1, 3, 4),
    ),
    (
        "from host, no address is reserved",
        {}, unchanged, 0, frame(reserved(14), BRIDGE_MAC), Reason.FLOODED_MULTICAST, (1, 2, 3, 4),
    ),
    ("from host to itself", {}, unchanged, 0, frame(BRIDGE_MAC, BRIDGE_MAC), Reason.SAME_PORT, ()),
    (
        "from host to a port's interface leaves there",
        {}, unchanged, 0, frame(port_mac(3), BRIDGE_MAC), Reason.FORWARDED, (3,),
    ),
    (
        "BPDU while no spanning tree runs",
        {}, unchanged, 1, frame(reserved(0), A), Reason.FLOODED_MULTICAST, (2, 3, 4, 0),
    ),
    (
        "LLDP through the port's mask",
        {"p1": PortOptions(group_fwd_mask=1 << 14)}, unchanged, 1, frame(reserved(14), A),
        Reason.FLOODED_MULTICAST, (2, 3, 4, 0),
    ),
    (
        "LLDP through the bridge's mask",
        {}, lambda b: b.set_group_fwd_mask(1 << 14), 1, frame(reserved(14), A),
        Reason.FLOODED_MULTICAST, (2, 3, 4, 0),
    ),
    (
        "the mask counts at ingress only",
        {"p2": PortOptions(group_fwd_mask=1 << 14)}, unchanged, 1, frame(reserved(14), A),
        Reason.LINK_LOCAL_TO_HOST, (0,),
    ),
    (
        "01:80:c2:00:00:10 is not reserved",
        {}, unchanged, 1, frame(reserved(16), A), Reason.FLOODED_MULTICAST, (2, 3, 4, 0),
    ),
    (
        "LLDP is heard on a blocked port",
        {}, state(1, PortState.BLOCKING), 1, frame(reserved(14), A),
        Reason.LINK_LOCAL_TO_HOST, (0,),
    ),
    ("a frame to its own sender", {}, unchanged, 3, frame(C, C), Reason.SAME_PORT, ()),
    ("a moved sender to itself", {}, unchanged, 3, frame(A, A), Reason.SAME_PORT, ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "change", "ingress", "data", "reason", "egress"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_a_frame_ends_as_the_table_says(
    options: Options,
    change: Change,
    ingress: int,
    data: bytes,
    reason: Reason,
    egress: tuple[int, ...],
) -> None:
    bridge = town(**options)
    change(bridge)
    verdict = fate(bridge, ingress, data)
    assert (verdict.reason, verdict.egress) == (reason, egress)
    assert verdict.reason.forwarded == bool(verdict.egress)


def test_the_table_above_knows_every_reason_of_a_verdict() -> None:
    seen = {row[5] for row in ROWS}
    withheld_only = {
        Reason.UNICAST_FLOOD_OFF,
        Reason.MULTICAST_FLOOD_OFF,
        Reason.BROADCAST_FLOOD_OFF,
    }
    elsewhere = {reason for reason in Reason if reason.stage in (Stage.ENGINE, Stage.REPORT)}
    assert seen | withheld_only | elsewhere == set(Reason)


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        (C, Reason.UNICAST_FLOOD_OFF),
        (GROUP, Reason.MULTICAST_FLOOD_OFF),
        (BROADCAST, Reason.BROADCAST_FLOOD_OFF),
    ],
)
def test_a_flood_says_which_ports_were_refused_and_why(destination: Mac, reason: Reason) -> None:
    bridge = town(p2=OFF, p3=PortOptions(mtu=10))
    bridge.set_state(P4, PortState.LISTENING)
    bridge.remove_port(HOST_PORT)
    verdict = fate(bridge, 1, frame(destination, A))
    assert verdict.withheld[:3] == (
        (2, reason),
        (3, Reason.PKT_TOO_BIG),
        (4, Reason.EGRESS_STP_STATE),
    )
    assert verdict.withheld[3:] == (() if destination == C else ((0, Reason.HOST_DOWN),))
    assert verdict.reason is Reason.NO_TX_TARGET


def test_a_frame_that_will_be_segmented_passes_a_small_mtu() -> None:
    bridge = town(p2=PortOptions(mtu=1500))
    assert fate(bridge, 1, frame(B, A, payload=60000), gso=True).egress == (2,)
    assert fate(bridge, 1, frame(B, A, payload=60000)).reason is Reason.PKT_TOO_BIG


@pytest.mark.parametrize(
    ("value", "learns"),
    [
        (PortState.DISABLED, False),
        (PortState.LISTENING, False),
        (PortState.BLOCKING, False),
        (PortState.LEARNING, True),
        (PortState.FORWARDING, True),
    ],
)
def test_only_a_learning_or_forwarding_port_learns(value: PortState, learns: bool) -> None:
    bridge = town()
    bridge.set_state(P3, value)
    for destination in (B, reserved(14)):
        learn = fate(bridge, 3, frame(destination, C)).learn
        assert learn == (Learn(NO_VLAN, C) if learns else None)


def test_nothing_is_learned_from_the_host_or_with_learning_off_or_without_ageing() -> None:
    assert fate(town(), 0, frame(BROADCAST, C)).learn is None
    assert fate(town(p3=PortOptions(learning=False)), 3, frame(BROADCAST, C)).learn is None
    bridge = town()
    bridge.set_ageing_time(0)
    assert fate(bridge, 3, frame(BROADCAST, C)).learn is None


@pytest.mark.parametrize("own", [BRIDGE_MAC, port_mac(2)])
def test_our_own_address_as_source_is_reported_and_not_learned(own: Mac) -> None:
    bridge = town()
    verdict = fate(bridge, 1, frame(B, own))
    assert verdict.report is Reason.OWN_ADDRESS
    assert verdict.learn is None
    assert verdict.egress == (2,)
    assert not verdict.cacheable
    before = rendered(bridge)
    assert commit(bridge, verdict, 1.0) == (OwnAddress(own, P1),)
    assert rendered(bridge) == before


@pytest.mark.parametrize(
    ("destination", "kind", "tag", "cacheable"),
    [
        (B, IPV4, b"", True),
        (C, IPV4, b"", True),
        (BROADCAST, IPV4, b"", True),
        (B, IPV4, VLAN_TAG, True),
        (B, ARP, b"", False),
        (B, ARP, VLAN_TAG, False),
        (BROADCAST, b"\x80\x35", b"", False),
        (GROUP, IPV4, b"", False),
        (Mac(bytes.fromhex("3333ff000001")), b"\x86\xdd", b"", False),
        (reserved(0), b"\x00\x26", b"", False),
        (reserved(14), b"\x88\xcc", b"", False),
    ],
)
def test_what_a_guard_or_snooping_must_see_is_never_cacheable(
    destination: Mac, kind: bytes, tag: bytes, cacheable: bool
) -> None:
    assert fate(town(), 1, frame(destination, A, kind, tag)).cacheable is cacheable


def test_a_verdict_that_hangs_on_the_length_is_not_cacheable() -> None:
    bridge = town(p3=PortOptions(mtu=10))
    assert not fate(bridge, 1, frame(C, A)).cacheable
    assert fate(bridge, 1, frame(C, A, payload=5)).cacheable


def test_masks_that_linux_refuses_are_refused() -> None:
    for mask in (1, 2, 4, -1, 1 << 16):
        with pytest.raises(Mistake, match="group_fwd_mask"):
            town().set_group_fwd_mask(mask)
    with pytest.raises(ValueError, match="pause"):
        PortOptions(group_fwd_mask=2)
    lacp = town(p1=PortOptions(group_fwd_mask=4))
    assert fate(lacp, 1, frame(reserved(2), A)).egress == (2, 3, 4, 0)


def test_docs_reasons_is_written_from_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "reasons.md"
    assert page.read_text() == write_reasons()


addresses = st.sampled_from(
    [A, B, C, BROADCAST, GROUP, BRIDGE_MAC, port_mac(1), reserved(0), reserved(14), Mac(bytes(6))]
)
odd_frames = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda dst, src, rest: dst + src + rest,
        addresses,
        addresses,
        st.sampled_from(
            [b"", b"\x81", b"\x81\x00", b"\x88\xa8\x00\x01\x08", b"\x08\x00", b"\x08\x06"]
        ),
    ),
)


@given(odd_frames, st.integers(-1, 6), st.booleans())
def test_decide_changes_nothing_never_raises_and_always_has_a_reason(
    data: bytes, ingress: int, gso: bool
) -> None:
    bridge = town(p3=PortOptions(isolated=True, hairpin=True), p4=PortOptions(mtu=20))
    twin = copy.deepcopy(bridge)
    verdict = fate(bridge, ingress, data, gso)
    assert rendered(bridge) == rendered(twin)
    assert verdict == fate(twin, ingress, data, gso)
    assert verdict.reason.forwarded == bool(verdict.egress)
    assert verdict.reason.stage in (Stage.OUTCOME, Stage.INGRESS, Stage.EGRESS)
    assert len(set(verdict.egress)) == len(verdict.egress)
    commit(bridge, verdict, 1.0)
