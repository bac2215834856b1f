"""What there is on a machine, whoever made it: network namespaces as the kernel shows them.

The same values are printed as text by `view` and as JSON by `--json`. They say what was read and
nothing that was worked out from it: what could not be read is named in `unread` and never made up.
Times are in seconds, sizes in bytes. A name that is not UTF-8 stands here with `\\xNN` for each
byte that is not; where a name serves as a key, the interface's index stands beside it.

Sources: include/uapi/linux/{if_addr,if_bridge,rtnetlink,neighbour}.h, `struct nft_*` in
include/uapi/linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import msgspec

from linkspan.model.interface_snapshot import Interface, Value
from linkspan.model.snapshot import Pending


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
    metrics: dict[str, int] = msgspec.field(default_factory=dict)
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


class LabMention(Value, frozen=True, omit_defaults=True):
    """A lab of linkspan's that lives, or has left something, on the machine."""

    name: str
    state: str
    """running or stale."""
    pending: Pending | None = None
    """A change that was broken off or waits to be confirmed."""


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
