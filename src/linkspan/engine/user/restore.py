"""A bridge's state into a memory and back: what the next switch process is not to forget.

What changes often has a kind of line of its own (an address learned, moved or gone; counters);
what changes when somebody asks for it is written anew as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from linkspan.bridge.commit import Event, Evicted, Expired, Learned, Moved
from linkspan.bridge.fdb import Entry, EntryKind
from linkspan.bridge.port import PortOptions
from linkspan.bridge.state import Bridge
from linkspan.engine.user.memory import Memory
from linkspan.engine.user.ports import Port
from linkspan.types import Mac, PortNumber, Vlan

_WHOLE_SECONDS: Final = 5.0
_ENTRIES_A_SECOND: Final = 1000
_KEPT: Final = (EntryKind.LEARNED, EntryKind.STATIC, EntryKind.STICKY)


class Keeper:
    """Keeps a memory up to date with a bridge and its ports."""

    def __init__(self, memory: Memory, bridge: Bridge, ports: Mapping[PortNumber, Port]) -> None:
        self._memory = memory
        self._bridge = bridge
        self._ports = ports
        self._seen: dict[PortNumber, tuple[int, int]] = {}
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
        changed = [
            port
            for port in self._ports.values()
            if self._seen.get(port.number) != (port.frames_in, port.frames_out)
        ]
        if changed:
            self._seen |= {port.number: (port.frames_in, port.frames_out) for port in changed}
            self._memory.note(counters=_counters(changed))

    def note_whole(self) -> None:
        """Remember everything, and forget what was noted before."""
        bridge = self._bridge
        self._memory.rewrite(
            bridge={
                "up": bridge.up,
                "ageing_time": bridge.fdb.ageing_time,
                "group_fwd_mask": bridge.group_fwd_mask,
            },
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
        )
        self._due = time.monotonic() + _WHOLE_SECONDS + len(bridge.fdb) / _ENTRIES_A_SECOND


def restore(memory: Memory, bridge: Bridge, ports: Mapping[PortNumber, Port]) -> bool:
    """Bring a newly made bridge to what is remembered; returns whether there was anything."""
    found = False
    for line in memory:
        found = True
        _restore_bridge(bridge, line)
        for vlan, mac, port, kind, updated in line.get("entries", ()):
            address = (Vlan(vlan), Mac(bytes.fromhex(mac)))
            known = bridge.fdb.find(address)
            kept = (
                known.kind if kind is None and known is not None else EntryKind(kind or "learned")
            )
            if kept is not EntryKind.LOCAL and port in bridge.ports:
                bridge.fdb.put(address, Entry(PortNumber(port), kept, updated))
        if "gone" in line:
            vlan, mac = line["gone"]
            bridge.fdb.delete((Vlan(vlan), Mac(bytes.fromhex(mac))))
        for number, (frames_in, bytes_in, frames_out, bytes_out, drops) in line.get(
            "counters", {}
        ).items():
            if (port := ports.get(PortNumber(int(number)))) is not None:
                port.frames_in, port.bytes_in = frames_in, bytes_in
                port.frames_out, port.bytes_out = frames_out, bytes_out
                port.drops = dict(drops)
    return found


def _restore_bridge(bridge: Bridge, line: Mapping[str, Any]) -> None:
    for number, options in line.get("options", {}).items():
        if int(number) and int(number) in bridge.ports:
            bridge.set_options(PortNumber(int(number)), msgspec.convert(options, PortOptions))
    if "bridge" in line:
        bridge.set_group_fwd_mask(line["bridge"]["group_fwd_mask"])
        bridge.set_ageing_time(line["bridge"]["ageing_time"])
        if line["bridge"]["up"] != bridge.up:
            bridge.set_up(line["bridge"]["up"])


def _counters(ports: Iterable[Port]) -> dict[int, list[Any]]:
    return {
        port.number: [port.frames_in, port.bytes_in, port.frames_out, port.bytes_out, port.drops]
        for port in ports
    }
