"""A machine's bridges as a file: `linkspan import host`.

What the file has words for becomes values: the host's bridges with their options, addresses and
MACs, and the namespaces that their veths lead into as nodes. What it has none for becomes a
comment that says what there is and why it is not a value. What comes out always loads
(`interop.draft`).

Bridges of labs are left out, since they stand in their own files, and link-local addresses, since
the kernel makes them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from linkspan.interop.draft import HOST as ORIGIN
from linkspan.interop.draft import Draft, Imported, until_it_loads
from linkspan.interop.written import Tree
from linkspan.model.host_snapshot import Address, HostSnapshot, NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface, VlanEntry
from linkspan.model.names import port_name
from linkspan.model.position import Path
from linkspan.model.topology import HOST
from linkspan.view.tables import holder_text

NAME: Final = "host"
"""The lab's name in the file."""

_CARDS: Final = ("physical", "bond", "team", "vlan")
"""Kinds of interface that lead out of the machine; as ports they are uplinks."""

_DEFAULT_MTU: Final = 1500
_LONGEST_NAME: Final = 63
_DEFAULT_VLANS: Final = ((), (VlanEntry(first=1, last=1, pvid=True, untagged=True),))
_ANYWHERE: Final = ("0.0.0.0/0", "::/0")
_MAIN_TABLE: Final = 254


def import_host(snapshot: HostSnapshot, file: str) -> Imported:
    """The bridges of a machine's host as a file; `file` stands in messages.

    Raises Mistake when the host has no bridge of its own.
    """
    draft = Draft({"name": NAME, "scope": "host", "bridges": {}, "nodes": {}}, ORIGIN)
    namespaces = {namespace.id: namespace for namespace in snapshot.namespaces}
    bridges = [each for each in snapshot.host.interfaces if each.kind == "bridge"]
    for bridge in bridges:
        if bridge.mark is not None:
            draft.remark((), f"bridge {bridge.name} belongs to the lab {bridge.mark.lab}")
            continue
        draft.tree["bridges"][bridge.name] = _bridge(draft, snapshot.host, bridge)
        ports = {
            port.name: _port(draft, snapshot.host, bridge, port, namespaces)
            for port in snapshot.host.interfaces
            if port.master == bridge.index
        }
        _entries(draft, snapshot.host, bridge, ports)
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
    return until_it_loads(draft, file)


def _bridge(draft: Draft, host: NamespaceSnapshot, bridge: Interface) -> Tree:
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
    if bridge.vlans not in _DEFAULT_VLANS:
        draft.remark(path, f"VLANs of the bridge itself have no words here: {_vlans(bridge)}")
    return tree


def _addresses(
    draft: Draft, path: Path, namespace: NamespaceSnapshot, interface: Interface
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
    draft: Draft,
    host: NamespaceSnapshot,
    bridge: Interface,
    port: Interface,
    namespaces: dict[int, NamespaceSnapshot],
) -> str | None:
    """Write a port down; returns its name in the file, if it has one."""
    path: Path = ("bridges", bridge.name)
    far = port.peer
    if port.kind in _CARDS:
        uplinks = draft.tree["bridges"][bridge.name].setdefault("uplink", [])
        uplinks.append(port.name)
        return port.name
    number = None if far is None else host.id if far.netnsid is None else far.namespace
    end = None
    if port.kind == "veth" and far is not None and number in namespaces and number != host.id:
        end = next((one for one in namespaces[number].interfaces if one.index == far.index), None)
    if end is None or number is None:
        draft.remark(path, f"port {port.name} ({port.kind}): {_why_not(host, port)}")
        return None
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
    return port_name(node, end.name)


def _entries(
    draft: Draft,
    host: NamespaceSnapshot,
    bridge: Interface,
    ports: Mapping[str, str | None],
) -> None:
    """Static entries at ports that have a name in the file. One that stands in the FDB for all
    VLANs and once more for each is one.
    """
    entries: Tree = {}
    others: list[str] = []
    for entry in sorted(host.fdb, key=lambda entry: entry.vlan or 0):
        if entry.bridge != bridge.name or "static" not in entry.flags or entry.mac in entries:
            continue
        port = ports.get(entry.port)
        if port is None or entry.vlan:
            vlan = f" in VLAN {entry.vlan}" if entry.vlan else ""
            others.append(f"{entry.mac}{vlan} at {entry.port}")
        elif "sticky" in entry.flags:
            entries[entry.mac] = {"port": port, "sticky": True}
        else:
            entries[entry.mac] = port
    if entries:
        draft.tree["bridges"][bridge.name]["fdb"] = entries
    if others:
        path: Path = ("bridges", bridge.name)
        draft.remark(path, f"static entries without words here: {', '.join(others)}")


def _why_not(host: NamespaceSnapshot, port: Interface) -> str:
    if port.kind in ("tap", "tun"):
        holders = ", ".join(map(holder_text, port.holders))
        return f"held open by {holders or 'nobody'}; a tap of others stays a port without the file"
    if port.kind == "veth":
        far = port.peer
        if far is not None and (far.netnsid is None or far.namespace == host.id):
            return f"its other end is {far.interface}, of the host itself"
        return "the namespace of its other end was not found"
    if port.kind == "vxlan":
        details = port.details
        return f"tunnel with VNI {details.get('id')} to {details.get('remote')}; no words for it"
    return "the file has no ports of this kind"


def _node_name(draft: Draft, namespace: NamespaceSnapshot) -> str:
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


def _gateways(draft: Draft, namespace: NamespaceSnapshot, name: str) -> None:
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
