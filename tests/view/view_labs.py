"""Small builders of snapshots, so that a test names only what it is about."""

from __future__ import annotations

from linkspan.model.snapshot import (
    BridgeSnapshot,
    Counters,
    FdbSnapshot,
    InterfaceSnapshot,
    LabSnapshot,
    NodeSnapshot,
    PortSnapshot,
    Reach,
)

SINCE = 1763730000.0
"""2025-11-21 13:00 UTC."""


def interface(
    name: str,
    last_byte: int,
    *addresses: str,
    bridge: str | None = "br0",
    up: bool = True,
    carrier: bool = True,
    mtu: int = 1500,
) -> InterfaceSnapshot:
    mac = f"02:6c:73:00:00:{last_byte:02x}"
    return InterfaceSnapshot(name, mac, mtu, up, carrier, list(addresses), bridge)


def loopback() -> InterfaceSnapshot:
    mac = "00:00:00:00:00:00"
    return InterfaceSnapshot("lo", mac, 65536, True, True, ["127.0.0.1/8", "::1/128"], None)


def node(name: str, *interfaces: InterfaceSnapshot, kind: str = "container") -> NodeSnapshot:
    return NodeSnapshot(name, kind, [loopback(), *interfaces])


def port(
    number: int,
    far_end: str | None,
    *,
    kind: str = "tap",
    state: str = "forwarding",
    name: str = "",
    options: dict[str, bool | int | float | str] | None = None,
    counters: Counters | None = None,
) -> PortSnapshot:
    """A port to `node:interface`; without a node a name is needed."""
    at_node, _, at_interface = (far_end or "").partition(":")
    return PortSnapshot(
        name=name or f"{at_node}.{at_interface}",
        number=number,
        kind=kind,
        state=state,
        node=at_node or None,
        interface=at_interface or None,
        options=options or {},
        counters=counters or Counters(),
    )


def bridge(
    *ports: PortSnapshot,
    name: str = "br0",
    node: str = "host",
    addresses: tuple[str, ...] = (),
    up: bool = True,
    restarts: int = 0,
    fdb: tuple[FdbSnapshot, ...] = (),
    last_byte: int = 0xB0,
    engine: str = "user",
) -> BridgeSnapshot:
    own = port(0, f"{node}:{name}", name=name)
    return BridgeSnapshot(
        name=name,
        node=node,
        engine=engine,
        mac=f"02:6c:73:00:00:{last_byte:02x}",
        up=up,
        addresses=list(addresses),
        options={},
        pid=7,
        restarts=restarts,
        ports=[own, *ports],
        fdb=list(fdb),
    )


def lab(
    bridges: list[BridgeSnapshot], nodes: list[NodeSnapshot], state: str = "running"
) -> LabSnapshot:
    return LabSnapshot("demo", "sandbox", state, SINCE, bridges, nodes)


def containers(count: int) -> LabSnapshot:
    """The lab of the quick start, with any number of containers."""
    names = [chr(ord("a") + i) if count <= 26 else f"c{i + 1}" for i in range(count)]
    ports = [port(i + 1, f"{name}:eth0") for i, name in enumerate(names)]
    host = node("host", interface("br0", 0xB0, "192.168.57.1/24", bridge=None), kind="host")
    nodes = [
        node(name, interface("eth0", i + 1, f"192.168.57.{i + 2}/24", f"fe80::{i + 1:x}/64"))
        for i, name in enumerate(names)
    ]
    return lab([bridge(*ports, addresses=("192.168.57.1/24",))], [host, *nodes])


def all_reached(names: list[str]) -> list[Reach]:
    """Every pair, both families, each with a time of its own."""
    return [
        Reach(source, to, address.format(names.index(to) + 2), "reached", 0.11 + row * 0.02)
        for row, source in enumerate(names)
        for to in names
        if to != source
        for address in ("192.168.57.{}", "fd00:57::{}")
    ]
