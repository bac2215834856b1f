"""The options of a port: a row for each (`model.options`).

Sources: net/bridge/br_netlink.c (br_setport: attributes and limits), net/bridge/br_if.c (new_nbp:
defaults), net/bridge/br_stp_if.c, net/bridge/br_private.h.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from linkspan.model.base import BOTH, LARGEST_U32, MulticastRouter, Value, row

PORT_REFUSED_BITS: Final = 0x0002
"""BR_GROUPFWD_MACPAUSE (net/bridge/br_private.h): the only group that a port never lets pass."""

_Cost = Annotated[int, Meta(ge=1, le=65535)]


class PortOptions(Value, frozen=True, kw_only=True):
    """How the switch treats one port."""

    hairpin: Annotated[
        bool,
        row(
            "IFLA_BRPORT_MODE",
            "Send frames back out of the port that they came in by.",
            engines=BOTH,
        ),
    ] = False
    isolated: Annotated[
        bool,
        row(
            "IFLA_BRPORT_ISOLATED",
            "No frames to and from other isolated ports of the bridge.",
            engines=BOTH,
        ),
    ] = False
    learning: Annotated[
        bool,
        row(
            "IFLA_BRPORT_LEARNING",
            "Learn source addresses of frames that come in by this port.",
            engines=BOTH,
        ),
    ] = True
    unicast_flood: Annotated[
        bool,
        row(
            "IFLA_BRPORT_UNICAST_FLOOD",
            "Flood frames to unknown unicast addresses out of this port.",
            engines=BOTH,
        ),
    ] = True
    multicast_flood: Annotated[
        bool,
        row("IFLA_BRPORT_MCAST_FLOOD", "Flood multicast frames out of this port.", engines=BOTH),
    ] = True
    broadcast_flood: Annotated[
        bool,
        row("IFLA_BRPORT_BCAST_FLOOD", "Send broadcast frames out of this port.", engines=BOTH),
    ] = True
    group_fwd_mask: Annotated[
        int,
        row(
            "IFLA_BRPORT_GROUP_FWD_MASK",
            "Bit X lets frames to 01:80:c2:00:00:0X pass that come in by this port; "
            "bit 1 (PAUSE) is refused, as Linux refuses it.",
            engines=BOTH,
            ge=0,
            le=0xFFFF,
            refused_bits=PORT_REFUSED_BITS,
        ),
    ] = 0
    guard: Annotated[
        bool, row("IFLA_BRPORT_GUARD", "Disable the port when a spanning-tree message comes in.")
    ] = False
    root_block: Annotated[
        bool, row("IFLA_BRPORT_PROTECT", "Never take a bridge behind this port for the root.")
    ] = False
    priority: Annotated[
        int,
        row("IFLA_BRPORT_PRIORITY", "Priority of the port in the spanning tree.", ge=0, le=63),
    ] = 32
    cost: Annotated[
        _Cost | None,
        row(
            "IFLA_BRPORT_COST",
            "Cost of the port in the spanning tree; left out, by its speed.",
        ),
    ] = None
    locked: Annotated[
        bool, row("IFLA_BRPORT_LOCKED", "Let in only frames from addresses in the FDB.")
    ] = False
    mab: Annotated[
        bool,
        row("IFLA_BRPORT_MAB", "Note addresses that a locked port keeps out, for a program."),
    ] = False
    proxy_arp: Annotated[
        bool, row("IFLA_BRPORT_PROXYARP", "Answer ARP for neighbours that the bridge knows.")
    ] = False
    proxy_arp_wifi: Annotated[
        bool,
        row("IFLA_BRPORT_PROXYARP_WIFI", "Proxy ARP as IEEE 802.11 and Hotspot 2.0 have it."),
    ] = False
    neighbour_suppress: Annotated[
        bool,
        row("IFLA_BRPORT_NEIGH_SUPPRESS", "Flood no ARP and ND for neighbours that are known."),
    ] = False
    neighbour_vlan_suppress: Annotated[
        bool, row("IFLA_BRPORT_NEIGH_VLAN_SUPPRESS", "The same, for each VLAN by itself.")
    ] = False
    vlan_tunnel: Annotated[
        bool, row("IFLA_BRPORT_VLAN_TUNNEL", "Map VLANs to tunnel identifiers.")
    ] = False
    multicast_router: Annotated[
        MulticastRouter,
        row("IFLA_BRPORT_MULTICAST_ROUTER", "Whether a multicast router is behind the port."),
    ] = MulticastRouter.LEARN
    multicast_fast_leave: Annotated[
        bool,
        row("IFLA_BRPORT_FAST_LEAVE", "Forget a group at once when its member leaves."),
    ] = False
    multicast_to_unicast: Annotated[
        bool, row("IFLA_BRPORT_MCAST_TO_UCAST", "Send multicast to each member as unicast.")
    ] = False
    multicast_max_groups: Annotated[
        int,
        row(
            "IFLA_BRPORT_MCAST_MAX_GROUPS",
            "Most groups of members behind the port; 0 is no limit.",
            ge=0,
            le=LARGEST_U32,
        ),
    ] = 0
    multicast_eht_hosts_limit: Annotated[
        int,
        row(
            "IFLA_BRPORT_MCAST_EHT_HOSTS_LIMIT",
            "Most hosts behind the port that are tracked one by one.",
            ge=1,
            le=LARGEST_U32,
        ),
    ] = 512
