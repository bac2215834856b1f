"""What a switch process is told when it starts: its bridge, its ports and their descriptors."""

from __future__ import annotations

from typing import Final

import msgspec

from linkspan.bridge.port import PortOptions
from linkspan.model.shaping import Shape


class VxlanConfiguration(msgspec.Struct, frozen=True):
    """What a VXLAN port is, beside its socket."""

    vni: int
    remotes: tuple[str, ...]
    group: str | None
    interface: str | None
    local: str | None
    port: int
    learn_remotes: bool

    @property
    def everyone(self) -> tuple[str, ...]:
        """Where floods are sent."""
        return self.remotes if self.group is None else (self.group,)


class PortConfiguration(msgspec.Struct, frozen=True):
    """One port. Number 0 is the bridge's own port towards the host's stack."""

    number: int
    name: str
    kind: str
    """tap, veth, packet (read where it stands), stream, dgram or vxlan; machine: a tap that QEMU
    has open."""
    mac: str | None
    """MAC address of the interface that is the port; a socket has none."""
    node: str | None
    interface: str | None
    options: PortOptions
    ifindex: int | None = None
    """Index, in the lab's own namespace, of a device whose frames come by the upcall."""
    to_peer: bool = False
    """Whether the kernel may put frames straight in at that device's far end: it is a veth whose
    far end is in another namespace (`bpf_redirect_peer`)."""
    machine: bool = False
    """Whether the node is a virtual machine, which has no namespace."""
    uplink: bool = False
    """Whether it is read where it stands: an interface that was there before linkspan came, or a
    tap that the file declares."""
    tap: bool = False
    """Of an uplink: whether it is such a tap."""
    made_qdisc: bool = False
    """Of an uplink: whether its clsact qdisc is linkspan's."""
    vxlan: VxlanConfiguration | None = None
    """Of a tunnel: where it leads."""
    shape: Shape | None = None
    """How slow, late and lossy its line is to be."""

    def key(self, bridge: str) -> str:
        """The name under which the lab's init process holds the port's descriptor."""
        return f"port:{bridge}:{self.number}"

    def nic_key(self, bridge: str) -> str:
        """The name under which the lab's init process holds what keeps an uplink promiscuous."""
        return f"nic:{bridge}:{self.number}"


class SwitchConfiguration(msgspec.Struct, frozen=True):
    """One bridge and its ports. `descriptors` is filled in by the lab's init process."""

    name: str
    node: str
    mac: str
    up: bool
    ageing_time: float
    """Seconds."""
    fdb_max_learned: int
    group_fwd_mask: int
    cache: str
    """State of the in-kernel cache: "on", or "off" and why."""
    ports: list[PortConfiguration]
    declared: dict[str, bool | int | float | str | None] = {}
    """Options of the bridge as they were asked for: what is not here was left to the engine."""
    descriptors: dict[str, list[int]] = {}
    """Numbers of inherited descriptors by the names under which init holds them."""


OFF_BY_FILE: Final = "off: the file says so"
"""State of the in-kernel cache where nobody wants it."""


def control_key(bridge: str) -> str:
    """The name under which the lab's init process holds the listening control socket."""
    return f"control:{bridge}"


def service_name(bridge: str) -> str:
    """The name of the switch process among the lab's services."""
    return f"switch:{bridge}"


def cache_key(bridge: str) -> str:
    """The name under which the lab's init process holds the maps of the in-kernel cache."""
    return f"cache:{bridge}"


def upcall_key(bridge: str) -> str:
    """The name under which the lab's init process holds the tap that cache misses come up by."""
    return f"upcall:{bridge}"


def program_key(bridge: str) -> str:
    """The name under which the lab's init process holds what ports are added to the in-kernel
    cache with: the map from devices to ports, and the program."""
    return f"program:{bridge}"


def memory_key(bridge: str) -> str:
    """The name under which the lab's init process holds what a switch leaves to the next."""
    return f"memory:{bridge}"
