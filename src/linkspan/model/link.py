"""Links: what joins nodes, or bridges, without being a port of a bridge of the lab.

A veth pair is a wire between two nodes. Its short form is a text, `a:eth1 -- b:eth1`. Tunnels are
in `model.vxlan` and `model.wireguard`.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from linkspan.model.base import Value
from linkspan.model.name_shapes import interface_name
from linkspan.model.shaping import Bandwidth, Delay, Loss, Shape, in_steps
from linkspan.model.texts import AddressText, InterfaceName, MacText, Mtu, Reference
from linkspan.model.unfit import UnfitError
from linkspan.model.vxlan import VxlanLink
from linkspan.model.wireguard import WireguardLink

END_PATTERN: Final = r"^[^\s:]+:[^/:%\s]+$"
WIRE_PATTERN: Final = r"^\s*[^\s:]+:[^/:%\s]+\s+--\s+[^\s:]+:[^/:%\s]+\s*$"
"""For the JSON Schema; what is wrong in particular is said by those who read the text."""


class VethEnd(Value, frozen=True, kw_only=True):
    """One end of a wire: an interface of a node."""

    node: Annotated[Reference, Meta(description="The node: `host`, or one of the file.")]
    interface: Annotated[InterfaceName, Meta(description="Name of the interface in that node.")]
    address: Annotated[
        tuple[AddressText, ...],
        Meta(description="IPv4 and IPv6 addresses of the interface, each with its prefix length."),
    ] = ()
    mac: Annotated[
        MacText | None,
        Meta(description="MAC address; worked out from lab, node and interface when left out."),
    ] = None


class VethLink(Value, frozen=True, kw_only=True, tag_field="kind", tag="veth"):
    """A wire between two nodes, a veth pair; `a:eth1 -- b:eth1` is its short form."""

    ends: Annotated[
        tuple[VethEnd, ...],
        Meta(
            description="The two ends; `a:eth1` is short for `{node: a, interface: eth1}`.",
        ),
    ]
    mtu: Annotated[Mtu, Meta(description="Largest packet in bytes, of both ends.")] = 1500
    bandwidth: Bandwidth = None
    delay: Delay = 0.0
    loss: Loss = 0.0

    @property
    def shape(self) -> Shape:
        """How slow, late and lossy it is to be."""
        return in_steps(self.bandwidth, self.delay, self.loss)


AnyLink: TypeAlias = VethLink | VxlanLink | WireguardLink
"""What may stand under `links`."""


def parse_end(text: str) -> VethEnd:
    """`a:eth1`. Raises UnfitError."""
    node, colon, interface = text.strip().partition(":")
    if not (node and colon and interface) or re.search(r"\s", node):
        raise UnfitError(
            "is no end of a wire", "NODE:INTERFACE, such as a:eth1", "write the node's name first"
        )
    try:
        return VethEnd(node=node, interface=interface_name(interface))
    except UnfitError as unfit:
        raise UnfitError(
            f"has an end of the name {interface}, which {unfit.what}",
            unfit.expected,
            unfit.next_step,
        ) from None


def parse_wire(text: str) -> VethLink:
    """`a:eth1 -- b:eth1`. Raises UnfitError."""
    ends = re.split(r"\s+--\s+", text.strip())
    if len(ends) != 2:
        raise UnfitError(
            "is no link",
            "NODE:INTERFACE -- NODE:INTERFACE, such as a:eth1 -- b:eth1",
            "write two ends with -- between them",
        )
    first, second = ends
    return VethLink(ends=(parse_end(first), parse_end(second)))
