"""Small bridges and frames that the tests of the switch share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from linkspan.bridge.fdb import Fdb
from linkspan.bridge.port import Port, PortOptions, PortState
from linkspan.bridge.state import Bridge
from linkspan.types import BROADCAST, HOST_PORT, Mac, PortNumber

BRIDGE_MAC = Mac(bytes.fromhex("02000000b000"))
GROUP = Mac(bytes.fromhex("01005e010203"))
IPV4, ARP = b"\x08\x00", b"\x08\x06"
P1, P2, P3, P4 = (PortNumber(number) for number in (1, 2, 3, 4))


def station(number: int) -> Mac:
    """The address of a station somewhere behind the bridge."""
    return Mac(b"\x02\x00\x00\x00" + number.to_bytes(2, "big"))


def port_mac(number: int) -> Mac:
    """The address of the interface that carries a port."""
    return Mac(b"\x02\x00\x00\x00\xee" + bytes([number]))


def reserved(last: int) -> Mac:
    """01:80:c2:00:00:0X."""
    return Mac(bytes.fromhex("0180c20000") + bytes([last]))


def frame(
    destination: Mac, source: Mac, kind: bytes = IPV4, tag: bytes = b"", payload: int = 46
) -> bytes:
    """A frame; `tag` is TPID and TCI in front of the type."""
    return destination + source + tag + kind + bytes(payload)


def bridge_of(
    *ports: int, fdb: Fdb | None = None, options: Mapping[str, PortOptions] = MappingProxyType({})
) -> Bridge:
    """A bridge with these ports and the host; `{"p2": PortOptions(...)}` are port 2's options."""
    bridge = Bridge("br0", BRIDGE_MAC, fdb)
    bridge.add_port(Port(HOST_PORT, "br0"))
    for number in ports:
        chosen = options.get(f"p{number}", PortOptions())
        bridge.add_port(Port(PortNumber(number), f"p{number}", port_mac(number), chosen))
    return bridge


def rendered(bridge: Bridge) -> object:
    """Everything that a verdict could hang on, as one comparable value."""
    return (
        bridge.name,
        bridge.mac,
        bridge.up,
        bridge.group_fwd_mask,
        bridge.generation,
        set(bridge.relied_on),
        dict(bridge.ports),
        bridge.fdb.ageing_time,
        bridge.fdb.max_learned,
        fdb_of(bridge),
    )


def fdb_of(bridge: Bridge) -> dict[tuple[int, bytes], tuple[int, str, float]]:
    """The FDB as plain values."""
    return {address: (entry.port, entry.kind.value, entry.updated) for address, entry in bridge.fdb}


__all__ = [
    "ARP", "BRIDGE_MAC", "BROADCAST", "GROUP", "HOST_PORT", "IPV4", "P1", "P2", "P3", "P4",
    "PortState", "bridge_of", "fdb_of", "frame", "port_mac", "rendered", "reserved", "station",
]  # fmt: skip
