"""Interfaces: RTM_GETLINK's answer as values, by tables of the attributes that we want.

Sources: include/uapi/linux/{if_link,if,if_tun,ip,ipv6}.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

from linkspan.engine.reading.bridges import (
    bridge_options,
    bridge_state,
    filters_vlans,
    port_options,
    port_state,
    read_vlans,
    values_of,
)
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
from linkspan.model.interface_snapshot import FarEnd, Interface, Statistics, VlanEntry
from linkspan.model.names import parse_mark
from linkspan.model.options import Plain
from linkspan.types import format_mac

_GETLINK: Final = 18
_AF_INET, _AF_INET6 = 2, 10
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_LOOPBACK, _TAP = 772, 2
_HEADER: Final = struct.Struct("=BxHiII")
_STATISTICS: Final = struct.Struct("=8Q")

_ADDRESS, _NAME, _MTU, _LINK, _MASTER, _QUEUE, _OPERSTATE, _LINKINFO = 1, 3, 4, 5, 10, 13, 16, 18
_ALIAS, _STATS, _AF_SPEC, _PROMISCUITY, _CARRIER_CHANGES, _NETNSID = 20, 23, 26, 30, 35, 37
_XDP, _PROPERTIES, _PERMANENT = 43, 52, 54
_EXT_MASK, _RTEXT_SKIP_STATS = 29, 1 << 3
_KIND, _DATA, _SLAVE_KIND, _SLAVE_DATA = 1, 2, 4, 5
_ALT_NAME, _XDP_ATTACHED = 53, 2
_INET6_CONF, _INET6_GEN_MODE, _INET_CONF = 2, 8, 1

OPERSTATES: Final = (
    "unknown",
    "notpresent",
    "down",
    "lowerlayerdown",
    "testing",
    "dormant",
    "up",
)
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


def read_interfaces(dumps: Dumps, with_counters: bool = True) -> list[Interface]:
    """All interfaces of the namespace, in the order of their indices. Raises OSError.

    Counters are half of what the kernel has to say, and of no interest to a plan.
    """
    request = _HEADER.pack(0, 0, 0, 0, 0)
    if not with_counters:
        request += struct.pack("=HHI", 8, _EXT_MASK, _RTEXT_SKIP_STATS)
    found = dumps.entries(_GETLINK, request)
    messages = [(*_HEADER.unpack_from(data), attributes(data, 16)) for data in found]
    names = {index: text(attrs.get(_NAME, b"")) for _, _, index, _, _, attrs in messages}
    infos = {index: attributes(attrs.get(_LINKINFO, b"")) for *_, index, _, _, attrs in messages}
    vlans = read_vlans(dumps) if any(map(filters_vlans, infos.values())) else {}
    return [
        _interface(
            index, kind, flags, attrs, infos[index], names, vlans.get(index, ()), dumps.speed
        )
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
    speed: Callable[[bytes], int | None],
) -> Interface:
    kind = text(info[_KIND]) if _KIND in info else ""
    data = attributes(info[_DATA]) if _DATA in info else {}
    port = attributes(info[_SLAVE_DATA]) if info.get(_SLAVE_KIND) == b"bridge\0" else None
    is_bridge = kind == "bridge" and bool(data)
    details = values_of(data, _DETAILS[kind]) if kind in _DETAILS else {}
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
        bridge_options=bridge_options(data) if is_bridge else None,
        bridge_state=bridge_state(data) if is_bridge else None,
        port_options=None if port is None else port_options(port, speed(attrs[_NAME])),
        port_state=None if port is None else port_state(port),
        vlans=vlans,
        ipv4=_ipv4(families.get(_AF_INET)),
        ipv6=_ipv6(families.get(_AF_INET6)),
        statistics=_statistics(attrs.get(_STATS)),
        carrier_changes=native(attrs.get(_CARRIER_CHANGES, b"")),
        promiscuity=native(attrs.get(_PROMISCUITY, b"")),
        transmit_queue=native(attrs.get(_QUEUE, b"")),
        xdp=_has_xdp(attrs.get(_XDP)),
    )


def _kind_of(kind: str, link_type: int, details: Mapping[str, Plain]) -> str:
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
