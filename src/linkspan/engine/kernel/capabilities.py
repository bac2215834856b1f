"""What this kernel can do, found out by trying it.

Some of what a kernel lacks it refuses, much of it it takes without a word and forgets (the
attributes that br_changelink reads only under an #ifdef). So a bridge with one port is made in a
namespace of its own (`trial`), what is asked for is set there and read back. Answers are kept as
long as this process lives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Final

import msgspec

from linkspan.engine.kernel.messages import (
    add_bridge,
    add_port,
    bridge_attributes,
    port_attributes,
    set_bridge,
    set_port,
)
from linkspan.engine.kernel.trial import in_new_namespace
from linkspan.engine.kernel.vxlan import add_vxlan
from linkspan.engine.netlink import Netlink, Request
from linkspan.engine.queueing import put_shape
from linkspan.errors import Refusal
from linkspan.model.kernel_options import reported, sparse
from linkspan.model.options import BY_NAME, Option, OptionScope, Plain
from linkspan.model.shaping import Shape
from linkspan.model.state import Vxlan
from linkspan.wire.vxlan import PORT

_BRIDGE, _PORT, _FAR = "br0", "port0", "far0"
_MAC: Final = "02:00:00:00:00:01"
_TUNNEL: Final = "tunnel0"
_ANY_TUNNEL: Final = Vxlan(
    node="",
    engine="kernel",
    vni=1,
    remotes=("192.0.2.1",),
    group=None,
    interface=None,
    local=None,
    port=PORT,
    learn_remotes=True,
    mtu=1500,
)

_BUILT_WITH: Final[tuple[tuple[str, str], ...]] = (
    ("vlan_", "CONFIG_BRIDGE_VLAN_FILTERING"),
    ("mst_", "CONFIG_BRIDGE_VLAN_FILTERING"),
    ("fdb_local_vlan_", "CONFIG_BRIDGE_VLAN_FILTERING"),
    ("multicast_vlan_", "CONFIG_BRIDGE_VLAN_FILTERING"),
    ("multicast_mld_", "CONFIG_BRIDGE_IGMP_SNOOPING and CONFIG_IPV6"),
    ("multicast_", "CONFIG_BRIDGE_IGMP_SNOOPING"),
    ("nf_call_", "CONFIG_BRIDGE_NETFILTER"),
)
"""What a kernel is built with that has an option, by how the option's name begins."""


class Lack(msgspec.Struct, frozen=True):
    """An option that this kernel does not have, and how that showed."""

    scope: OptionScope
    option: str
    """Its key in the file."""
    why: str

    def __str__(self) -> str:
        return f"this kernel has no {self.option} of a {self.scope.value}: {self.why}"


def can_bridge(has_tunnel: bool = False) -> str | None:
    """Why the kernel engine can't work here, with VXLAN tunnels if there are some; None where it
    can.
    """
    return _try((), has_tunnel).unable


def probe(bridge: Mapping[str, Plain], port: Mapping[str, Plain]) -> tuple[Lack, ...]:
    """The options that this kernel does not have, of those asked for (sparse dictionaries of
    `model.kernel_options`). Nothing where the kernel can't bridge at all; see `can_bridge`.
    """
    wanted = ((OptionScope.BRIDGE, bridge), (OptionScope.PORT, port))
    return _try(
        tuple(
            (scope, name, values[name])
            for scope, values in wanted
            for name in BY_NAME[scope]
            if name in values
        )
    ).lacks


def cannot_shape(shapes: Iterable[Shape]) -> str | None:
    """Why this kernel can't make lines slow, late and lossy as these are; None where it can. What
    counts is which of the three a line is.
    """
    for shape in sorted({_kind_of(shape) for shape in shapes}, key=str):
        if why := _try((), shape=shape).unable:
            kind, built_with = ("delay and loss", "NETEM") if shape.delay else ("bandwidth", "TBF")
            return (
                f"no {kind}: {why} (a kernel that has it is built with CONFIG_NET_SCH_{built_with})"
            )
    return None


def _kind_of(shape: Shape) -> Shape:
    return Shape(delay=1.0) if shape.delay or shape.loss else Shape(bandwidth="1M")


_Wanted = tuple[tuple[OptionScope, str, Plain], ...]


class _Answer(msgspec.Struct, frozen=True):
    unable: str | None = None
    lacks: tuple[Lack, ...] = ()


@cache
def _try(wanted: _Wanted, has_tunnel: bool = False, shape: Shape | None = None) -> _Answer:
    try:
        said = in_new_namespace(
            lambda netlink: msgspec.json.encode(_answer(netlink, wanted, has_tunnel, shape))
        )
    except Refusal as refusal:
        return _Answer(str(refusal))
    return msgspec.json.decode(said, type=_Answer)


def _answer(netlink: Netlink, wanted: _Wanted, has_tunnel: bool, shape: Shape | None) -> _Answer:
    if shape is not None:
        netlink.run([put_shape(netlink.index("lo"), shape)])
        return _Answer()
    _make(netlink)
    if has_tunnel:
        netlink.run([add_vxlan(_TUNNEL, _ANY_TUNNEL, None)])
    return _Answer(lacks=tuple(_lacks(netlink, wanted)) if wanted else ())


def _make(netlink: Netlink) -> None:
    netlink.run([add_bridge(_BRIDGE, _MAC, {})])
    network = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    netlink.run([add_port(_PORT, netlink.index(_BRIDGE), _FAR, network, _MAC, 1500)])
    os.close(network)


def _lacks(netlink: Netlink, wanted: _Wanted) -> Iterator[Lack]:
    """Each option is set by itself, in the order of the table, where what others need comes
    first; what all of it came to is read once.
    """
    refusals: dict[tuple[OptionScope, str], str] = {}
    for scope, name, value in wanted:
        (request,) = _REQUESTS[scope]({name: value})
        try:
            netlink.run([request])
        except Refusal as refusal:
            refusals[scope, name] = str(refusal).partition(f"{request.purpose}: ")[2]
    found = {
        OptionScope.BRIDGE: bridge_attributes(netlink.link(_BRIDGE)),
        OptionScope.PORT: port_attributes(netlink.link(_PORT)),
    }
    for scope, name, value in wanted:
        option = BY_NAME[scope][name]
        if why := refusals.get((scope, name)):
            yield Lack(scope, option.key, why + _hint(option))
        elif reported(scope, found[scope]).get(name) != sparse(scope, {name: value}).get(name):
            yield Lack(scope, option.key, "it takes no notice of it" + _hint(option))


_REQUESTS: Final[dict[OptionScope, Callable[[Mapping[str, Plain]], list[Request]]]] = {
    OptionScope.BRIDGE: lambda values: set_bridge(_BRIDGE, values),
    OptionScope.PORT: lambda values: [set_port(_PORT, values)],
}


def _hint(option: Option) -> str:
    for beginning, built_with in _BUILT_WITH:
        if option.name.startswith(beginning):
            return f" (a kernel that has it is built with {built_with})"
    return " (a newer kernel may have it)"
