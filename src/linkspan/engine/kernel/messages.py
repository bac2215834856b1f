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
from collections.abc import Mapping, Sequence
from typing import Any, Final

from linkspan.engine.netlink import (
    CREATE_EXCLUSIVELY,
    CREATE_OR_REPLACE,
    NEWLINK,
    Request,
    set_link,
)
from linkspan.engine.packed import (
    IFLA_IFNAME,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    Packed,
    attribute,
    hardware,
    kind_of,
    link_message,
    short,
    veth_peer,
    whole,
    words,
)
from linkspan.model.bridge_options import SpanningTree
from linkspan.model.kernel_options import Attributes, to_kernel
from linkspan.model.options import OptionScope, Plain
from linkspan.types import parse_mac

_NEWNEIGH, _DELNEIGH = 28, 29
_AF_BRIDGE: Final = 7
_IFLA_MASTER: Final = 10
_NUD_NOARP: Final = 0x40
_NTF_MASTER, _NTF_STICKY = 0x04, 0x40
_NDA_LLADDR, _NDA_VLAN = 2, 5
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")
"""struct ndmsg."""

_NEW_MTU: Final = 1500
"""ETH_DATA_LEN: the MTU of a bridge that was just made."""


def bridge_attributes(link: bytes) -> Attributes:
    """The attributes of a bridge in what the kernel says of an interface (`Netlink.link`)."""
    return _info_attributes(link, "IFLA_INFO_DATA")


def port_attributes(link: bytes) -> Attributes:
    """The attributes of a port in what the kernel says of an interface (`Netlink.link`)."""
    return _info_attributes(link, "IFLA_INFO_SLAVE_DATA")


def _info_attributes(link: bytes, name: str) -> Attributes:
    from linkspan.engine.kernel.codec import info_attributes

    return info_attributes(link, name)


def add_bridge(name: str, mac: str, values: Mapping[str, Plain]) -> Request:
    """Make a bridge. With a MAC of its own from the beginning it never takes one of a port."""
    purpose, flags = f"make the bridge {name}", CREATE_EXCLUSIVELY
    if not values:
        parts = (words(IFLA_IFNAME, name), hardware(mac), kind_of("bridge"))
        return Request(purpose, link_message(NEWLINK, flags, *parts))
    info = {
        "attrs": [
            ("IFLA_INFO_KIND", "bridge"),
            ("IFLA_INFO_DATA", {"attrs": to_kernel(OptionScope.BRIDGE, values)}),
        ]
    }
    attributes = [("IFLA_IFNAME", name), ("IFLA_ADDRESS", mac), ("IFLA_LINKINFO", info)]
    return Request(purpose, _encoded(flags, attributes))


def _encoded(flags: int, attributes: Sequence[tuple[str, object]]) -> Any:
    """A message about an interface with attributes that are not packed by hand."""
    from linkspan.engine.kernel import codec

    return codec.link_message(flags, attributes)


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
    return Request(f"set {_in_words(values)} on {name}", _encoded(0, attributes))


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
    message = link_message(NEWLINK, CREATE_EXCLUSIVELY, *near, far, up=True)
    return Request(f"make the veth pair {name} - {peer}", message)


def set_master(name: str, bridge: int | None) -> Request:
    """Make an interface a port of the bridge with that number, or of none. Its options as a port
    are new then, its FDB entries gone.
    """
    purpose = f"release {name} from its bridge" if bridge is None else f"make {name} a port"
    parts = (words(IFLA_IFNAME, name), whole(_IFLA_MASTER, bridge or 0))
    return Request(purpose, link_message(NEWLINK, 0, *parts))


def move_link(name: str, network: int) -> Request:
    """Move an interface into the namespace of a descriptor; it is down there, and no port."""
    parts = (words(IFLA_IFNAME, name), whole(IFLA_NET_NS_FD, network))
    return Request(f"move {name}", link_message(NEWLINK, 0, *parts))


def set_port(name: str, values: Mapping[str, Plain]) -> Request:
    """Set options of an interface that is a port."""
    info = {
        "attrs": [
            ("IFLA_INFO_SLAVE_KIND", "bridge"),
            ("IFLA_INFO_SLAVE_DATA", {"attrs": to_kernel(OptionScope.PORT, values)}),
        ]
    }
    attributes = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", info)]
    return Request(f"set {_in_words(values)} on {name}", _encoded(0, attributes))


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


def _entry_message(number: int, flags: int, port: int, mac: str, vlan: int, sticky: bool) -> Packed:
    own = _NTF_MASTER | (_NTF_STICKY if sticky else 0)
    body = _NEIGHBOUR.pack(_AF_BRIDGE, port, _NUD_NOARP, own, 0)
    body += attribute(_NDA_LLADDR, parse_mac(mac))
    if vlan:
        body += short(_NDA_VLAN, vlan)
    return Packed(number, flags, body)
