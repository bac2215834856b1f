"""Which engine a bridge gets, and why.

`auto` is the kernel's bridge where it is to be had and has what the file asks for, and our own
switch otherwise. What a kernel lacks is found out by trying it in a throw-away namespace, before
anything of the lab is touched; asked for by name, an engine that can't do what the file says is a
mistake of the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from linkspan.engine.kernel.capabilities import can_bridge, cannot_shape, probe
from linkspan.engine.user.devices import may_open_tap
from linkspan.errors import Fault, Mistake
from linkspan.model.base import Engine
from linkspan.model.flaw import label
from linkspan.model.kernel_options import Sparse, options_of
from linkspan.model.options import BY_NAME, OptionScope
from linkspan.model.shaping import Shape
from linkspan.model.topology import Bridge, Cache, Topology


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine and the reason for it, in words."""

    engine: Engine
    why: str


def choose(topology: Topology) -> tuple[Topology, dict[str, Choice]]:
    """The topology with an engine for every bridge, and the reasons.

    Raises Mistake when this kernel lacks what the file asks of its bridge by name, or of a wire.
    """
    _require_wires(topology)
    choices = {name: _choose(topology, name) for name in topology.bridges}
    bridges = {
        name: replace(bridge, engine=choices[name].engine)
        for name, bridge in topology.bridges.items()
    }
    return replace(topology, bridges=bridges), choices


def _require_wires(topology: Topology) -> None:
    for number, wire in topology.wires():
        if wire.shape != Shape() and (why := cannot_shape([wire.shape])):
            path = ("links", number)
            first, second = (f"{end.node}:{end.interface}" for end in wire.ends)
            raise Mistake(
                Fault(
                    f"{label(path)}: this kernel can't make the wire as slow, late or lossy as the"
                    " file says",
                    found=why,
                    next_step=f"join {first} and {second} by a bridge of `engine: user`, which does"
                    " it itself, and write the limits at one of its ports",
                    path=path,
                )
            )


def _choose(topology: Topology, name: str) -> Choice:
    bridge = topology.bridges[name]
    if bridge.engine is Engine.USER:
        return Choice(Engine.USER, "the file says so")
    lack = _lack_of_kernel(topology, name)
    if not lack:
        named = bridge.engine is Engine.KERNEL
        return Choice(
            Engine.KERNEL,
            "the file says so" if named else "this kernel has all that the file asks for",
        )
    needed = _kernel_only(topology, name)
    elsewhere = f"leave {needed} out, or run it on a kernel that has it"
    if bridge.engine is Engine.KERNEL:
        raise Mistake(
            Fault(
                f"bridge {name}: engine kernel can't do what the file says",
                found=lack,
                next_step=elsewhere if needed else "write `engine: user`, or leave that option out",
                path=("bridges", name, "engine"),
            )
        )
    if needed:
        raise Mistake(
            Fault(
                f"bridge {name}: no engine here can do what the file says",
                found=f"{lack}; and engine user has no {needed}",
                next_step=elsewhere,
                path=("bridges", name, needed),
            )
        )
    return Choice(Engine.USER, lack)


def _lack_of_kernel(topology: Topology, name: str) -> str:
    """Why the kernel's bridge will not do, in words; empty when it will."""
    bridge = topology.bridges[name]
    if not all(port.is_tap for port in bridge.ports.values()):
        return "only engine user has sockets as ports"
    if bridge.cache is Cache.OFF:
        return "`cache: off` speaks of engine user"
    machines = any(
        port.bridge == name and topology.is_machine(node) for node, _, port in topology.node_ports()
    )
    if machines and not may_open_tap():
        return "its virtual machines would need /dev/net/tun, which can't be opened"
    has_tunnel = any(tunnel.bridge == name for _, tunnel in topology.tunnels())
    if why := can_bridge(has_tunnel):
        return why
    shaped = {
        (topology.is_machine(node), port.shape)
        for node, _, port in topology.node_ports()
        if port.bridge == name and port.shape != Shape()
    }
    if any(is_machine for is_machine, _ in shaped):
        return "only engine user limits what a virtual machine sends"
    lacks = probe(options_of(bridge), _port_options(topology, name))
    whys = [f"no {lack.option}: {lack.why}" for lack in lacks]
    if why := cannot_shape(shape for _, shape in shaped):
        whys.append(why)
    return "; ".join(whys)


def _port_options(topology: Topology, name: str) -> Sparse:
    """All options that some port of a bridge has."""
    found: Sparse = {}
    for _, _, port in topology.node_ports():
        if port.bridge == name:
            found |= options_of(port)
    for _, tunnel in topology.tunnels():
        if tunnel.bridge == name:
            found |= options_of(tunnel)
    return found


def _kernel_only(topology: Topology, name: str) -> str:
    """The first option asked for that engine user does not have."""
    bridge: Bridge = topology.bridges[name]
    asked = [
        *((OptionScope.BRIDGE, option) for option in options_of(bridge)),
        *((OptionScope.PORT, option) for option in _port_options(topology, name)),
    ]
    for scope, option in asked:
        if Engine.USER not in BY_NAME[scope][option].engines:
            return BY_NAME[scope][option].key
    return ""
