"""How the things of a machine are called, and what is worth saying of them.

A namespace goes by the best name that somebody gave it: a node of a lab, `ip netns`'s name, the
program that runs in it, the file that it is mounted on (Docker's say nothing to people), the
program that holds it. An interface's far end is a node's interface
where it has been found, the program that has a tap open, the other side of a tunnel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from linkspan.model.host_snapshot import FdbEntry, HostSnapshot, NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface
from linkspan.view.captions import worth_showing
from linkspan.view.tables import holder_text

HOST = "host"


class Machine:
    """A machine's snapshot with what has to be looked up in it again and again."""

    def __init__(self, snapshot: HostSnapshot) -> None:
        self.snapshot = snapshot
        self.host = snapshot.host
        self._namespaces = {namespace.id: namespace for namespace in snapshot.namespaces}
        self._interfaces = {
            (namespace.id, interface.index): interface
            for namespace in snapshot.namespaces
            for interface in namespace.interfaces
        }
        self._addresses: dict[tuple[int, int], list[str]] = {}
        for namespace in snapshot.namespaces:
            for address in namespace.addresses:
                key = (namespace.id, address.index)
                self._addresses.setdefault(key, []).append(address.address)

    def addresses(self, namespace: int, index: int) -> list[str]:
        """The addresses of an interface, without link-local ones where it has better."""
        return worth_showing(self._addresses.get((namespace, index), ()))

    def label(self, namespace: NamespaceSnapshot) -> str:
        """What a namespace is called."""
        if namespace.id == self.host.id:
            return HOST
        if namespace.lab is not None:
            return f"{namespace.lab}/{namespace.node or '(the lab itself)'}"
        plain = [name for name in namespace.names if not name.startswith("/")]
        if plain:
            return plain[0]
        if namespace.process_examples:
            first = namespace.process_examples[0]
            return f"{first.command} (pid {first.pid})"
        if namespace.names:
            return namespace.names[0]
        if namespace.held_by:
            return f"held by {namespace.held_by[0].command} (pid {namespace.held_by[0].pid})"
        return f"namespace {namespace.id}"

    def peer(self, interface: Interface) -> tuple[NamespaceSnapshot, Interface] | None:
        """The far end of an interface of the host, and its namespace, where that was found."""
        far = interface.peer
        if far is None:
            return None
        number = self.host.id if far.netnsid is None else far.namespace
        found = self._interfaces.get((number or 0, far.index))
        return None if number is None or found is None else (self._namespaces[number], found)

    def far_end(self, interface: Interface) -> str | None:
        """What is at the other end of an interface of the host; None where there is no other."""
        found = self.peer(interface)
        if interface.kind == "veth":
            if found is None:
                return "in a namespace that was not found"
            return f"{self.label(found[0])}:{found[1].name}"
        if interface.kind in ("tap", "tun"):
            holders = {each.pid: holder_text(each) for each in interface.holders}
            if not holders:
                return None if interface.carrier else "nobody has it open"
            return ", ".join(sorted(holders.values()))
        if interface.kind in ("vxlan", "geneve", "gre", "gretap"):
            remote = interface.details.get("remote")
            return f"tunnel to {remote}" if remote and remote not in ("0.0.0.0", "::") else None
        return None if found is None else f"on {self._where(found)}"

    def _where(self, found: tuple[NamespaceSnapshot, Interface]) -> str:
        namespace, interface = found
        same = namespace.id == self.host.id
        return interface.name if same else f"{self.label(namespace)}:{interface.name}"


def kind_notes(interface: Interface) -> list[str]:
    """What is particular to the interface, in a few words."""
    details = interface.details
    notes: list[str] = []
    if interface.kind == "vxlan":
        notes.append(f"VNI {details.get('id')}, UDP port {details.get('port')}")
    if interface.kind == "vlan":
        notes.append(f"VLAN {details.get('id')}")
    if interface.kind in ("tap", "tun"):
        notes += [word for word in ("persistent", "multi_queue") if details.get(word)]
    if interface.mark is not None:
        notes.append(f"of lab {interface.mark.lab}")
    elif interface.alias:
        notes.append(f'"{interface.alias}"')
    if interface.xdp:
        notes.append("XDP program")
    return [note.replace("_", "-") for note in notes]


def options_text(options: dict[str, bool | int | float | str | None]) -> list[str]:
    """Options that are not the kernel's defaults, by the names that the file has for them."""
    words: list[str] = []
    for name, value in options.items():
        key = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(key if value else f"no {key}")
        elif value == key:
            words.append(key)
        else:
            words.append(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}")
    return words


def port_state(port: Interface) -> str:
    """The port's STP state; forwarding for the port of something else than a bridge."""
    return port.port_state.state if port.port_state else "forwarding"


def ports_of(namespace: NamespaceSnapshot, bridge: Interface) -> list[Interface]:
    """The ports of a bridge, in the order of their numbers."""
    ports = [each for each in namespace.interfaces if each.master == bridge.index]
    return sorted(ports, key=lambda port: port.port_state.number if port.port_state else 0)


def learned(fdb: Iterable[FdbEntry], bridge: Interface) -> int:
    """Entries of a bridge's FDB that it learned."""
    fixed = {"permanent", "static", "self"}
    return sum(each.bridge == bridge.name and not fixed & set(each.flags) for each in fdb)


def bridges_of(namespace: NamespaceSnapshot) -> Sequence[Interface]:
    """The bridges of a namespace."""
    return [each for each in namespace.interfaces if each.kind == "bridge"]
