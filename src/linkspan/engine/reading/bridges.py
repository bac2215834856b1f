"""Bridges and their ports: the part of an interface's message that net/bridge writes.

Options become the sparse dictionaries that the file's become (`model.kernel_options`), what the
bridge works out by itself becomes its state. The cost of a port that the kernel has derived from
the link's speed was not set by anybody and is no option.

Sources: include/uapi/linux/if_{link,bridge}.h; for the units net/bridge/br_netlink.c.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from linkspan.engine.reading.dump import (
    Attributes,
    Dumps,
    Reader,
    attribute_list,
    attributes,
    internet,
    native,
    network,
)
from linkspan.model.interface_snapshot import BridgeState, PortState, Querier, VlanEntry
from linkspan.model.kernel_options import Sparse, derived_cost, from_kernel
from linkspan.model.options import OptionScope
from linkspan.types import format_mac

_GETLINK, _AF_BRIDGE = 18, 7
_AF_SPEC, _EXT_MASK = 26, 29
_KIND, _DATA = 1, 2
_VLAN_FILTERING: Final = 7
_VLAN_INFO, _RTEXT_VLANS_COMPRESSED = 2, 1 << 2
_HEADER: Final = struct.Struct("=BxHiII")
_TICKS: Final = 100
"""USER_HZ, in which timers are told."""

PORT_STATES: Final = ("disabled", "listening", "learning", "forwarding", "blocking")


def _several(data: bytes) -> dict[str, int]:
    """struct br_boolopt_multi"""
    values, mask = struct.unpack_from("=II", data)
    return {"optval": values, "optmask": mask}


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
    46: ("IFLA_BR_MULTI_BOOLOPT", _several),
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


def values_of(data: Attributes, table: Mapping[int, tuple[str, Reader]]) -> dict[str, Any]:
    return {
        table[number][0]: table[number][1](value)
        for number, value in data.items()
        if number in table
    }


def bridge_options(data: Attributes) -> Sparse:
    return from_kernel(OptionScope.BRIDGE, values_of(data, _BRIDGE).items())


def port_options(data: Attributes, speed: int | None) -> Sparse:
    derived = {"cost": derived_cost(speed)}
    return from_kernel(OptionScope.PORT, values_of(data, _PORT).items(), derived)


def _bridge_identifier(data: bytes | None) -> str:
    """As `ip -d link` writes it: two bytes of priority, six of MAC."""
    return f"{data[:2].hex()}.{format_mac(data[2:8])}" if data else ""


def bridge_state(data: Attributes) -> BridgeState:
    return BridgeState(
        id=_bridge_identifier(data.get(11)),
        root_id=_bridge_identifier(data.get(10)),
        root_port=native(data.get(12, b"")),
        root_path_cost=native(data.get(13, b"")),
        topology_change=bool(native(data.get(14, b""))),
        topology_change_detected=bool(native(data.get(15, b""))),
        fdb_learned=native(data[48]) if 48 in data else None,
        queriers=_queriers(attributes(data[47])) if 47 in data else (),
    )


def _queriers(data: Attributes) -> tuple[Querier, ...]:
    """BRIDGE_QUERIER_*: address, port and timer of IPv4, then the same of IPv6."""
    return tuple(
        Querier(
            address=internet(data[address]),
            port=native(data[port]) if port in data else None,
            timer=native(data[timer]) / _TICKS if timer in data else None,
        )
        for address, port, timer in ((1, 2, 3), (5, 6, 7))
        if address in data
    )


def port_state(data: Attributes) -> PortState:
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


def filters_vlans(info: Attributes) -> bool:
    if info.get(_KIND) not in (b"bridge\0", b"bridge"):
        return False
    return any(attributes(info.get(_DATA, b"")).get(_VLAN_FILTERING, b""))


def read_vlans(dumps: Dumps) -> dict[int, tuple[VlanEntry, ...]]:
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
