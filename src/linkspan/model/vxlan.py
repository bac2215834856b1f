"""VXLAN: a port of a bridge that leads to bridges of other hosts, over IP (RFC 7348)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from linkspan.model.port_options import PortOptions
from linkspan.model.texts import HostText, InterfaceName, MulticastText, Reference
from linkspan.wire.vxlan import MOST_VNI, PORT


class VxlanLink(PortOptions, frozen=True, kw_only=True, tag_field="kind", tag="vxlan"):
    """A tunnel from a bridge to bridges of other hosts, as a port of it.

    Its MTU is the bridge's. A packet of the underlay is 50 bytes longer (IPv4), or 70 (IPv6);
    where the file says by which interface the far host is reached, that it fits is checked.
    """

    bridge: Annotated[Reference, Meta(description="The bridge that the tunnel is a port of.")]
    vni: Annotated[
        int, Meta(ge=1, le=MOST_VNI, description="Number of the segment; all its hosts have it.")
    ]
    remote: Annotated[
        tuple[HostText, ...],
        Meta(description="The other hosts, which floods are sent to one by one."),
    ] = ()
    group: Annotated[
        MulticastText | None,
        Meta(description="A multicast group that all hosts hear instead, by `interface`."),
    ] = None
    interface: Annotated[
        InterfaceName | None,
        Meta(description="The interface of the bridge's node that the group is heard on."),
    ] = None
    local: Annotated[
        HostText | None,
        Meta(description="Our own address in the tunnel; left out, as the routes have it."),
    ] = None
    port: Annotated[
        int, Meta(ge=1, le=65535, description="UDP port, here and at the other hosts.")
    ] = PORT
    learn_remotes: Annotated[
        bool, Meta(description="Learn which host an address is behind, from what comes in.")
    ] = True
    name: Annotated[
        InterfaceName | None,
        Meta(description="Name of the port; `vxlan` and the number when left out."),
    ] = None

    @property
    def port_name(self) -> str:
        """The name as a port of the bridge."""
        return self.name or f"vxlan{self.vni}"

    @property
    def everyone(self) -> tuple[str, ...]:
        """Where floods are sent."""
        return self.remote if self.group is None else (self.group,)
