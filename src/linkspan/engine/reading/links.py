"""Interfaces: RTM_GETLINK's answer as values, by tables of the attributes that we want.

Sources: include/uapi/linux/{if_link,if,if_tun,ip,ipv6}.h; for the units net/bridge/br_netlink.c.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from linkspan.engine.reading.dump import (
    Attributes,
    Dumps,
    Reader,
    attribute_list,
    attributes,
    internet,
    native,
    network,
    text,
)
from linkspan.model.host_snapshot import (
    BridgeState,
    FarEnd,
    Interface,
    Option,
    PortState,
    Statistics,
    VlanEntry,
)
from linkspan.model.names import parse_mark
from linkspan.types import format_mac

_GETLINK: Final = 18
_AF_UNSPEC, _AF_INET, _AF_BRIDGE, _AF_INET6 = 0, 2, 7, 10
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_LOOPBACK, _TAP = 772, 2
_TICKS: Final = 100
"""USER_HZ, in which the bridge's timers are told."""

_HEADER: Final = struct.Struct("=BxHiII")
_STATISTICS: Final = struct.Struct("=8Q")

(
    _ADDRESS,
    _NAME,
    _MTU,
    _LINK,
    _MASTER,
    _PROTINFO,
    _QUEUE,
    _OPERSTATE,
    _LINKINFO,
    _ALIAS,
    _STATS,
    _AF_SPEC,
    _EXT_MASK,
    _PROMISCUITY,
    _CARRIER,
    _CARRIER_CHANGES,
    _NETNSID,
    _XDP,
    _PROPERTIES,
    _PERMANENT,
) = (1, 3, 4, 5, 10, 12, 13, 16, 18, 20, 23, 26, 29, 30, 33, 35, 37, 43, 52, 54)
_KIND, _DATA, _SLAVE_KIND, _SLAVE_DATA = 1, 2, 4, 5
_ALT_NAME, _XDP_ATTACHED = 53, 2
_INET6_CONF, _INET6_GEN_MODE, _INET_CONF = 2, 8, 1
_VLAN_INFO, _RTEXT_VLANS_COMPRESSED = 2, 1 << 2

OPERSTATES: Final = (
    "unknown",
    "notpresent",
    "down",
    "lowerlayerdown",
    "testing",
    "dormant",
    "up",
)
PORT_STATES: Final = ("disabled", "listening", "learning", "forwarding", "blocking")

_IPV4: Final = {
    "forwarding": 0,
    "proxy_arp": 2,
    "rp_filter": 7,
    "arp_announce": 17,
    "arp_ignore": 18,
    "accept_local": 22,
}
"""Place in the list IFLA_INET_CONF (IPV4_DEVCONF_*, less one), by sysctl."""

_IPV6: Final = {
    "forwarding": 0,
    "mtu": 2,
    "accept_ra": 3,
    "autoconf": 5,
    "dad_transmits": 6,
    "accept_ra_defrtr": 17,
    "proxy_ndp": 22,
    "disable_ipv6": 26,
    "accept_dad": 27,
}
"""Place in the list IFLA_INET6_CONF (DEVCONF_*), by sysctl."""

_BRIDGE: Final[Mapping[int, tuple[str, Reader]]] = {
    1: ("IFLA_BR_FORWARD_DELAY", native),
    2: ("IFLA_BR_HELLO_TIME", native),
    3: ("IFLA_BR_MAX_AGE", native),
    4: ("IFLA_BR_AGEING_TIME", native),
    5: ("IFLA_BR_STP_STATE", native),
    6: ("IFLA_BR_PRIORITY", native),
    7: ("IFLA_BR_VLAN_FILTERING", native),
    8: ("IFLA_BR_VLAN_PROTOCOL", network),
    9: ("IFLA_BR_GROUP_FWD_MASK", native),
    20: ("IFLA_BR_GROUP_ADDR", format_mac),
    22: ("IFLA_BR_MCAST_ROUTER", native),
    23: ("IFLA_BR_MCAST_SNOOPING", native),
    24: ("IFLA_BR_MCAST_QUERY_USE_IFADDR", native),
    25: ("IFLA_BR_MCAST_QUERIER", native),
    26: ("IFLA_BR_MCAST_HASH_ELASTICITY", native),
    27: ("IFLA_BR_MCAST_HASH_MAX", native),
    28: ("IFLA_BR_MCAST_LAST_MEMBER_CNT", native),
    29: ("IFLA_BR_MCAST_STARTUP_QUERY_CNT", native),
    30: ("IFLA_BR_MCAST_LAST_MEMBER_INTVL", native),
    31: ("IFLA_BR_MCAST_MEMBERSHIP_INTVL", native),
    32: ("IFLA_BR_MCAST_QUERIER_INTVL", native),
    33: ("IFLA_BR_MCAST_QUERY_INTVL", native),
    34: ("IFLA_BR_MCAST_QUERY_RESPONSE_INTVL", native),
    35: ("IFLA_BR_MCAST_STARTUP_QUERY_INTVL", native),
    36: ("IFLA_BR_NF_CALL_IPTABLES", native),
    37: ("IFLA_BR_NF_CALL_IP6TABLES", native),
    38: ("IFLA_BR_NF_CALL_ARPTABLES", native),
    39: ("IFLA_BR_VLAN_DEFAULT_PVID", native),
    41: ("IFLA_BR_VLAN_STATS_ENABLED", native),
    42: ("IFLA_BR_MCAST_STATS_ENABLED", native),
    43: ("IFLA_BR_MCAST_IGMP_VERSION", native),
    44: ("IFLA_BR_MCAST_MLD_VERSION", native),
    45: ("IFLA_BR_VLAN_STATS_PER_PORT", native),
    46: ("IFLA_BR_MULTI_BOOLOPT", lambda data: native(data[:4])),
    49: ("IFLA_BR_FDB_MAX_LEARNED", native),
}
_PORT: Final[Mapping[int, tuple[str, Reader]]] = {
    2: ("IFLA_BRPORT_PRIORITY", native),
    3: ("IFLA_BRPORT_COST", native),
    4: ("IFLA_BRPORT_MODE", native),
    5: ("IFLA_BRPORT_GUARD", native),
    6: ("IFLA_BRPORT_PROTECT", native),
    7: ("IFLA_BRPORT_FAST_LEAVE", native),
    8: ("IFLA_BRPORT_LEARNING", native),
    9: ("IFLA_BRPORT_UNICAST_FLOOD", native),
    10: ("IFLA_BRPORT_PROXYARP", native),
    11: ("IFLA_BRPORT_LEARNING_SYNC", native),
    12: ("IFLA_BRPORT_PROXYARP_WIFI", native),
    25: ("IFLA_BRPORT_MULTICAST_ROUTER", native),
    27: ("IFLA_BRPORT_MCAST_FLOOD", native),
    28: ("IFLA_BRPORT_MCAST_TO_UCAST", native),
    29: ("IFLA_BRPORT_VLAN_TUNNEL", native),
    30: ("IFLA_BRPORT_BCAST_FLOOD", native),
    31: ("IFLA_BRPORT_GROUP_FWD_MASK", native),
    32: ("IFLA_BRPORT_NEIGH_SUPPRESS", native),
    33: ("IFLA_BRPORT_ISOLATED", native),
    34: ("IFLA_BRPORT_BACKUP_PORT", native),
    37: ("IFLA_BRPORT_MCAST_EHT_HOSTS_LIMIT", native),
    39: ("IFLA_BRPORT_LOCKED", native),
    40: ("IFLA_BRPORT_MAB", native),
    42: ("IFLA_BRPORT_MCAST_MAX_GROUPS", native),
    43: ("IFLA_BRPORT_NEIGH_VLAN_SUPPRESS", native),
    44: ("IFLA_BRPORT_BACKUP_NHID", native),
}

_DETAILS: Final[Mapping[str, Mapping[int, tuple[str, Reader]]]] = {
    "tun": {
        1: ("owner", native),
        2: ("group", native),
        3: ("type", native),
        4: ("packet_information", native),
        5: ("vnet_hdr", native),
        6: ("persistent", native),
        7: ("multi_queue", native),
        8: ("queues", native),
        9: ("disabled_queues", native),
    },
    "vxlan": {
        1: ("id", native),
        2: ("remote", internet),
        3: ("device", native),
        4: ("local", internet),
        5: ("ttl", native),
        7: ("learning", native),
        8: ("ageing", native),
        15: ("port", network),
        16: ("remote", internet),
        17: ("local", internet),
        25: ("external", native),
    },
    "geneve": {1: ("id", native), 2: ("remote", internet), 5: ("port", network)},
    "gre": {6: ("local", internet), 7: ("remote", internet)},
    "gretap": {6: ("local", internet), 7: ("remote", internet)},
    "vlan": {1: ("id", native), 5: ("protocol", network)},
    "macvlan": {1: ("mode", native), 2: ("flags", native)},
    "macvtap": {1: ("mode", native), 2: ("flags", native)},
    "ipvlan": {1: ("mode", native), 2: ("flags", native)},
    "bond": {1: ("mode", native), 2: ("active", native), 3: ("miimon", native)},
    "vrf": {1: ("table", native)},
}
"""What is particular to a kind of interface: attribute → (our name, reader)."""


def read_interfaces(dumps: Dumps) -> list[Interface]:
    """All interfaces of the namespace, in the order of their indices. Raises OSError."""
    found = dumps.entries(_GETLINK, _HEADER.pack(_AF_UNSPEC, 0, 0, 0, 0))
    messages = [(*_HEADER.unpack_from(data), attributes(data, 16)) for data in found]
    names = {index: text(attrs.get(_NAME, b"")) for _, _, index, _, _, attrs in messages}
    infos = {index: attributes(attrs.get(_LINKINFO, b"")) for *_, index, _, _, attrs in messages}
    vlans = _read_vlans(dumps) if any(map(_filters_vlans, infos.values())) else {}
    return [
        _interface(index, kind, flags, attrs, infos[index], names, vlans.get(index, ()))
        for _, kind, index, flags, _, attrs in messages
    ]


def _interface(
    index: int,
    link_type: int,
    flags: int,
    attrs: Attributes,
    info: Attributes,
    names: Mapping[int, str],
    vlans: tuple[VlanEntry, ...],
) -> Interface:
    kind = text(info[_KIND]) if _KIND in info else ""
    data = attributes(info[_DATA]) if _DATA in info else {}
    port = attributes(info[_SLAVE_DATA]) if info.get(_SLAVE_KIND) == b"bridge\0" else None
    is_bridge = kind == "bridge" and bool(data)
    details = _options(data, _DETAILS[kind]) if kind in _DETAILS else {}
    alias = text(attrs[_ALIAS]) if _ALIAS in attrs else None
    master = native(attrs[_MASTER]) if _MASTER in attrs else None
    families = attributes(attrs[_AF_SPEC]) if _AF_SPEC in attrs else {}
    state = native(attrs[_OPERSTATE]) if _OPERSTATE in attrs else 0
    return Interface(
        index=index,
        name=names[index],
        kind=_kind_of(kind, link_type, details),
        mac=_hardware_address(attrs.get(_ADDRESS)),
        mtu=native(attrs.get(_MTU, b"")),
        up=bool(flags & _IFF_UP),
        carrier=bool(flags & _IFF_LOWER_UP),
        operstate=OPERSTATES[state] if state < len(OPERSTATES) else str(state),
        link_type=link_type,
        flags=flags,
        permanent_mac=_hardware_address(attrs.get(_PERMANENT)),
        alias=alias,
        mark=parse_mark(alias),
        other_names=_other_names(attrs),
        master=master,
        master_name=None if master is None else names.get(master),
        peer=_far_end(index, attrs, names),
        details=details,
        bridge_options=_options(data, _BRIDGE) if is_bridge else None,
        bridge_state=_bridge_state(data) if is_bridge else None,
        port_options=None if port is None else _options(port, _PORT),
        port_state=None if port is None else _port_state(port),
        vlans=vlans,
        ipv4=_ipv4(families.get(_AF_INET)),
        ipv6=_ipv6(families.get(_AF_INET6)),
        statistics=_statistics(attrs.get(_STATS)),
        carrier_changes=native(attrs.get(_CARRIER_CHANGES, b"")),
        promiscuity=native(attrs.get(_PROMISCUITY, b"")),
        transmit_queue=native(attrs.get(_QUEUE, b"")),
        xdp=_has_xdp(attrs.get(_XDP)),
    )


def _kind_of(kind: str, link_type: int, details: Mapping[str, Option]) -> str:
    if kind == "tun":
        return "tap" if details.get("type") == _TAP else "tun"
    return kind or ("loopback" if link_type == _LOOPBACK else "physical")


def _hardware_address(data: bytes | None) -> str | None:
    """A MAC address, or the address of another kind of link; None where there is none."""
    return format_mac(data) if data else None


def _other_names(attrs: Attributes) -> tuple[str, ...]:
    if _PROPERTIES not in attrs:
        return ()
    return tuple(
        text(data) for number, data in attribute_list(attrs[_PROPERTIES]) if number == _ALT_NAME
    )


def _far_end(index: int, attrs: Attributes, names: Mapping[int, str]) -> FarEnd | None:
    """What IFLA_LINK says; an interface that is its own lower one has no far end."""
    far = native(attrs[_LINK]) if _LINK in attrs else 0
    netnsid = struct.unpack("=i", attrs[_NETNSID])[0] if _NETNSID in attrs else None
    if not far or (far == index and netnsid is None):
        return None
    return FarEnd(index=far, netnsid=netnsid, interface=names.get(far) if netnsid is None else None)


def _options(data: Attributes, table: Mapping[int, tuple[str, Reader]]) -> dict[str, Option]:
    return {
        table[number][0]: table[number][1](value)
        for number, value in data.items()
        if number in table
    }


def _bridge_identifier(data: bytes | None) -> str:
    """As `ip -d link` writes it: two bytes of priority, six of MAC."""
    return f"{data[:2].hex()}.{format_mac(data[2:8])}" if data else ""


def _bridge_state(data: Attributes) -> BridgeState:
    return BridgeState(
        id=_bridge_identifier(data.get(11)),
        root_id=_bridge_identifier(data.get(10)),
        root_port=native(data.get(12, b"")),
        root_path_cost=native(data.get(13, b"")),
        topology_change=bool(native(data.get(14, b""))),
        topology_change_detected=bool(native(data.get(15, b""))),
        fdb_learned=native(data[48]) if 48 in data else None,
    )


def _port_state(data: Attributes) -> PortState:
    state = native(data.get(1, b""))
    return PortState(
        number=native(data.get(18, b"")),
        state=PORT_STATES[state] if state < len(PORT_STATES) else str(state),
        id=native(data.get(17, b"")),
        root_id=_bridge_identifier(data.get(13)),
        bridge_id=_bridge_identifier(data.get(14)),
        designated_port=native(data.get(15, b"")),
        designated_cost=native(data.get(16, b"")),
        topology_change_ack=bool(native(data.get(19, b""))),
        config_pending=bool(native(data.get(20, b""))),
        forward_delay_timer=native(data.get(22, b"")) / _TICKS,
    )


def _ipv4(data: bytes | None) -> dict[str, int]:
    conf = attributes(data).get(_INET_CONF) if data else None
    return _settings(conf, _IPV4) if conf else {}


def _ipv6(data: bytes | None) -> dict[str, int]:
    inside = attributes(data) if data else {}
    found = _settings(inside[_INET6_CONF], _IPV6) if _INET6_CONF in inside else {}
    if _INET6_GEN_MODE in inside:
        found["addr_gen_mode"] = native(inside[_INET6_GEN_MODE])
    return found


def _settings(data: bytes, places: Mapping[str, int]) -> dict[str, int]:
    values = struct.unpack_from(f"={len(data) // 4}i", data)
    return {name: values[place] for name, place in places.items() if place < len(values)}


def _statistics(data: bytes | None) -> Statistics:
    if data is None or len(data) < _STATISTICS.size:
        return Statistics()
    frames_in, frames_out, bytes_in, bytes_out, *rest = _STATISTICS.unpack_from(data)
    errors_in, errors_out, drops_in, drops_out = rest
    return Statistics(
        frames_in, bytes_in, errors_in, drops_in, frames_out, bytes_out, errors_out, drops_out
    )


def _has_xdp(data: bytes | None) -> bool:
    return bool(data) and any(attributes(data or b"").get(_XDP_ATTACHED, b""))


def _filters_vlans(info: Attributes) -> bool:
    if info.get(_KIND) not in (b"bridge\0", b"bridge"):
        return False
    return any(attributes(info.get(_DATA, b"")).get(7, b""))


def _read_vlans(dumps: Dumps) -> dict[int, tuple[VlanEntry, ...]]:
    """VLANs by the index of the port, or of the bridge itself (struct bridge_vlan_info)."""
    request = _HEADER.pack(_AF_BRIDGE, 0, 0, 0, 0)
    request += struct.pack("=HHI", 8, _EXT_MASK, _RTEXT_VLANS_COMPRESSED)
    found: dict[int, tuple[VlanEntry, ...]] = {}
    for data in dumps.entries(_GETLINK, request):
        index = _HEADER.unpack_from(data)[2]
        entries: list[VlanEntry] = []
        first = 0
        for number, value in attribute_list(attributes(data, 16).get(_AF_SPEC, b"")):
            if number != _VLAN_INFO:
                continue
            flags, vlan = struct.unpack_from("=HH", value)
            if flags & 0x08:  # BRIDGE_VLAN_INFO_RANGE_BEGIN
                first = vlan
                continue
            entries.append(
                VlanEntry(
                    first=first or vlan,
                    last=vlan,
                    pvid=bool(flags & 0x02),
                    untagged=bool(flags & 0x04),
                )
            )
            first = 0
        found[index] = tuple(entries)
    return found
