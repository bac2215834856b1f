"""Options of bridges and ports as netlink attributes, by pyroute2's codec, which knows them all.

Loading pyroute2 takes a fifth of a second, so this module is loaded where an option is set or read
back, and not before: the functions of `messages` import it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from pyroute2.netlink import nla
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from linkspan.engine.netlink import NEWLINK
from linkspan.engine.packed import REQUEST
from linkspan.model.kernel_options import Attributes


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


def message_of(kind: Any, number: int, flags: int, fields: dict[str, int], attributes: Any) -> Any:
    """A message of one of pyroute2's classes; `flags` beside NLM_F_REQUEST."""
    message = kind()
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message["header"]["type"] = number
    message["header"]["flags"] = REQUEST | flags
    return message


def link_message(flags: int, attributes: Sequence[tuple[str, object]]) -> Any:
    """RTM_NEWLINK with attributes by their names."""
    return message_of(ifinfmsg, NEWLINK, flags, {}, attributes)


def info_attributes(link: bytes, name: str) -> Attributes:
    """The attributes of one kind (IFLA_INFO_DATA, say) in what the kernel says of an interface."""
    header = struct.pack("=LHHLL", 16 + len(link), NEWLINK, 0, 0, 0)
    message = ifinfmsg(header + link)
    message.decode()
    info = message.get_attr("IFLA_LINKINFO")
    found = info.get_attr(name) if info else None
    return [(attribute, value) for attribute, value in found["attrs"]] if found else []
