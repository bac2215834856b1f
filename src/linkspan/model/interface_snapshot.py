"""One interface as the kernel shows it, and what it is as a bridge, a port or an end of a wire.

Part of `model.host_snapshot`, whose head says what holds of all these values.

Sources: include/uapi/linux/{if,if_link,if_bridge}.h.
"""

from __future__ import annotations

import msgspec

from linkspan.model.names import Mark
from linkspan.model.options import Plain


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Common to all values of a snapshot."""


class Statistics(msgspec.Struct, frozen=True):
    """What an interface counted (struct rtnl_link_stats64); `in` is received."""

    frames_in: int = 0
    bytes_in: int = 0
    errors_in: int = 0
    drops_in: int = 0
    frames_out: int = 0
    bytes_out: int = 0
    errors_out: int = 0
    drops_out: int = 0


class FarEnd(Value, frozen=True):
    """The interface that this one is joined to: a veth's other end, a VLAN's parent device."""

    index: int
    """Its index in its own namespace."""
    netnsid: int | None = None
    """What this namespace calls the other one (IFLA_LINK_NETNSID); None for the same one."""
    namespace: int | None = None
    """Inode of the other namespace; None until it has been found."""
    interface: str | None = None
    """Its name there; None until it has been found."""


class Querier(Value, frozen=True):
    """Who asks for members of multicast groups on a bridge's network, as far as the bridge heard
    (IFLA_BR_MCAST_QUERIER_STATE).
    """

    address: str
    port: int | None = None
    """Index of the port that it is behind; None for the bridge itself."""
    timer: float | None = None
    """Seconds until it counts as gone; None for the bridge itself."""


class BridgeState(Value, frozen=True):
    """What a bridge has worked out by itself, as opposed to what it was told (IFLA_BR_*)."""

    id: str
    """Its own identifier, priority and MAC: 8000.02:00:00:00:00:01."""
    root_id: str
    root_port: int
    """Number of the port that leads to the root bridge; 0 when it is the root."""
    root_path_cost: int
    topology_change: bool
    topology_change_detected: bool
    fdb_learned: int | None = None
    """Learned entries; None where the kernel does not count them."""
    queriers: tuple[Querier, ...] = ()
    """One for each of IPv4 and IPv6. Without one, multicast of that family is flooded."""


class PortState(Value, frozen=True):
    """What a bridge has worked out about one of its ports (IFLA_BRPORT_*)."""

    number: int
    state: str
    """disabled, listening, learning, forwarding or blocking."""
    id: int
    root_id: str
    bridge_id: str
    """The designated bridge of the segment that the port is on."""
    designated_port: int
    designated_cost: int
    topology_change_ack: bool
    config_pending: bool
    forward_delay_timer: float
    """Seconds until the port moves on from listening or learning; 0 when it does not."""


class VlanEntry(Value, frozen=True):
    """A VLAN, or a range of them, that a port or the bridge itself is a member of."""

    first: int
    last: int
    pvid: bool = False
    untagged: bool = False


class TapHolder(Value, frozen=True):
    """A process that has a tap or tun open."""

    pid: int
    command: str
    descriptor: int
    guest: str | None = None
    """The virtual machine that it runs, by its name."""


class Interface(Value, frozen=True):
    """One interface of a namespace."""

    index: int
    name: str
    kind: str
    """veth, bridge, tap, tun, vxlan, wireguard, bond, vlan, …, loopback, or physical for a device
    that no driver of virtual interfaces made."""
    mac: str | None
    mtu: int
    up: bool
    carrier: bool
    operstate: str
    link_type: int
    """ARPHRD_* (include/uapi/linux/if_arp.h): 1 Ethernet, 772 loopback, 65534 none."""
    flags: int
    """IFF_* (include/uapi/linux/if.h)."""
    permanent_mac: str | None = None
    alias: str | None = None
    mark: Mark | None = None
    """Whose it is, when the alias is a mark of ours."""
    other_names: tuple[str, ...] = ()
    master: int | None = None
    """Index of the bridge or bond that it is a port of."""
    master_name: str | None = None
    peer: FarEnd | None = None
    details: dict[str, Plain] = {}
    """What is particular to its kind: a vxlan's id and remote, a vlan's id, a tap's owner."""
    bridge_options: dict[str, Plain] | None = None
    """For a bridge: the options that are not the kernel's defaults."""
    bridge_state: BridgeState | None = None
    port_options: dict[str, Plain] | None = None
    """For a port of a bridge: the options that are not the kernel's defaults."""
    port_state: PortState | None = None
    vlans: tuple[VlanEntry, ...] = ()
    """Of a port, or of the bridge itself, where the bridge filters VLANs."""
    ipv4: dict[str, int] = {}
    """By the names of /proc/sys/net/ipv4/conf/*/: forwarding, rp_filter, …"""
    ipv6: dict[str, int] = {}
    """By the names of /proc/sys/net/ipv6/conf/*/: disable_ipv6, accept_ra, addr_gen_mode, …;
    empty where IPv6 does not look at the interface."""
    statistics: Statistics = Statistics()
    carrier_changes: int = 0
    promiscuity: int = 0
    transmit_queue: int = 0
    """Length in frames."""
    xdp: bool = False
    """Whether an XDP program looks at every frame first."""
    holders: tuple[TapHolder, ...] = ()
    """Of a tap or tun: the processes that have it open."""
