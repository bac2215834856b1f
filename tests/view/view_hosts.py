"""Small builders of machines' snapshots, so that a test names only what it is about."""

from __future__ import annotations

from typing import Any

from linkspan.model.host_snapshot import Address, FarEnd, Interface, NamespaceSnapshot, PortState


def link(index: int, name: str, kind: str = "veth", **facts: Any) -> Interface:
    """An interface that is up."""
    ordinary: dict[str, Any] = {
        "mac": f"02:00:00:00:00:{index:02x}",
        "mtu": 1500,
        "up": True,
        "carrier": True,
        "operstate": "up",
        "link_type": 1,
        "flags": 1,
    }
    return Interface(index=index, name=name, kind=kind, **{**ordinary, **facts})


def loopback(**facts: Any) -> Interface:
    return link(1, "lo", "loopback", **{"mac": "00:00:00:00:00:00", "mtu": 65536, **facts})


def bridge(index: int, name: str, **facts: Any) -> Interface:
    return link(index, name, "bridge", **{"bridge_options": {}, **facts})


def port(index: int, name: str, of: Interface, number: int, **facts: Any) -> Interface:
    """A port of a bridge."""
    state = PortState(
        number=number,
        state=facts.pop("state", "forwarding"),
        id=0x8000 + number,
        root_id="",
        bridge_id="",
        designated_port=0,
        designated_cost=0,
        topology_change_ack=False,
        config_pending=False,
        forward_delay_timer=0,
    )
    at = {"master": of.index, "master_name": of.name, "port_state": state, "port_options": {}}
    return link(index, name, **{**at, **facts})


def to(namespace: int, index: int) -> FarEnd:
    """A far end in another namespace."""
    return FarEnd(index=index, netnsid=0, namespace=namespace, interface="eth0")


def address(of: Interface, text: str, *flags: str, scope: str = "global") -> Address:
    return Address(address=text, index=of.index, interface=of.name, scope=scope, flags=flags)


def place(number: int, *interfaces: Interface, **facts: Any) -> NamespaceSnapshot:
    """A namespace."""
    return NamespaceSnapshot(id=number, interfaces=(loopback(), *interfaces), **facts)
