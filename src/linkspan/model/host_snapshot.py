"""What there is on a machine, whoever made it: network namespaces as the kernel shows them.

The same values are printed as text by `view` and as JSON by `--json`. They say what was read and
nothing that was worked out from it: what could not be read is named in `unread` and never made up.
Times are in seconds, sizes in bytes. A name that is not UTF-8 stands here with `\\xNN` for each
byte that is not; where a name serves as a key, the interface's index stands beside it.

Sources: include/uapi/linux/{if_link,if_addr,if_bridge,rtnetlink,neighbour}.h, `struct nft_*` in
include/uapi/linux/netfilter/nf_tables.h.
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


class Address(Value, frozen=True):
    """One address of an interface."""

    address: str
    """With its prefix length: 192.168.57.1/24."""
    index: int
    interface: str
    scope: str
    flags: tuple[str, ...] = ()
    """permanent, dynamic, secondary, temporary, nodad, tentative, dadfailed, noprefixroute, …"""
    peer: str | None = None
    """The far address of a point-to-point link, with prefix length."""
    broadcast: str | None = None
    label: str | None = None
    valid: int | None = None
    """Seconds that it is still valid; None for ever."""
    preferred: int | None = None
    metric: int = 0
    """Of the route to its prefix (IFA_RT_PRIORITY); 0 for the ordinary one."""
    protocol: str = ""
    """Who gave it: kernel_lo, kernel_ra, kernel_ll, or a number; empty when that is not said."""


class NextHop(Value, frozen=True):
    """One of the next hops of a multipath route."""

    gateway: str | None
    index: int
    interface: str
    weight: int
    flags: tuple[str, ...] = ()


class Route(Value, frozen=True):
    """One route, of any table but `local`."""

    destination: str
    """0.0.0.0/0 or ::/0 is the default route."""
    kind: str = "unicast"
    table: int = 254
    """254 is `main`."""
    gateway: str | None = None
    index: int | None = None
    interface: str | None = None
    metric: int = 0
    preferred_source: str | None = None
    source: str | None = None
    """Only for packets from this prefix."""
    tos: int = 0
    scope: str = "global"
    protocol: str = ""
    flags: tuple[str, ...] = ()
    """onlink, linkdown, dead, …"""
    next_hops: tuple[NextHop, ...] = ()
    next_hop_object: int | None = None
    """`nhid` of ip(8)."""
    preference: str | None = None
    """IPv6: low, medium or high (RFC 4191)."""
    metrics: dict[str, int] = {}
    """mtu, advmss, … (RTAX_*)."""
    encapsulated: bool = False
    """Whether packets get a tunnel header (RTA_ENCAP)."""
    expires: float | None = None
    """Seconds; None for ever."""


class Neighbour(Value, frozen=True):
    """One entry of the ARP or the neighbour-discovery cache."""

    address: str
    index: int
    interface: str
    mac: str | None
    state: str
    """reachable, stale, delay, probe, incomplete, failed, noarp, permanent or none."""
    flags: tuple[str, ...] = ()
    """router, proxy, extern_learn, …"""
    used: float = 0
    """Seconds since it was last used."""
    updated: float = 0


class FdbEntry(Value, frozen=True):
    """One entry of a bridge's, or of a device's own, forwarding database."""

    mac: str
    index: int
    port: str
    """The interface behind which the address is; the bridge's own name for its own addresses."""
    bridge: str | None = None
    vlan: int | None = None
    flags: tuple[str, ...] = ()
    """self, master, permanent, static, sticky, extern_learn, offloaded, …; neither permanent nor
    static is learned."""
    remote: str | None = None
    """Of a vxlan device: the tunnel's far end."""
    used: float = 0
    """Seconds since a frame was last sent to it."""
    updated: float = 0
    """Seconds since a frame last came from it."""


class GroupEntry(Value, frozen=True):
    """A member of a multicast group: one entry of a bridge's MDB."""

    group: str
    """An IPv4, IPv6 or MAC address."""
    bridge: str
    index: int
    port: str
    """The interface behind which the member is; the bridge's own name for the host."""
    vlan: int | None = None
    permanent: bool = False
    """Whether somebody configured it, as opposed to a report that was heard."""
    flags: tuple[str, ...] = ()


class BaseChain(Value, frozen=True):
    """A chain of nftables through which the kernel sends packets."""

    name: str
    type: str
    hook: str
    priority: int
    policy: str


class NftTable(Value, frozen=True):
    """A table of nftables."""

    family: str
    name: str
    chains: tuple[BaseChain, ...] = ()
    """Its base chains."""


class Process(Value, frozen=True):
    """A process by number and command."""

    pid: int
    command: str


class NamespaceSnapshot(Value, frozen=True):
    """One network namespace."""

    interfaces: tuple[Interface, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    fdb: tuple[FdbEntry, ...] = ()
    groups: tuple[GroupEntry, ...] = ()
    multicast_routers: tuple[str, ...] = ()
    """Ports behind which multicast routers are."""
    nft_tables: tuple[NftTable, ...] = ()
    legacy_tables: tuple[str, ...] = ()
    """iptables's own tables: `ip filter`, `ip6 nat`, …"""
    id: int = 0
    """Inode of the namespace; 0 when it is not known."""
    names: tuple[str, ...] = ()
    """Names that it has in the file system, as of `ip netns`."""
    processes: int = 0
    process_examples: tuple[Process, ...] = ()
    held_by: tuple[Process, ...] = ()
    """Processes that hold it by a descriptor or a mount, where none is in it."""
    lab: str | None = None
    """The lab that it belongs to."""
    node: str | None = None
    """The node of that lab that it is."""
    unread: tuple[str, ...] = ()
    """What could not be read, and why."""

    def interface(self, name: str) -> Interface | None:
        """The interface of that name."""
        return next((each for each in self.interfaces if each.name == name), None)


class LabMention(Value, frozen=True):
    """A lab of linkspan's that lives, or has left something, on the machine."""

    name: str
    state: str
    """running or stale."""


class HostSnapshot(Value, frozen=True):
    """A machine: all its network namespaces that could be found."""

    namespaces: tuple[NamespaceSnapshot, ...]
    """The first is the one that the reader stands in: the host."""
    labs: tuple[LabMention, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def host(self) -> NamespaceSnapshot:
        """The namespace that the reader stands in."""
        return self.namespaces[0]
