"""Links as facts of a state (`model.state`): wires between nodes, tunnels."""

from __future__ import annotations

from linkspan.model.fact import Key, Options, Value


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
