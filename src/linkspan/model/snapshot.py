"""What there is: the observed state of a lab, as frozen values.

The same values are printed as text by `view` and as JSON by `--json`, so nothing can be shown
that a program could not read. Times are in seconds, sizes in bytes.
"""

from __future__ import annotations

import msgspec

from linkspan.model.interface_snapshot import TapHolder
from linkspan.model.network_snapshot import NetworkSnapshot
from linkspan.model.shaping import Shape


class Counters(msgspec.Struct, frozen=True):
    """Frames and bytes of one port, seen from the switch: `in` came from the port."""

    frames_in: int = 0
    bytes_in: int = 0
    frames_out: int = 0
    bytes_out: int = 0
    drops: dict[str, int] = {}
    """Frames that this port brought or should have taken and that ended, by `Reason` name."""


class PortSnapshot(msgspec.Struct, frozen=True):
    """One port of a bridge; number 0 is the bridge's own port towards the host's stack."""

    name: str
    number: int
    kind: str
    """tap, veth, packet, stream, dgram, or what the kernel calls a device that is an uplink."""
    state: str
    """forwarding or disabled (an STP state in later versions)."""
    node: str | None
    """The node at the other end of the port, where there is one."""
    interface: str | None
    """The interface in that node."""
    options: dict[str, bool | int | float | str]
    counters: Counters
    held_by: TapHolder | None = None
    """Of a tap that is not the lab's: the process that has it open, and the guest that it runs."""
    shape: Shape | None = None
    """How its line is limited."""


class FdbSnapshot(msgspec.Struct, frozen=True):
    """One entry of a bridge's forwarding database."""

    mac: str
    vlan: int
    port: str
    kind: str
    """learned, static, sticky or local."""
    age: float | None
    """Seconds since the address was last seen; None for entries that do not age."""


class BridgeSnapshot(msgspec.Struct, frozen=True):
    """One bridge as its engine reports it."""

    name: str
    node: str
    engine: str
    mac: str
    up: bool
    addresses: list[str]
    options: dict[str, bool | int | float | str]
    pid: int
    """Process of the user engine, as seen from inside the lab; 0 for a bridge of the kernel."""
    restarts: int
    ports: list[PortSnapshot]
    fdb: list[FdbSnapshot]
    engine_reason: str = ""
    """Why it is this engine."""
    cache: str = "off"
    """The in-kernel cache: "on", or "off" and why."""
    flows: int = 0
    """Flows that the kernel forwards by itself now."""
    network: NetworkSnapshot | None = None
    """Its network's services; None when it has none."""


class WireguardPeerSnapshot(msgspec.Struct, frozen=True):
    """A peer of a WireGuard interface."""

    public_key: str
    endpoint: str | None
    """Where it was heard last, or is to be found."""
    allowed_ips: list[str]
    keepalive: int
    """Seconds; 0 is never."""
    handshake_age: float | None
    """Seconds since the last handshake; None when there was none."""
    bytes_in: int
    bytes_out: int


class WireguardSnapshot(msgspec.Struct, frozen=True):
    """A WireGuard interface as who runs it reports it."""

    public_key: str
    listen: int
    peers: list[WireguardPeerSnapshot]


class InterfaceSnapshot(msgspec.Struct, frozen=True):
    """One interface inside a node."""

    name: str
    mac: str
    mtu: int
    up: bool
    carrier: bool
    addresses: list[str]
    bridge: str | None
    """The bridge whose port is at the other end, where there is one."""
    peer: str | None = None
    """The interface at the other end of a wire between two nodes: `b:eth1`."""
    wireguard: WireguardSnapshot | None = None
    shape: Shape | None = None
    """How slow, late and lossy the wire is, if it is."""

    @property
    def wire(self) -> str:
        """The other end of a wire, and how it is, for people; empty where there is none."""
        limits = f" ({self.shape.words})" if self.shape is not None else ""
        return f"-- {self.peer}{limits}" if self.peer else ""


class CommandSnapshot(msgspec.Struct, frozen=True):
    """The command of a node."""

    words: list[str]
    state: str
    """running; or how it ended, in which case it is about to be started again."""
    pid: int
    """As seen from inside the lab; 0 when it is not running."""
    restarts: int
    last_end: str
    """How it ended the last time; empty when it never did."""
    output: str
    """The file that it writes to."""


class MountSnapshot(msgspec.Struct, frozen=True):
    """A folder or file of the machine in a node."""

    path: str
    source: str
    read_only: bool


class NodeSnapshot(msgspec.Struct, frozen=True):
    """One node. The addresses of a vm are those that the file says, since nobody can look."""

    name: str
    kind: str
    interfaces: list[InterfaceSnapshot]
    command: CommandSnapshot | None = None
    mounts: list[MountSnapshot] = []


class Pending(msgspec.Struct, frozen=True):
    """A change of a lab that is not finished."""

    command: str
    seconds_left: int | None
    """Until which it has to be confirmed; None for one that is under way or was broken off."""
    is_guarded: bool
    """Whether somebody takes it back when nobody confirms it."""


class MachinePortSnapshot(msgspec.Struct, frozen=True):
    """One port of a virtual machine, from QEMU's descriptor to the bridge's port."""

    interface: str
    mac: str
    descriptor: int | None
    """Of QEMU's process: of /dev/net/tun, or of one of a pair of sockets; None when it has none."""
    tap: str | None
    """The tap that the descriptor stands for, as /proc shows it; None for a socket."""
    bridge: str
    port: str
    number: int | None
    """The bridge's port; None when the bridge has none of that name."""
    machine: Counters | None
    """The tap's own: `in` is what QEMU wrote into it, `out` what QEMU got or could have got; None
    for a socket, which counts nothing."""
    counters: Counters
    """The bridge's port's: of our switch, its own; of a bridge of the kernel, those of the tap."""


class MachineSnapshot(msgspec.Struct, frozen=True):
    """One virtual machine."""

    node: str
    state: str
    """running, or what QEMU says else of itself (paused, io-error); `not booted` and why, when the
    firmware found nothing to boot; `stuck` and why, when its last words on the console say that it
    does not go on; off, when the guest switched it off; or how QEMU ended."""
    pid: int
    """QEMU's process, as numbered where linkspan was called; 0 when there is none."""
    accelerator: str
    """kvm or tcg."""
    memory: int
    """MiB."""
    cpus: int
    ports: list[MachinePortSnapshot]


class LabSnapshot(msgspec.Struct, frozen=True):
    """Everything that one lab consists of at one moment."""

    name: str
    scope: str
    state: str
    """running, or stale when its holder process is gone."""
    since: float
    """Seconds since 1970-01-01 UTC at which the lab was brought up."""
    bridges: list[BridgeSnapshot]
    nodes: list[NodeSnapshot]
    machines: list[MachineSnapshot] = []
    pending: Pending | None = None
    """A change that was broken off or waits to be confirmed."""


class LeaseSnapshot(msgspec.Struct, frozen=True):
    """An address that a bridge has lent."""

    bridge: str
    address: str
    mac: str | None
    """None where an IPv6 client does not tell it."""
    name: str | None
    """By which the address is known to the bridge's name server."""
    expires: float | None
    """Seconds since 1970-01-01 UTC; None for never."""
    node: str | None
    """The node of the lab that has that MAC."""


class Reach(msgspec.Struct, frozen=True):
    """The answer of one probe of `linkspan ping`."""

    source: str
    destination: str
    address: str
    """What was probed."""
    result: str
    """reached, no-reply, no-route, no-address or error."""
    milliseconds: float | None
    detail: str = ""
    """What else is known, such as "ARP answered, ICMP did not"."""
