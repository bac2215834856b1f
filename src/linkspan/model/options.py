"""The options of a bridge and of a port: one table, a row for each, for the file and the kernel.

A row is a struct field: its name is the key in the file (with hyphens), its default the kernel's,
its annotation says which netlink attribute it is, in which limits, and which engines have it.
`OPTIONS` is the same table for those who go through it: the kernel's encoding and back
(`model.kernel_options`), the checks (`model.validate_options`), `docs/options.md`.

None stands for what the engine makes of it: the cost of a port by its speed, or its own limit.
The names are iproute2's (ip-link(8), bridge(8)) in full words. Left out are what the kernel takes
and ignores (multicast hash elasticity), what is a state and no setting (a port's STP state, MRP
roles, a multicast router that was heard for a while) and what names another interface or a next
hop (backup port).

Sources: net/bridge/br_netlink.c (br_changelink, br_setport: attributes and limits),
net/bridge/br_device.c and br_if.c (defaults), net/bridge/br_private.h.
"""

from __future__ import annotations

import enum
import types
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from linkspan.model.base import BOTH, Engine, Row, Value, row

BRIDGE_REFUSED_BITS: Final = 0x0007
"""BR_GROUPFWD_RESTRICTED (net/bridge/br_private.h): STP, PAUSE and LACP stay on their link."""

PORT_REFUSED_BITS: Final = 0x0002
"""BR_GROUPFWD_MACPAUSE (net/bridge/br_private.h): the only group that a port never lets pass."""

LONGEST_AGEING: Final = 1_000_000
"""Seconds (IEEE 802.1D-2004, table 7-5)."""

LARGEST_FDB: Final = 1 << 20
"""Learned addresses of one bridge; a hardware switch of a data centre holds about as many."""

USER_FDB: Final = 65536
"""Learned addresses of a bridge of the user engine whose file says nothing else."""

SHORTEST_FORWARD_DELAY: Final = 2
"""Seconds, while a spanning tree runs (BR_MIN_FORWARD_DELAY, net/bridge/br_private_stp.h)."""

_U32: Final = 0xFFFFFFFF
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


class MulticastRouter(enum.Enum):
    """Whether a multicast router is behind a port."""

    DISABLED = "disabled"
    LEARN = "learn"
    PERMANENT = "permanent"


GroupAddressText = Annotated[
    str,
    Meta(
        pattern="^01[:-]?80[:-]?[cC]2([:-]?00){2}[:-]?0[0-9a-fA-F]$",
        extra={"shape": "group-address"},
        examples=["01:80:c2:00:00:00"],
    ),
]
_Limit = Annotated[int, Meta(ge=1, le=LARGEST_FDB)]
_Cost = Annotated[int, Meta(ge=1, le=65535)]


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
        row("IFLA_BR_GROUP_ADDR", "Where the bridge sends its spanning tree's messages."),
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
        int, row("IFLA_BR_MCAST_HASH_MAX", "Most groups that are kept.", ge=1, le=_U32)
    ] = 4096
    multicast_last_member_count: Annotated[
        int,
        row(
            "IFLA_BR_MCAST_LAST_MEMBER_CNT",
            "Queries after a member has left, before the group is forgotten.",
            ge=0,
            le=_U32,
        ),
    ] = 2
    multicast_startup_query_count: Annotated[
        int,
        row("IFLA_BR_MCAST_STARTUP_QUERY_CNT", "Queries at the beginning.", ge=0, le=_U32),
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
            le=_U32,
        ),
    ] = 0
    multicast_eht_hosts_limit: Annotated[
        int,
        row(
            "IFLA_BRPORT_MCAST_EHT_HOSTS_LIMIT",
            "Most hosts behind the port that are tracked one by one.",
            ge=1,
            le=_U32,
        ),
    ] = 512


class OptionScope(enum.Enum):
    """What an option is set on."""

    BRIDGE = "bridge"
    PORT = "port"


Plain: TypeAlias = bool | int | float | str | None
"""A value of an option; a choice is the text that stands for it in the file."""


class Option(msgspec.Struct, frozen=True):
    """One row of the table."""

    scope: OptionScope
    name: str
    """With underscores; `key` is that of the file."""
    key: str
    type: type
    """bool, int, float (seconds), str (a group address) or a choice."""
    default: Plain
    row: Row
    least: float | None
    most: float | None
    description: str

    @property
    def engines(self) -> frozenset[Engine]:
        """The engines that have the option."""
        return self.row.engines


def _flattened(annotation: Any) -> tuple[type, list[Meta]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        found, metas = _flattened(arguments[0])
        return found, [*arguments[1:], *metas]
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _flattened(inner)
    return annotation, []


def _option(scope: OptionScope, field: msgspec.structs.FieldInfo) -> Option:
    found, metas = _flattened(field.type)
    default = field.default
    return Option(
        scope=scope,
        name=field.name,
        key=field.encode_name,
        type=found,
        default=default.value if isinstance(default, enum.Enum) else default,
        row=next(meta.extra["row"] for meta in metas if meta.extra and "row" in meta.extra),
        least=next((meta.ge for meta in metas if meta.ge is not None), None),
        most=next((meta.le for meta in metas if meta.le is not None), None),
        description=next(meta.description for meta in metas if meta.description),
    )


OPTIONS: Final[tuple[Option, ...]] = tuple(
    _option(scope, field)
    for scope, cls in ((OptionScope.BRIDGE, BridgeOptions), (OptionScope.PORT, PortOptions))
    for field in msgspec.structs.fields(cls)
)
"""Every option, bridges' before ports', in the order of the structs."""

BY_NAME: Final[dict[OptionScope, dict[str, Option]]] = {
    scope: {option.name: option for option in OPTIONS if option.scope is scope}
    for scope in OptionScope
}
