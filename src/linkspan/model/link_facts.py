"""Links as facts of a state (`model.state`): wires between nodes, tunnels."""

from __future__ import annotations

from linkspan.model.fact import Key, Options, Value
from linkspan.model.shaping import Shape


class VethKey(Key, frozen=True):
    """An end of a wire between two nodes: an interface of a node. The wire is two of these."""

    node: str
    interface: str


class Veth(Value, frozen=True):
    peer_node: str
    peer_interface: str
    """The other end; empty when it is not there, or not what it should be."""
    mac: str
    mtu: int
    bandwidth: str | None = None
    delay: float = 0.0
    loss: float = 0.0
    """What this end does to what it sends; the other one does the same."""

    @property
    def shape(self) -> Shape:
        """These three."""
        return Shape(self.bandwidth, self.delay, self.loss)


class WireguardKey(Key, frozen=True):
    """A WireGuard interface of a node."""

    node: str
    interface: str


class WireguardPeer(Value, frozen=True):
    """Part of `Wireguard`: somebody at the other end."""

    public_key: str
    allowed_ips: tuple[str, ...]
    endpoint: str | None
    """As it was configured; a peer that moves is followed all the same."""
    keepalive: int
    """Seconds; 0 is never."""


class Wireguard(Value, frozen=True):
    public_key: str
    """Of the interface; the private one is in the lab's folder. Empty where nobody answers."""
    listen: int
    """UDP port; 0 is one that the kernel chooses."""
    mtu: int
    peers: tuple[WireguardPeer, ...]


class VxlanKey(Key, frozen=True):
    """A tunnel to other hosts that is a port of a bridge."""

    bridge: str
    name: str


class Vxlan(Value, frozen=True):
    node: str
    """Of the bridge: where the tunnel begins."""
    engine: str
    vni: int
    remotes: tuple[str, ...]
    group: str | None
    interface: str | None
    local: str | None
    port: int
    learn_remotes: bool
    mtu: int
    options: Options = {}
