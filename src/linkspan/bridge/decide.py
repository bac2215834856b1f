"""The decision about one frame: a pure function of the bridge, the frame and the time.

`decide` serves the engine, the simulator, the trace and the doctor alike, which is why it changes
nothing: what a frame teaches stands in its verdict, for `commit`. No bytes make it raise.

The order is that of the Linux bridge (br_handle_frame, br_handle_frame_finish, br_flood):

    frame sane            long enough, not too long, no tag cut off
    bridge and port       the bridge is up and has the ingress port
    source sane           not zero, not a group
    01:80:c2:00:00:0X     ends here, at the host, or goes on as multicast
    ingress VLAN          `admit_vlan`
    may learn             `lesson`; an address of our own is reported instead
    port state            only a forwarding port lets frames in (a learning one has taught by now)
    destination           local, known, or one of the flood classes
    each egress port      `refusal`

802.1D-2004 (7.12.6) wants frames to all reserved addresses kept from other ports; Linux lets
through what group_fwd_mask says, and the bridge group address itself while no spanning tree runs,
so that other bridges still find loops. Linux wins. In Linux the stack of the *port* gets such a
frame; our ports have no stack of their own, so that of the bridge does.

A frame that the host sends through its own port takes a shorter way (br_dev_xmit): its source is
neither checked nor learned, no address is reserved, and the multicast and broadcast switches of
the ports do not apply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, TypeAlias

from linkspan.bridge.fdb import EntryKind
from linkspan.bridge.port import HEADER_BYTES, MAX_FRAME_BYTES, TAG_BYTES, Port, PortOptions
from linkspan.bridge.port import PortState as State
from linkspan.bridge.reasons import Reason
from linkspan.bridge.state import Bridge, is_station
from linkspan.bridge.verdict import Learn, Verdict
from linkspan.bridge.watch import is_watched
from linkspan.types import BROADCAST, HOST_PORT, NO_VLAN, Mac, PortNumber, Vlan

TAG_TYPES: Final = frozenset((b"\x81\x00", b"\x88\xa8"))
"""EtherTypes of an 802.1Q and an 802.1ad tag."""

RESERVED: Final = b"\x01\x80\xc2\x00\x00"
"""01:80:c2:00:00:0X less the last byte (IEEE 802.1Q-2022, table 8-1)."""

NEVER_CACHED_TYPES: Final = frozenset((b"\x08\x06", b"\x80\x35"))
"""ARP and RARP: guards must see each of them."""

NEVER_CACHED_GROUPS: Final = frozenset((b"\x33\x33", b"\x01\x00", b"\x01\x80"))
"""First bytes of IPv6 multicast (ND, MLD), IPv4 multicast (IGMP) and the reserved addresses:
snooping and spanning tree must see each of them."""


Fate: TypeAlias = tuple[Reason, tuple[PortNumber, ...], tuple[tuple[PortNumber, Reason], ...]]
"""How a frame ends, where it goes, and the ports that were refused."""

PAUSED: Final[Fate] = (Reason.MAC_IEEE_MAC_CONTROL, (), ())


@dataclass(frozen=True, slots=True)
class FloodClass:
    """Why a frame goes to all ports, and which of them say no (`enum br_pkt_type`)."""

    outcome: Reason
    switched_off: Reason
    is_taken: Callable[[PortOptions], bool]
    is_for_host: bool
    """Whether the host's own stack gets such a frame too."""
    host_overrides: bool
    """Whether frames that the host sends go out although a port has this class off."""


UNKNOWNS: Final = FloodClass(
    Reason.FLOODED_UNKNOWN_UNICAST,
    Reason.UNICAST_FLOOD_OFF,
    attrgetter("unicast_flood"),
    is_for_host=False,
    host_overrides=False,
)
GROUPS: Final = FloodClass(
    Reason.FLOODED_MULTICAST,
    Reason.MULTICAST_FLOOD_OFF,
    attrgetter("multicast_flood"),
    is_for_host=True,
    host_overrides=True,
)
BROADCASTS: Final = FloodClass(
    Reason.FLOODED_BROADCAST,
    Reason.BROADCAST_FLOOD_OFF,
    attrgetter("broadcast_flood"),
    is_for_host=True,
    host_overrides=True,
)


def decide(
    bridge: Bridge, ingress: PortNumber, frame: bytes, now: float, gso: bool = False
) -> Verdict:
    """What shall become of a frame that came in through a port.

    `frame` starts at the destination address and has no checksum at its end. `now` is in seconds;
    the FDB is not asked for ages (see there), so only limits on rates depend on it. `gso` says
    that the frame will be cut to the egress MTU on its way out.
    """
    if (fault := frame_fault(frame)) is not None:
        return Verdict(fault, ingress)
    if not bridge.up:
        return Verdict(Reason.BRIDGE_DOWN, ingress)
    port = bridge.ports.get(ingress)
    if port is None:
        return Verdict(Reason.INGRESS_UNKNOWN, ingress)
    destination, source = Mac(frame[:6]), Mac(frame[6:12])
    vlan = admit_vlan(port)
    learn = report = fate = None
    if ingress != HOST_PORT:
        if not is_station(source):
            return Verdict(Reason.MAC_INVALID_SOURCE, ingress, source=source)
        if destination[:5] == RESERVED:
            fate = reserved_fate(bridge, port, destination)
            if fate == PAUSED:
                return Verdict(Reason.MAC_IEEE_MAC_CONTROL, ingress, source=source)
        # Guards and storm control will end frames here, before these can teach anything.
        learn, report = lesson(bridge, port, vlan, source)

    if fate is None:
        if port.state is State.FORWARDING:
            known_source = None if learn is None else source
            size = 0 if gso else len(frame) - outer_tag_bytes(frame)
            fate = destination_fate(bridge, port, vlan, destination, known_source, size)
        else:
            fate = (Reason.BRIDGE_INGRESS_STP_STATE, (), ())
    reason, egress, withheld = fate
    cacheable = report is None and is_cacheable(frame) and not hangs_on_size(withheld)
    return Verdict(reason, ingress, egress, learn, source, report, withheld, vlan, cacheable)


def frame_fault(frame: bytes) -> Reason | None:
    """What is wrong with the frame itself, if anything."""
    size = len(frame)
    if size < HEADER_BYTES:
        return Reason.PKT_TOO_SMALL
    if size > MAX_FRAME_BYTES:
        return Reason.PKT_TOO_BIG
    if size < HEADER_BYTES + TAG_BYTES and frame[12:14] in TAG_TYPES:
        return Reason.HDR_TRUNC
    return None


def outer_tag_bytes(frame: bytes) -> int:
    """How much of a frame the kernel keeps beside it and does not count in its length."""
    return TAG_BYTES if frame[12:14] in TAG_TYPES else 0


def admit_vlan(port: Port) -> Vlan:
    """The VLAN that a frame from this port belongs to (`br_allowed_ingress`): none, because the
    bridge does not look at VLANs; tags pass as they are."""
    return NO_VLAN


def reserved_fate(bridge: Bridge, port: Port, destination: Mac) -> Fate | None:
    """What becomes of a frame to 01:80:c2:00:00:0X; None lets it go on as multicast.

    The switch in `br_handle_frame`: no spanning tree runs here, so the bridge group address goes
    on; pause frames end; for the rest a bit in the mask of the port or of the bridge decides.
    Addresses from :10 on are not reserved.
    """
    last = destination[5]
    if last == 0x00 or last > 0x0F:
        return None
    if last == 0x01:
        return PAUSED
    if (port.options.group_fwd_mask | bridge.group_fwd_mask) >> last & 1:
        return None
    return host_fate(bridge, Reason.LINK_LOCAL_TO_HOST)


def lesson(
    bridge: Bridge, port: Port, vlan: Vlan, source: Mac
) -> tuple[Learn | None, Reason | None]:
    """What the source address teaches: an address to learn, or one to report (`br_fdb_update`)."""
    if not may_learn(bridge, port):
        return None, None
    learn = Learn(vlan, source)
    entry = bridge.fdb.find(learn)
    if entry is not None and entry.kind is EntryKind.LOCAL:
        return None, Reason.OWN_ADDRESS
    return learn, None


def may_learn(bridge: Bridge, port: Port) -> bool:
    """Whether addresses are learned from what comes in here (`nbp_state_should_learn`)."""
    return (
        port.options.learning
        and (port.state is State.FORWARDING or port.state is State.LEARNING)
        and bridge.fdb.ageing_time > 0
    )


def destination_fate(
    bridge: Bridge, port: Port, vlan: Vlan, destination: Mac, learned: Mac | None, size: int
) -> Fate:
    """Where a frame that was let in goes. `learned` is its source address, if that is learned.

    Registered multicast will leave the flood here.
    """
    if destination[0] & 1:
        return flood_fate(bridge, port, BROADCASTS if destination == BROADCAST else GROUPS, size)
    entry = bridge.fdb.find((vlan, destination))
    if destination == learned and (entry is None or entry.may_move):
        # Linux has learned by now, so that a frame to its own sender finds it where it came from.
        return unicast_fate(port, port, size)
    if entry is None:
        return flood_fate(bridge, port, UNKNOWNS, size)
    if entry.kind is EntryKind.LOCAL and port.number != HOST_PORT:
        return host_fate(bridge, Reason.TO_HOST)
    # What the host sends to the address of a port leaves through that port, as in Linux.
    return unicast_fate(port, bridge.ports[entry.port], size)


def host_fate(bridge: Bridge, reason: Reason) -> Fate:
    """Up to the host's stack and nowhere else (`br_pass_frame_up`)."""
    if bridge.host_hears:
        return reason, (HOST_PORT,), ()
    return Reason.HOST_DOWN, (), ((HOST_PORT, Reason.HOST_DOWN),)


def unicast_fate(ingress: Port, egress: Port, size: int) -> Fate:
    """Out of one port (`br_forward`)."""
    refused = refusal(ingress, egress, size)
    if refused is None:
        return Reason.FORWARDED, (egress.number,), ()
    return refused, (), ((egress.number, refused),)


def flood_fate(bridge: Bridge, ingress: Port, kind: FloodClass, size: int) -> Fate:
    """Out of every port that takes such frames (`br_flood`), and to the host if it is for all."""
    egress: list[PortNumber] = []
    withheld: list[tuple[PortNumber, Reason]] = []
    from_host = ingress.number == HOST_PORT
    all_take = from_host and kind.host_overrides
    for port in bridge.ports.values():
        if port.number == HOST_PORT or (port is ingress and not port.options.hairpin):
            continue
        refused = (
            refusal(ingress, port, size)
            if all_take or kind.is_taken(port.options)
            else kind.switched_off
        )
        if refused is None:
            egress.append(port.number)
        else:
            withheld.append((port.number, refused))
    reason = kind.outcome if egress else Reason.NO_TX_TARGET
    if kind.is_for_host and not from_host:
        if bridge.host_hears:
            reason = kind.outcome if egress else Reason.TO_HOST
            egress.append(HOST_PORT)
        else:
            withheld.append((HOST_PORT, Reason.HOST_DOWN))
    return reason, tuple(egress), tuple(withheld)


def refusal(ingress: Port, egress: Port, size: int) -> Reason | None:
    """Why a frame may not leave through a port, if it may not: the whole egress rule.

    `should_deliver` (br_forward.c) and `is_skb_forwardable` (net/core/dev.c). `size` is 0 for a
    frame that will be cut to fit.
    """
    if egress is ingress and not egress.options.hairpin:
        return Reason.SAME_PORT
    if egress.state is not State.FORWARDING:
        return Reason.EGRESS_STP_STATE
    if egress.options.isolated and ingress.options.isolated:
        return Reason.ISOLATED
    if size > egress.longest_frame:
        return Reason.PKT_TOO_BIG
    return None


def is_cacheable(frame: bytes) -> bool:
    """Whether nothing but addresses, tag and type can ever matter for frames like this."""
    kind = frame[12:14]
    if kind in TAG_TYPES:
        kind = frame[16:18]
    return (
        kind not in NEVER_CACHED_TYPES
        and frame[:2] not in NEVER_CACHED_GROUPS
        and not is_watched(frame)
    )


def hangs_on_size(withheld: tuple[tuple[PortNumber, Reason], ...]) -> bool:
    """Whether a shorter frame would have gone further."""
    return any(reason is Reason.PKT_TOO_BIG for _, reason in withheld)
