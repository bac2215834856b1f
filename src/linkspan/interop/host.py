"""A machine's bridges as a file: `linkspan import host`.

What the file has words for becomes values: the host's bridges with their options, addresses and
MACs, and the namespaces that their veths lead into as nodes. What it has none for becomes a
comment that says what there is and why it is not a value. Whether the file takes a value is for
the loader to say: what it refuses is taken out again, with its reason, until it refuses nothing.
So the file that comes out always loads.

Bridges of labs are left out, since they stand in their own files, and link-local addresses, since
the kernel makes them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from linkspan.errors import Bug, Fault, Mistake
from linkspan.interop.written import Tree, drop, lines
from linkspan.model.host_snapshot import (
    Address,
    HostSnapshot,
    Interface,
    NamespaceSnapshot,
    VlanEntry,
)
from linkspan.model.load import loads
from linkspan.model.position import Path
from linkspan.model.topology import HOST, Topology

NAME: Final = "host"
"""The lab's name in the file."""

HEADING: Final = "The bridges of a machine and the namespaces on them, as they were found."

_CARDS: Final = ("physical", "bond", "team", "vlan")
"""Kinds of interface that lead out of the machine; as ports they are uplinks."""

_DEFAULT_MTU: Final = 1500
_LONGEST_NAME: Final = 63
_DEFAULT_VLANS: Final = ((), (VlanEntry(first=1, last=1, pvid=True, untagged=True),))
_ANYWHERE: Final = ("0.0.0.0/0", "::/0")
_MAIN_TABLE: Final = 254


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it."""

    topology: Topology
    text: str
    remarks: tuple[str, ...]
    """What the file could not say, as its comments say it."""


@dataclass(slots=True)
class _Draft:
    """The file while it is being made."""

    tree: Tree
    remarks: dict[Path, list[str]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    """Names of nodes by namespace."""

    def remark(self, path: Path, text: str) -> None:
        self.remarks.setdefault(path, []).append(text)


def import_host(snapshot: HostSnapshot, file: str) -> Imported:
    """The bridges of a machine's host as a file; `file` stands in messages.

    Raises Mistake when the host has no bridge of its own.
    """
    draft = _Draft({"name": NAME, "scope": "host", "bridges": {}, "nodes": {}})
    draft.remark((), HEADING)
    namespaces = {namespace.id: namespace for namespace in snapshot.namespaces}
    bridges = [each for each in snapshot.host.interfaces if each.kind == "bridge"]
    for bridge in bridges:
        if bridge.mark is not None:
            draft.remark((), f"bridge {bridge.name} belongs to the lab {bridge.mark.lab}")
            continue
        draft.tree["bridges"][bridge.name] = _bridge(draft, snapshot.host, bridge)
        for port in snapshot.host.interfaces:
            if port.master == bridge.index:
                _port(draft, snapshot.host, bridge, port, namespaces)
    for number, name in draft.names.items():
        _gateways(draft, namespaces[number], name)
    if not draft.tree["nodes"]:
        del draft.tree["nodes"]
    others = [
        each.name
        for each in snapshot.host.interfaces
        if each.kind not in ("bridge", "loopback") and each.port_state is None
    ]
    if others:
        draft.remark((), f"Interfaces on none of the bridges: {', '.join(others)}")
    return _until_it_loads(draft, file)


def _until_it_loads(draft: _Draft, file: str) -> Imported:
    """Take out what the loader refuses. Raises Mistake when no bridge remains."""
    while draft.tree["bridges"]:
        written = list(lines(draft.tree, draft.remarks))
        text = "".join(f"{line}\n" for _, line in written)
        try:
            topology = loads(text, file)
        except Mistake as mistake:
            refused = {
                written[fault.place.line - 1][0]: fault
                for fault in mistake.faults
                if fault.place is not None and fault.place.line <= len(written)
            }
            if not any(refused):
                raise Bug(f"a file was made that does not load: {mistake}") from None
            # From behind, so that places in lists stay what they are.
            for path in sorted(filter(None, refused), key=_order, reverse=True):
                _take_out(draft, path, refused[path])
        else:
            said = (text for texts in draft.remarks.values() for text in texts)
            return Imported(topology, text, tuple(each for each in said if each != HEADING))
    raise Mistake(
        Fault(
            "the host has no bridge that could be written into a file",
            found="; ".join(draft.remarks[()][1:]),
            next_step="linkspan show tells what there is",
        )
    )


def _order(path: Path) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in path]


def _take_out(draft: _Draft, path: Path, fault: Fault) -> None:
    value: Any = draft.tree
    try:
        for step in path:
            value = value[step]
        drop(draft.tree, path)
    except LookupError:
        return  # it went with something around it
    for gone in [known for known in draft.remarks if known[: len(path)] == path]:
        del draft.remarks[gone]
    items = [] if isinstance(value, dict) else value if isinstance(value, list) else [value]
    said = f" {', '.join(map(str, items))}" if items else ""
    expected = f" (expected: {fault.expected})" if fault.expected else ""
    place = path[:-1] if isinstance(path[-1], str) else path[:-2]
    draft.remark(place, f"without {path[-1]}{said}: {fault.what}{expected}")


def _bridge(draft: _Draft, host: NamespaceSnapshot, bridge: Interface) -> Tree:
    path: Path = ("bridges", bridge.name)
    tree: Tree = {"engine": "kernel"}
    if bridge.mac is not None:
        tree["mac"] = bridge.mac
    if bridge.mtu != _DEFAULT_MTU:
        tree["mtu"] = bridge.mtu
    if not bridge.up:
        tree["up"] = False
    tree |= _addresses(draft, path, host, bridge)
    tree |= _options(bridge.bridge_options)
    fixed = [
        entry.mac
        for entry in host.fdb
        if entry.bridge == bridge.name and {"static", "sticky"} & set(entry.flags)
    ]
    if fixed:
        draft.remark(path, f"static entries of the FDB have no words here: {', '.join(fixed)}")
    if bridge.vlans not in _DEFAULT_VLANS:
        draft.remark(path, f"VLANs of the bridge itself have no words here: {_vlans(bridge)}")
    return tree


def _addresses(
    draft: _Draft, path: Path, namespace: NamespaceSnapshot, interface: Interface
) -> Tree:
    found: list[str] = []
    for address in namespace.addresses:
        if address.index != interface.index or address.scope == "link":
            continue
        if address.peer is not None:
            draft.remark(path, f"address {address.address} with peer {address.peer}: no words")
            continue
        found.append(address.address)
        if (note := _lasting(address)) is not None:
            draft.remark(path, f"address {address.address} {note}")
    return {"address": found} if found else {}


def _lasting(address: Address) -> str | None:
    if address.valid is not None or "dynamic" in address.flags:
        return "was given for a time (DHCP or router advertisement); here it is for good"
    return None


def _options(options: dict[str, Any] | None) -> Tree:
    return {name.replace("_", "-"): value for name, value in (options or {}).items()}


def _vlans(interface: Interface) -> str:
    return ", ".join(
        (str(entry.first) if entry.first == entry.last else f"{entry.first}-{entry.last}")
        + (" PVID" if entry.pvid else "")
        + (" untagged" if entry.untagged else "")
        for entry in interface.vlans
    )


def _port(
    draft: _Draft,
    host: NamespaceSnapshot,
    bridge: Interface,
    port: Interface,
    namespaces: dict[int, NamespaceSnapshot],
) -> None:
    path: Path = ("bridges", bridge.name)
    far = port.peer
    if port.kind in _CARDS:
        uplinks = draft.tree["bridges"][bridge.name].setdefault("uplink", [])
        uplinks.append(port.name)
        return
    number = None if far is None else host.id if far.netnsid is None else far.namespace
    end = None
    if port.kind == "veth" and far is not None and number in namespaces and number != host.id:
        end = next((one for one in namespaces[number].interfaces if one.index == far.index), None)
    if end is None or number is None:
        draft.remark(path, f"port {port.name} ({port.kind}): {_why_not(host, port)}")
        return
    node = _node_name(draft, namespaces[number])
    ports = draft.tree["nodes"].setdefault(node, {"ports": {}})["ports"]
    place: Path = ("nodes", node, "ports", end.name)
    tree: Tree = {"bridge": bridge.name}
    if end.mac is not None:
        tree["mac"] = end.mac
    if end.mtu != bridge.mtu:
        tree["mtu"] = end.mtu
    tree |= _addresses(draft, place, namespaces[number], end)
    tree |= _options(port.port_options)
    ports[end.name] = tree
    if port.vlans not in _DEFAULT_VLANS:
        draft.remark(place, f"VLANs of the port have no words here: {_vlans(port)}")
    if end.master is not None:
        draft.remark(place, f"it is a port of {end.master_name} there, which is not described")


def _why_not(host: NamespaceSnapshot, port: Interface) -> str:
    if port.kind in ("tap", "tun"):
        holders = ", ".join(f"{each.command} (pid {each.pid})" for each in port.holders)
        return f"held open by {holders or 'nobody'}; the file has no machines with taps"
    if port.kind == "veth":
        far = port.peer
        if far is not None and (far.netnsid is None or far.namespace == host.id):
            return f"its other end is {far.interface}, of the host itself"
        return "the namespace of its other end was not found"
    if port.kind == "vxlan":
        details = port.details
        return f"tunnel with VNI {details.get('id')} to {details.get('remote')}; no words for it"
    return "the file has no ports of this kind"


def _node_name(draft: _Draft, namespace: NamespaceSnapshot) -> str:
    """The node's name: the best that the namespace has, made to fit, and taken by no other."""
    if namespace.id not in draft.names:
        plain = [name for name in namespace.names if not name.startswith("/")]
        mounted = [name.rpartition("/")[2] for name in namespace.names]
        node = [namespace.node] if namespace.node else []
        inside = [each.command for each in namespace.process_examples]
        holders = [each.command for each in namespace.held_by]
        best = next(iter([*plain, *node, *inside, *mounted, *holders]), "")
        base = re.sub("[^a-z0-9]+", "-", best.lower()).strip("-")[: _LONGEST_NAME - 6].strip("-")
        name = _not_taken(base or "node", {HOST, *draft.names.values()})
        draft.names[namespace.id] = name
        if name != best:
            draft.remark(("nodes", name), f"namespace {best or namespace.id}")
    return draft.names[namespace.id]


def _not_taken(base: str, taken: Collection[str]) -> str:
    name, attempt = base, 2
    while name in taken:
        name, attempt = f"{base}-{attempt}", attempt + 1
    return name


def _gateways(draft: _Draft, namespace: NamespaceSnapshot, name: str) -> None:
    """The default routes of a node that lead through its ports, one for each family."""
    node = draft.tree["nodes"][name]
    others = 0
    found: dict[str, str] = {}
    for route in sorted(namespace.routes, key=lambda route: route.metric):
        is_default = route.destination in _ANYWHERE and route.table == _MAIN_TABLE
        ours = route.interface in node["ports"] and route.kind == "unicast"
        if is_default and ours and route.gateway and route.destination not in found:
            found[route.destination] = route.gateway
        elif route.protocol != "kernel":
            others += 1
    if found:
        gateways = [found[each] for each in _ANYWHERE if each in found]
        draft.tree["nodes"][name] = {
            "gateway": gateways,
            **node,
        }
    if others:
        draft.remark(("nodes", name), f"further routes have no words here: {others}")
    elsewhere = [
        each.name
        for each in namespace.interfaces
        if each.kind != "loopback" and each.name not in node["ports"]
    ]
    if elsewhere:
        draft.remark(("nodes", name), f"interfaces on none of the bridges: {', '.join(elsewhere)}")
