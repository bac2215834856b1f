"""One table each for what there is on a machine; a kind that it has nothing of has no table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from linkspan.model.host_snapshot import Address, NamespaceSnapshot, Route
from linkspan.model.interface_snapshot import Interface
from linkspan.view.host_words import (
    Machine,
    bridges_of,
    kind_notes,
    options_text,
    port_state,
    ports_of,
)
from linkspan.view.table import Cell, Quantity, byte_count, plural, table
from linkspan.view.tables import interface_state
from linkspan.view.uplinks import pending_as_text

MOST_ADDRESSES = 3
"""Addresses of a namespace that its line names."""

_LOOPBACK_ADDRESSES = frozenset({"127.0.0.1/8", "::1/128"})
_MAIN_TABLE = 254
_ANY = ("0.0.0.0/0", "::/0")
_LINK_LOCAL = ("fe80::/64", "ff00::/8")


def ports_table(machine: Machine) -> str:
    """One line for each port of the host's bridges; `in` came from the port."""
    rows: list[list[Cell]] = [
        [
            bridge.name,
            Quantity(port.port_state.number if port.port_state else 0),
            port.name,
            port.kind,
            port_state(port),
            machine.far_end(port),
            ", ".join(options_text(port.port_options or {})) or None,
            *counters(port),
        ]
        for bridge in bridges_of(machine.host)
        for port in ports_of(machine.host, bridge)
    ]
    headings = ["bridge", "no.", "port", "kind", "state", "far end", "options"]
    headings += ["frames in", "bytes in", "frames out", "bytes out", "drops"]
    return table(headings, rows) if rows else ""


def counters(interface: Interface) -> list[Cell]:
    """What came in and went out."""
    counted = interface.statistics
    return [
        counted.frames_in,
        byte_count(counted.bytes_in),
        counted.frames_out,
        byte_count(counted.bytes_out),
        counted.drops_in + counted.drops_out,
    ]


def interfaces_table(machine: Machine) -> str:
    """One line for each interface that is no port; a further one for each further address."""
    rows: list[list[Cell]] = []
    for interface in machine.host.interfaces:
        if interface.port_state is not None or _is_ordinary_loopback(machine, interface):
            continue
        shown = machine.addresses(machine.host.id, interface.index)
        addresses = [
            _address_text(address)
            for address in machine.host.addresses
            if address.index == interface.index and address.address in shown
        ]
        rows.append(
            [
                interface.name,
                interface.kind,
                interface_state(interface),
                interface.master_name,
                interface.mac,
                Quantity(interface.mtu),
                machine.far_end(interface),
                ", ".join(kind_notes(interface)) or None,
                addresses[0] if addresses else None,
            ]
        )
        rows += [["", "", "", "", "", "", "", "", address] for address in addresses[1:]]
    headings = ["interface", "kind", "state", "port of", "MAC", "MTU", "far end", "notes"]
    headings.append("addresses")
    return _without_empty([*headings], rows, keep=("addresses",))


def _is_ordinary_loopback(machine: Machine, interface: Interface) -> bool:
    addresses = machine.addresses(machine.host.id, interface.index)
    return (
        interface.kind == "loopback" and interface.up and _LOOPBACK_ADDRESSES.issuperset(addresses)
    )


def _address_text(address: Address) -> str:
    unusual = [flag for flag in address.flags if flag not in ("permanent", "noprefixroute")]
    notes = [*([f"peer {address.peer}"] if address.peer else []), *unusual]
    return f"{address.address} ({', '.join(notes)})" if notes else address.address


def routes_table(machine: Machine) -> str:
    """The routes of the host, without those that every interface with IPv6 has."""
    rows: list[list[Cell]] = [
        [
            "default" if route.destination in _ANY else route.destination,
            _next_hop(route),
            route.interface,
            Quantity(route.metric) if route.metric else None,
            route.preferred_source,
            None if route.table == _MAIN_TABLE else Quantity(route.table),
            route.protocol or None,
            ", ".join([*([] if route.kind == "unicast" else [route.kind]), *route.flags]) or None,
        ]
        for route in machine.host.routes
        if route.destination not in _LINK_LOCAL
    ]
    headings = ["route to", "via", "interface", "metric", "source", "table", "made by", "notes"]
    return _without_empty(headings, rows)


def _next_hop(route: Route) -> str | None:
    if route.next_hops:
        return ", ".join(
            f"{hop.gateway or 'direct'} {hop.interface} (weight {hop.weight})"
            for hop in route.next_hops
        )
    return route.gateway


def firewall_table(machine: Machine) -> str:
    """Tables of nftables with their base chains, and those of iptables's own."""
    rows: list[list[Cell]] = []
    for nft in machine.host.nft_tables:
        chains = [
            f"{chain.name}: {chain.hook}, priority {chain.priority}, policy {chain.policy}"
            for chain in nft.chains
        ]
        rows.append(["nftables", nft.family, nft.name, chains[0] if chains else None])
        rows += [["", "", "", chain] for chain in chains[1:]]
    rows += [["iptables", *name.split(" ", 1), None] for name in machine.host.legacy_tables]
    return table(["firewall", "family", "table", "base chains"], rows) if rows else ""


def namespaces_table(machine: Machine) -> str:
    """One line for each namespace that is neither the host's nor a lab's; those that nobody named
    and nobody is in stand in one line for each program that holds them.
    """
    rows: list[list[Cell]] = []
    held: dict[str, list[NamespaceSnapshot]] = {}
    for namespace in machine.snapshot.namespaces[1:]:
        if namespace.lab is not None:
            continue
        if namespace.names or namespace.processes:
            rows.append(_namespaces_row(machine, [namespace]))
        else:
            held.setdefault(machine.label(namespace), []).append(namespace)
    rows += [_namespaces_row(machine, group) for group in held.values()]
    headings = ["namespace", "count", "processes", "bridges", "interfaces", "addresses"]
    return _without_empty([*headings, "not read"], rows)


def _namespaces_row(machine: Machine, group: Sequence[NamespaceSnapshot]) -> list[Cell]:
    addresses = [address for each in group for address in _addresses(machine, each)]
    if len(addresses) > MOST_ADDRESSES:
        more = f"{len(addresses) - MOST_ADDRESSES} more"
        addresses = [*addresses[:MOST_ADDRESSES], more]
    return [
        machine.label(group[0]),
        len(group),
        sum(each.processes for each in group),
        sum(len(bridges_of(each)) for each in group),
        sum(one.kind != "loopback" for each in group for one in each.interfaces),
        ", ".join(addresses) or None,
        "; ".join(sorted({unread for each in group for unread in each.unread})) or None,
    ]


def _addresses(machine: Machine, namespace: NamespaceSnapshot) -> list[str]:
    return [
        address
        for each in namespace.interfaces
        if each.kind != "loopback"
        for address in machine.addresses(namespace.id, each.index)
        if not address.startswith("fe80:")
    ]


def labs_table(machine: Machine) -> str:
    """The labs, and what shows more of each; or what makes one."""
    if not machine.snapshot.labs:
        return "There is no lab; linkspan up FILE makes one."
    namespaces = sorted(filter(None, (each.lab for each in machine.snapshot.namespaces)))
    counts = {lab: len(list(group)) for lab, group in groupby(namespaces)}
    rows: list[list[Cell]] = [
        [
            lab.name,
            lab.state,
            counts.get(lab.name, 0),
            f"linkspan show {lab.name}" if lab.state == "running" else f"linkspan down {lab.name}",
        ]
        for lab in machine.snapshot.labs
    ]
    notes = [
        f"{lab.name}: {pending_as_text(lab.pending)}"
        for lab in machine.snapshot.labs
        if lab.pending is not None
    ]
    return "\n".join([table(["lab", "state", "namespaces", "next"], rows), *notes])


def _without_empty(
    headings: Sequence[str], rows: Sequence[Sequence[Cell]], keep: Sequence[str] = ()
) -> str:
    """A table without the columns in which nothing stands."""
    if not rows:
        return ""
    kept = [
        place
        for place, heading in enumerate(headings)
        if place == 0 or heading in keep or any(row[place] not in (None, "") for row in rows)
    ]
    return table(
        [headings[place] for place in kept], [[row[place] for place in kept] for row in rows]
    )


def title(machine: Machine) -> str:
    """What there is, in a line."""
    host, snapshot = machine.host, machine.snapshot
    bridges = len(bridges_of(host))
    interfaces = sum(each.kind != "loopback" for each in host.interfaces)
    parts = [
        plural(bridges, "bridge") if bridges else "no bridge",
        plural(interfaces, "interface"),
        plural(len(snapshot.namespaces) - 1, "further network namespace"),
    ]
    return f"This machine: {', '.join(parts)}"
