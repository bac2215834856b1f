"""A bridge's state into a memory and back: what the next switch process is not to forget.

What changes often has a kind of line of its own (an address learned, moved or gone; counters);
what changes when somebody asks for it is written anew as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Set
from typing import Any, Final

import msgspec

from linkspan.bridge.commit import Event, Evicted, Expired, Learned, Moved
from linkspan.bridge.fdb import Entry, EntryKind
from linkspan.bridge.port import PortOptions
from linkspan.bridge.state import Bridge
from linkspan.engine.user.kernel_cache import KernelCache
from linkspan.engine.user.kernel_flow import Counted
from linkspan.engine.user.memory import Memory
from linkspan.engine.user.ports import Port
from linkspan.types import HOST_PORT, Mac, PortNumber, Vlan

_WHOLE_SECONDS: Final = 5.0
_WHOLES_A_LIFE: Final = 4
"""How often everything is written at least while an address ages: ages are noted then only."""

_ENTRIES_A_SECOND: Final = 1000
_KEPT: Final = (EntryKind.LEARNED, EntryKind.STATIC, EntryKind.STICKY)


class Keeper:
    """Keeps a memory up to date with a bridge and its ports."""

    def __init__(
        self,
        memory: Memory,
        bridge: Bridge,
        ports: Mapping[PortNumber, Port],
        kernel: KernelCache | None = None,
    ) -> None:
        self._memory = memory
        self._bridge = bridge
        self._ports = ports
        self._kernel = kernel
        self._seen: dict[PortNumber, list[Any]] = {}
        self._due = 0.0
        self.note_whole()

    def note_events(self, events: Iterable[Event]) -> None:
        """Remember what was learned and what is gone."""
        now = time.monotonic()
        for event in events:
            match event:
                case Learned(mac, vlan, port) | Moved(mac, vlan, _, port):
                    self._memory.note(entries=[[vlan, mac.hex(), port, None, now]])
                case Evicted(mac, vlan) | Expired(mac, vlan):
                    self._memory.note(gone=[vlan, mac.hex()])

    def tick(self) -> None:
        """Remember counters that have changed; now and then everything, with the entries' ages.

        The larger the table, the rarer: writing it takes some microseconds an entry.
        """
        if time.monotonic() >= self._due:
            self.note_whole()
            return
        changed = {
            number: counters
            for number, counters in _counters(self._ports.values()).items()
            if self._seen.get(number) != counters
        }
        counted = self._counted(whole=False)
        if changed or counted.get("flows"):
            self._seen |= changed
            self._memory.note(counters=changed, **counted)

    def note_whole(self) -> None:
        """Remember everything, and forget what was noted before."""
        bridge = self._bridge
        self._memory.rewrite(
            bridge={
                "up": bridge.up,
                "ageing_time": bridge.fdb.ageing_time,
                "group_fwd_mask": bridge.group_fwd_mask,
                "fdb_max_learned": bridge.fdb.max_learned,
                "mac": bridge.mac.hex(),
            },
            names={number: port.name for number, port in bridge.ports.items()},
            options={
                number: msgspec.structs.asdict(port.options)
                for number, port in bridge.ports.items()
            },
            entries=[
                [vlan, mac.hex(), entry.port, entry.kind.value, entry.updated]
                for (vlan, mac), entry in bridge.fdb
                if entry.kind in _KEPT
            ],
            counters=_counters(self._ports.values()),
            **self._counted(whole=True),
        )
        self._due = (
            time.monotonic()
            + min(_WHOLE_SECONDS, bridge.fdb.ageing_time / _WHOLES_A_LIFE)
            + len(bridge.fdb) / _ENTRIES_A_SECOND
        )

    def _counted(self, whole: bool) -> dict[str, Any]:
        """Belongs into the same line as the counters, so that both are of one moment."""
        if self._kernel is None:
            return {}
        counted = self._kernel.note(whole)
        return {"flows": counted.flows, "lost": counted.lost}


def restore(memory: Memory, bridge: Bridge, ports: Mapping[PortNumber, Port]) -> Counted:
    """Bring a newly made bridge to what is remembered; returns how much of the in-kernel cache's
    counters is in those of the ports."""
    flows: dict[int, tuple[int, int] | None] = {}
    lost: dict[PortNumber, int] = {}
    known_ports: set[int] = set()
    for line in memory:
        if "names" in line:
            known_ports = _same_ports(bridge, line["names"])
        _restore_bridge(bridge, line, known_ports)
        flows |= {int(slot): counted for slot, counted in line.get("flows", {}).items()}
        lost |= {
            PortNumber(int(port)): frames
            for port, frames in line.get("lost", {}).items()
            if int(port) in known_ports
        }
        for vlan, mac, port, kind, updated in line.get("entries", ()):
            address = (Vlan(vlan), Mac(bytes.fromhex(mac)))
            known = bridge.fdb.find(address)
            kept = (
                known.kind if kind is None and known is not None else EntryKind(kind or "learned")
            )
            if kept is not EntryKind.LOCAL and port in known_ports:
                bridge.fdb.put(address, Entry(PortNumber(port), kept, updated))
        if "gone" in line:
            vlan, mac = line["gone"]
            bridge.fdb.delete((Vlan(vlan), Mac(bytes.fromhex(mac))))
        for number, (frames_in, bytes_in, frames_out, bytes_out, drops) in line.get(
            "counters", {}
        ).items():
            if int(number) in known_ports and (port := ports.get(PortNumber(int(number)))):
                port.frames_in, port.bytes_in = frames_in, bytes_in
                port.frames_out, port.bytes_out = frames_out, bytes_out
                port.drops = dict(drops)
    return Counted(flows, lost)


def _same_ports(bridge: Bridge, names: Mapping[str, str]) -> set[int]:
    """The numbers that still belong to the ports that are remembered: the process before may have
    been killed just when another port was to take over a number."""
    present = {int(number): port.name for number, port in bridge.ports.items()}
    return {int(number) for number, name in names.items() if present.get(int(number)) == name}


def _restore_bridge(bridge: Bridge, line: Mapping[str, Any], known_ports: Set[int]) -> None:
    for number, options in line.get("options", {}).items():
        if int(number) and int(number) in known_ports:
            bridge.set_options(PortNumber(int(number)), msgspec.convert(options, PortOptions))
    if "bridge" in line:
        bridge.set_group_fwd_mask(line["bridge"]["group_fwd_mask"])
        bridge.set_ageing_time(line["bridge"]["ageing_time"])
        bridge.fdb.max_learned = line["bridge"]["fdb_max_learned"]
        change_mac(bridge, Mac(bytes.fromhex(line["bridge"]["mac"])))
        if line["bridge"]["up"] != bridge.up:
            bridge.set_up(line["bridge"]["up"])


def change_mac(bridge: Bridge, mac: Mac) -> None:
    """Give the bridge and its own interface another address. Raises Mistake."""
    bridge.set_mac(mac)
    host = bridge.ports.get(HOST_PORT)
    if host is not None and host.mac != mac:
        bridge.remove_port(HOST_PORT)
        bridge.add_port(msgspec.structs.replace(host, mac=mac))


def _counters(ports: Iterable[Port]) -> dict[PortNumber, list[Any]]:
    return {
        port.number: [
            *(port.frames_in, port.bytes_in, port.frames_out, port.bytes_out),
            dict(port.drops),
        ]
        for port in ports
    }
