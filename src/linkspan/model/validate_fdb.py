"""Checks of static entries: behind a port that is there, and of somebody else than the bridge."""

from __future__ import annotations

from collections.abc import Iterator

from linkspan.model.flaw import Flaw, brief, label, names_of, resembling
from linkspan.model.names import port_name, with_macs
from linkspan.model.position import Path
from linkspan.model.topology import Topology


def static_entries(topology: Topology) -> Iterator[Flaw]:
    """Each names a port of its own bridge. The bridge's own address is in the FDB by itself, and
    always its own (fdb_add_entry, net/bridge/br_fdb.c, and our switch refuse another).
    """
    if not any(bridge.fdb for bridge in topology.bridges.values()):
        return
    whole = with_macs(topology)
    places: dict[str, tuple[str, Path]] = {
        port_name(node, interface): (port.bridge, ("nodes", node, "ports", interface))
        for node, interface, port in topology.node_ports()
    }
    for name, bridge in whole.bridges.items():
        way_out = [bridge.uplink.interface] if bridge.uplink is not None else []
        own = [*bridge.ports, *way_out, *(port for port, (on, _) in places.items() if on == name)]
        for mac, entry in bridge.fdb.items():
            path: Path = ("bridges", name, "fdb", mac)
            if entry.port not in own:
                near = resembling(entry.port, own)
                on, place = places.get(entry.port, ("", ()))
                node, _, interface = entry.port.partition(".")
                yield Flaw(
                    path,
                    f"{label(path)}: {brief(entry.port)} is no port of bridge {brief(name)}",
                    expected=names_of("one of", own),
                    found=f"a port of bridge {brief(on)} at {{also}}" if on else "",
                    next_step=f"write {near}" if near else "correct the port, or remove the entry",
                    also=place,
                    at_key=True,
                    needs=(
                        ("nodes", node, "ports", interface),
                        ("bridges", name, "ports", entry.port),
                    ),
                )
            if mac == bridge.mac:
                yield Flaw(
                    path,
                    f"{label(path)}: the address is the bridge's own, and so in its FDB already",
                    expected="the address of somebody behind a port",
                    next_step="remove the entry",
                    at_key=True,
                )
