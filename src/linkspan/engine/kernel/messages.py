"""Requests about bridges, their ports and their FDB.

What one message may hold, and in which order the kernel carries it out, is not what one expects
(net/core/rtnetlink.c, net/bridge/br_netlink.c):

- An alias is not looked at when an interface is made, only afterwards.
- A bridge's MTU follows its ports until it has been set on the bridge that exists, and setting
  what it is already does not count (br_change_mtu is not called).
- The options of a port go to the bridge that the interface is a port of before the message; so
  they come in a message of their own, after the one that names the bridge.
- Turning the spanning tree off and a forward delay that only goes without it need two messages,
  since the delay is looked at first. The other way round one will do.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from pyroute2.netlink import nla
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg

from linkspan.engine.netlink import (
    ACK,
    CREATE_EXCLUSIVELY,
    CREATE_OR_REPLACE,
    NEWLINK,
    Request,
    message_of,
    set_link,
)
from linkspan.engine.packed import (
    IFLA_IFNAME,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    hardware,
    link_message,
    veth_peer,
    whole,
    words,
)
from linkspan.model.bridge_options import SpanningTree
from linkspan.model.kernel_options import Attributes, to_kernel
from linkspan.model.options import OptionScope, Plain

_NEWNEIGH, _DELNEIGH = 28, 29
_AF_BRIDGE: Final = 7
_IFLA_MASTER: Final = 10
_NUD_NOARP: Final = 0x40
_NTF_MASTER, _NTF_STICKY = 0x04, 0x40

_NEW_MTU: Final = 1500
"""ETH_DATA_LEN: the MTU of a bridge that was just made."""


class BridgeData(ifinfmsg.ifinfo.bridge_data):  # type: ignore[misc]
    """IFLA_INFO_DATA of a bridge, with the attributes that pyroute2 does not know yet."""

    nla_map = (
        *ifinfmsg.ifinfo.bridge_data.nla_map,
        ("IFLA_BR_VLAN_STATS_PER_PORT", "uint8"),
        ("IFLA_BR_MULTI_BOOLOPT", "bool_options"),
        ("IFLA_BR_MCAST_QUERIER_STATE", "hex"),
        ("IFLA_BR_FDB_N_LEARNED", "uint32"),
        ("IFLA_BR_FDB_MAX_LEARNED", "uint32"),
    )

    class bool_options(nla):  # type: ignore[misc]  # noqa: N801
        """struct br_boolopt_multi (include/uapi/linux/if_bridge.h)."""

        fields = (("optval", "I"), ("optmask", "I"))


ifinfmsg.ifinfo.register_link_kind(module={"bridge": BridgeData})


def bridge_attributes(link: bytes) -> Attributes:
    """The attributes of a bridge in what the kernel says of an interface (`Netlink.link`)."""
    return _info_attributes(link, "IFLA_INFO_DATA")


def port_attributes(link: bytes) -> Attributes:
    """The attributes of a port in what the kernel says of an interface (`Netlink.link`)."""
    return _info_attributes(link, "IFLA_INFO_SLAVE_DATA")


def _info_attributes(link: bytes, name: str) -> Attributes:
    header = struct.pack("=LHHLL", 16 + len(link), NEWLINK, 0, 0, 0)
    message = ifinfmsg(header + link)
    message.decode()
    info = message.get_attr("IFLA_LINKINFO")
    found = info.get_attr(name) if info else None
    return [(attribute, value) for attribute, value in found["attrs"]] if found else []


def add_bridge(name: str, mac: str, values: Mapping[str, Plain]) -> Request:
    """Make a bridge. With a MAC of its own from the beginning it never takes one of a port."""
    info = {
        "attrs": [
            ("IFLA_INFO_KIND", "bridge"),
            ("IFLA_INFO_DATA", {"attrs": to_kernel(OptionScope.BRIDGE, values)}),
        ]
    }
    attributes = [("IFLA_IFNAME", name), ("IFLA_ADDRESS", mac), ("IFLA_LINKINFO", info)]
    message = message_of(ifinfmsg, NEWLINK, ACK | CREATE_EXCLUSIVELY, {}, attributes)
    return Request(f"make the bridge {name}", message)


def fix_bridge(name: str, mtu: int, alias: str) -> list[Request]:
    """What can only be said of a bridge that exists: an MTU that its ports don't change, a mark."""
    mark = set_link(name, mtu=mtu, alias=alias)
    return [set_link(name, mtu=_NEW_MTU - 1), mark] if mtu == _NEW_MTU else [mark]


def set_bridge(name: str, values: Mapping[str, Plain]) -> list[Request]:
    """Set options of a bridge."""
    parts = [dict(values)]
    if values.get("stp") == SpanningTree.OFF.value:
        parts = [{"stp": parts[0].pop("stp")}, *(part for part in parts if part)]
    return [_set_bridge(name, part) for part in parts]


def _set_bridge(name: str, values: Mapping[str, Plain]) -> Request:
    info = {
        "attrs": [
            ("IFLA_INFO_KIND", "bridge"),
            ("IFLA_INFO_DATA", {"attrs": to_kernel(OptionScope.BRIDGE, values)}),
        ]
    }
    attributes = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", info)]
    message = message_of(ifinfmsg, NEWLINK, ACK, {}, attributes)
    return Request(f"set {_in_words(values)} on {name}", message)


def add_port(name: str, bridge: int, peer: str, peer_network: int, mac: str, mtu: int) -> Request:
    """A veth pair: `name` here, up and a port of the bridge with that number; `peer`, with that
    MAC, in the namespace of the descriptor.
    """
    far = veth_peer(
        words(IFLA_IFNAME, peer),
        hardware(mac),
        whole(IFLA_MTU, mtu),
        whole(IFLA_NET_NS_FD, peer_network),
    )
    near = (words(IFLA_IFNAME, name), whole(IFLA_MTU, mtu), whole(_IFLA_MASTER, bridge))
    message = link_message(NEWLINK, ACK | CREATE_EXCLUSIVELY, *near, far, up=True)
    return Request(f"make the veth pair {name} - {peer}", message)


def set_master(name: str, bridge: int | None) -> Request:
    """Make an interface a port of the bridge with that number, or of none. Its options as a port
    are new then, its FDB entries gone.
    """
    purpose = f"release {name} from its bridge" if bridge is None else f"make {name} a port"
    parts = (words(IFLA_IFNAME, name), whole(_IFLA_MASTER, bridge or 0))
    return Request(purpose, link_message(NEWLINK, ACK, *parts))


def move_link(name: str, network: int) -> Request:
    """Move an interface into the namespace of a descriptor; it is down there, and no port."""
    parts = (words(IFLA_IFNAME, name), whole(IFLA_NET_NS_FD, network))
    return Request(f"move {name}", link_message(NEWLINK, ACK, *parts))


def set_port(name: str, values: Mapping[str, Plain]) -> Request:
    """Set options of an interface that is a port."""
    info = {
        "attrs": [
            ("IFLA_INFO_SLAVE_KIND", "bridge"),
            ("IFLA_INFO_SLAVE_DATA", {"attrs": to_kernel(OptionScope.PORT, values)}),
        ]
    }
    attributes = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", info)]
    message = message_of(ifinfmsg, NEWLINK, ACK, {}, attributes)
    return Request(f"set {_in_words(values)} on {name}", message)


def _in_words(values: Mapping[str, Plain]) -> str:
    return ", ".join(f"{option} to {value}" for option, value in values.items())


def set_entry(port: int, mac: str, vlan: int, sticky: bool) -> Request:
    """A static entry of the FDB: the address is behind the port with that number. It does not
    age; when a frame from it comes in by another port it moves there, unless it is sticky
    (br_fdb_update, net/bridge/br_fdb.c).
    """
    message = _entry_message(_NEWNEIGH, CREATE_OR_REPLACE, port, mac, vlan, sticky)
    return Request(f"add {mac} to the FDB", message)


def delete_entry(port: int, mac: str, vlan: int) -> Request:
    """Delete an entry of the FDB."""
    return Request(
        f"delete {mac} from the FDB", _entry_message(_DELNEIGH, 0, port, mac, vlan, False)
    )


def _entry_message(number: int, flags: int, port: int, mac: str, vlan: int, sticky: bool) -> Any:
    attributes: list[tuple[str, object]] = [("NDA_LLADDR", mac)]
    if vlan:
        attributes.append(("NDA_VLAN", vlan))
    fields = {
        "family": _AF_BRIDGE,
        "ifindex": port,
        "state": _NUD_NOARP,
        "flags": _NTF_MASTER | (_NTF_STICKY if sticky else 0),
    }
    return message_of(ndmsg, number, ACK | flags, fields, attributes)
