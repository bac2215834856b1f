"""The options of a bridge: a row for each (`model.options`).

Sources: net/bridge/br_netlink.c (br_changelink: attributes and limits), net/bridge/br_device.c
(br_dev_setup: defaults), net/bridge/br_multicast.c, net/bridge/br_private.h.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

from msgspec import Meta

from linkspan.model.base import BOTH, LARGEST_U32, MulticastRouter, Value, row

BRIDGE_REFUSED_BITS: Final = 0x0007
"""BR_GROUPFWD_RESTRICTED (net/bridge/br_private.h): STP, PAUSE and LACP stay on their link."""

LONGEST_AGEING: Final = 1_000_000
"""Seconds (IEEE 802.1D-2004, table 7-5)."""

LARGEST_FDB: Final = 1 << 20
"""Learned addresses of one bridge; a hardware switch of a data centre holds about as many."""

USER_FDB: Final = 65536
"""Learned addresses of a bridge of the user engine whose file says nothing else."""

SHORTEST_FORWARD_DELAY: Final = 2
"""Seconds, while a spanning tree runs (BR_MIN_FORWARD_DELAY, net/bridge/br_private_stp.h)."""

_DAY: Final = 86400
"""Seconds: the longest interval between queries (BR_MULTICAST_QUERY_INTVL_MAX)."""


class SpanningTree(enum.Enum):
    """Which spanning tree a bridge takes part in."""

    OFF = "off"
    STP = "stp"


class VlanProtocol(enum.Enum):
    """Which tag a bridge that filters VLANs reads: a customer's or a provider's."""

    CUSTOMER = "802.1Q"
    PROVIDER = "802.1ad"


GroupAddressText = Annotated[
    str,
    Meta(
        pattern="^01[:-]?80[:-]?[cC]2([:-]?00){2}[:-]?0[0-9a-fA-F]$",
        extra={"shape": "group-address"},
        examples=["01:80:c2:00:00:00"],
    ),
]
_Limit = Annotated[int, Meta(ge=1, le=LARGEST_FDB)]


class BridgeOptions(Value, frozen=True, kw_only=True):
    """What can be set on a bridge."""

    ageing_time: Annotated[
        float,
        row(
            "IFLA_BR_AGEING_TIME",
            "Seconds after which a silent address is forgotten; "
            "0 forgets at once, so that every frame floods.",
            engines=BOTH,
            ge=0,
            le=LONGEST_AGEING,
        ),
    ] = 300.0
    fdb_max_learned: Annotated[
        _Limit | None,
        row(
            "IFLA_BR_FDB_MAX_LEARNED",
            "Most addresses that the bridge learns; left out, "
            f"{USER_FDB} on the user engine and no limit on the kernel's.",
            engines=BOTH,
            unset=0,
        ),
    ] = None
    group_fwd_mask: Annotated[
        int,
        row(
            "IFLA_BR_GROUP_FWD_MASK",
            "Bit X lets frames to 01:80:c2:00:00:0X pass; bits 0, 1 and 2 (STP, "
            "PAUSE, LACP) are refused, as Linux refuses them.",
            engines=BOTH,
            ge=0,
            le=0xFFFF,
            multiple_of=8,
            refused_bits=BRIDGE_REFUSED_BITS,
        ),
    ] = 0
    group_address: Annotated[
        GroupAddressText,
        row(
            "IFLA_BR_GROUP_ADDR",
            "Where the bridge sends its spanning tree's messages; as a provider bridge "
            "(vlan-filtering with 802.1ad) that says nothing else, 01:80:c2:00:00:08.",
        ),
    ] = "01:80:c2:00:00:00"
    no_linklocal_learn: Annotated[
        bool,
        row("IFLA_BR_MULTI_BOOLOPT", "Learn nothing from frames to 01:80:c2:00:00:0X.", bit=0),
    ] = False
    stp: Annotated[
        SpanningTree, row("IFLA_BR_STP_STATE", "Spanning tree that the bridge takes part in.")
    ] = SpanningTree.OFF
    priority: Annotated[
        int,
        row(
            "IFLA_BR_PRIORITY",
            "Priority in the election of the root bridge; the lowest is elected.",
            ge=0,
            le=0xFFFF,
        ),
    ] = 32768
    forward_delay: Annotated[
        float,
        row(
            "IFLA_BR_FORWARD_DELAY",
            "Seconds that a port listens, and then learns, before it forwards; "
            f"with a spanning tree at least {SHORTEST_FORWARD_DELAY}.",
            ge=0,
            le=30,
        ),
    ] = 15.0
    hello_time: Annotated[
        float,
        row("IFLA_BR_HELLO_TIME", "Seconds between the root bridge's messages.", ge=1, le=10),
    ] = 2.0
    max_age: Annotated[
        float,
        row(
            "IFLA_BR_MAX_AGE",
            "Seconds without a message after which the root bridge counts as gone.",
            ge=6,
            le=40,
        ),
    ] = 20.0
    mst_enabled: Annotated[
        bool,
        row(
            "IFLA_BR_MULTI_BOOLOPT",
            "A spanning-tree state for each group of VLANs; "
            "stays as it is while ports are members of VLANs.",
            bit=2,
        ),
    ] = False
    vlan_filtering: Annotated[
        bool,
        row("IFLA_BR_VLAN_FILTERING", "Look at VLAN tags, and let in and out what ports allow."),
    ] = False
    vlan_protocol: Annotated[
        VlanProtocol, row("IFLA_BR_VLAN_PROTOCOL", "Tag that is looked at.")
    ] = VlanProtocol.CUSTOMER
    vlan_default_pvid: Annotated[
        int,
        row(
            "IFLA_BR_VLAN_DEFAULT_PVID",
            "VLAN of untagged frames on ports that say nothing else; 0 is none.",
            ge=0,
            le=4094,
        ),
    ] = 1
    vlan_stats_enabled: Annotated[
        bool, row("IFLA_BR_VLAN_STATS_ENABLED", "Count frames for each VLAN.")
    ] = False
    vlan_stats_per_port: Annotated[
        bool,
        row(
            "IFLA_BR_VLAN_STATS_PER_PORT",
            "Count frames for each VLAN of each port; "
            "stays as it is while ports are members of VLANs.",
        ),
    ] = False
    fdb_local_vlan_0: Annotated[
        bool,
        row(
            "IFLA_BR_MULTI_BOOLOPT",
            "Keep the bridge's own addresses once in the FDB, not once for each VLAN.",
            bit=3,
        ),
    ] = False
    multicast_snooping: Annotated[
        bool,
        row("IFLA_BR_MCAST_SNOOPING", "Send multicast only where a member or a router is."),
    ] = True
    multicast_vlan_snooping: Annotated[
        bool, row("IFLA_BR_MULTI_BOOLOPT", "Snoop for each VLAN by itself.", bit=1)
    ] = False
    multicast_router: Annotated[
        MulticastRouter,
        row("IFLA_BR_MCAST_ROUTER", "Whether the bridge's own node is a multicast router."),
    ] = MulticastRouter.LEARN
    multicast_querier: Annotated[
        bool, row("IFLA_BR_MCAST_QUERIER", "Send queries while no other querier does.")
    ] = False
    multicast_query_use_ifaddr: Annotated[
        bool,
        row(
            "IFLA_BR_MCAST_QUERY_USE_IFADDR",
            "Send queries from the bridge's own address, not from 0.0.0.0.",
        ),
    ] = False
    multicast_igmp_version: Annotated[
        int, row("IFLA_BR_MCAST_IGMP_VERSION", "IGMP version of the queries.", ge=2, le=3)
    ] = 2
    multicast_mld_version: Annotated[
        int, row("IFLA_BR_MCAST_MLD_VERSION", "MLD version of the queries.", ge=1, le=2)
    ] = 1
    multicast_stats_enabled: Annotated[
        bool, row("IFLA_BR_MCAST_STATS_ENABLED", "Count IGMP and MLD messages.")
    ] = False
    multicast_hash_max: Annotated[
        int, row("IFLA_BR_MCAST_HASH_MAX", "Most groups that are kept.", ge=1, le=LARGEST_U32)
    ] = 4096
    multicast_last_member_count: Annotated[
        int,
        row(
            "IFLA_BR_MCAST_LAST_MEMBER_CNT",
            "Queries after a member has left, before the group is forgotten.",
            ge=0,
            le=LARGEST_U32,
        ),
    ] = 2
    multicast_startup_query_count: Annotated[
        int,
        row("IFLA_BR_MCAST_STARTUP_QUERY_CNT", "Queries at the beginning.", ge=0, le=LARGEST_U32),
    ] = 2
    multicast_last_member_interval: Annotated[
        float,
        row(
            "IFLA_BR_MCAST_LAST_MEMBER_INTVL",
            "Seconds between queries after a member has left.",
            ge=0,
            le=_DAY,
        ),
    ] = 1.0
    multicast_membership_interval: Annotated[
        float,
        row(
            "IFLA_BR_MCAST_MEMBERSHIP_INTVL",
            "Seconds after which a silent member is forgotten.",
            ge=0,
            le=_DAY,
        ),
    ] = 260.0
    multicast_querier_interval: Annotated[
        float,
        row(
            "IFLA_BR_MCAST_QUERIER_INTVL",
            "Seconds after which another querier that is silent counts as gone.",
            ge=0,
            le=_DAY,
        ),
    ] = 255.0
    multicast_query_interval: Annotated[
        float, row("IFLA_BR_MCAST_QUERY_INTVL", "Seconds between queries.", ge=1, le=_DAY)
    ] = 125.0
    multicast_query_response_interval: Annotated[
        float,
        row(
            "IFLA_BR_MCAST_QUERY_RESPONSE_INTVL",
            "Seconds within which members answer a query.",
            ge=0,
            le=_DAY,
        ),
    ] = 10.0
    multicast_startup_query_interval: Annotated[
        float,
        row(
            "IFLA_BR_MCAST_STARTUP_QUERY_INTVL",
            "Seconds between the queries at the beginning.",
            ge=1,
            le=_DAY,
        ),
    ] = 31.25
    nf_call_iptables: Annotated[
        bool, row("IFLA_BR_NF_CALL_IPTABLES", "Take bridged IPv4 through iptables and nft.")
    ] = False
    nf_call_ip6tables: Annotated[
        bool, row("IFLA_BR_NF_CALL_IP6TABLES", "Take bridged IPv6 through ip6tables and nft.")
    ] = False
    nf_call_arptables: Annotated[
        bool, row("IFLA_BR_NF_CALL_ARPTABLES", "Take bridged ARP through arptables and nft.")
    ] = False
