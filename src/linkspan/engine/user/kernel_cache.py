"""The verdict cache's second level: flows that the kernel forwards by itself.

`kernel_cache.bpf.c` says how the program works; this file is the switch process's side of it. A
verdict that goes to one kernel device, or ends the frame, is written into the map (`install`) and
then holds for frames that the process never sees. What it has to know of them all the same, it
collects: counters, and which addresses were seen.

    slow path ──▶ install ──▶ [key → slot], slot: egress, limit, generation, counters
    state changes ──▶ publish(generation): every older entry is void from that write on
    once a second ──▶ collect: counters and last-used stamps out, void entries removed

Slots and counters are memory shared with the program, so that collecting asks the kernel nothing.
The maps outlive the process: the next one reads them (`adopt`) and goes on. A slot that was freed
rests for a round of collection before it is used again, since a program that looked it up just
before may still be reading it.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from linkspan.bridge.cache import CacheEntry
from linkspan.bridge.decide import TAG_TYPES
from linkspan.bridge.reasons import Reason
from linkspan.bridge.verdict import Learn
from linkspan.engine.libbpf import BpfMap, map_memory, wait_for_running_programs
from linkspan.types import NO_VLAN, Mac, PortNumber

FLOWS: Final = 65536
FLOWS_PER_PORT: Final = 16384
"""As in the first level: a port that fills it up starts anew, others are not touched."""

PORTS: Final = 1024
CREDIT: Final = 64
"""Frames of one port that may wait for the switch process; the upcall's queue has room for all."""

ALLOWANCE: Final = 64
"""Frames of a flow that may follow the slow way after its verdict was installed."""

MAPS: Final = ("flows", "slots", "ports", "state")
"""Maps of the program that a switch process works with, in the order of their descriptors."""

_KEY: Final = struct.Struct("=I12sHHHH")
_SLOT: Final = struct.Struct("=I")
_FLOW_BYTES: Final = 64
_GENERATION: Final = struct.Struct("=I")
_RESULT: Final = struct.Struct("=IIHHII")
"""egress, limit, to_peer, ingress, mark, allowance: what follows `generation`."""
_USED: Final = struct.Struct("=QQQ")
"""last_used, frames, bytes."""
_USED_AT: Final = _GENERATION.size + _RESULT.size
_OWN: Final = struct.Struct("=HHI")
_OWN_AT: Final = _USED_AT + _USED.size
_PORT: Final = struct.Struct("=IIIIQQ")
_DONE_AT: Final = 4
_STATE: Final = struct.Struct("=IIII")
_REASONS: Final = tuple(Reason)


@dataclass(slots=True)
class Flow:
    """One entry of the map, and how much of its counters has been collected."""

    key: bytes
    slot: int
    generation: int
    ingress: PortNumber
    egress: tuple[PortNumber, ...]
    reason: Reason
    learn: Learn | None
    frames: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """What a flow did since the last collection."""

    flow: Flow
    frames: int
    size: int
    last_used: float
    """Seconds of the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Device:
    """The kernel device that is a port; frames to a veth go straight to its far end."""

    ifindex: int
    is_veth: bool


class KernelCache:
    """The maps of one bridge."""

    def __init__(self, descriptors: Iterable[int], devices: dict[PortNumber, Device]) -> None:
        flows, slots, ports, state = descriptors
        self.devices = devices
        self._map = BpfMap(flows, _KEY.size, _SLOT.size)
        self._slots: mmap.mmap = map_memory(slots, FLOWS * _FLOW_BYTES)
        self._ports: mmap.mmap = map_memory(ports, PORTS * _PORT.size)
        self._state: mmap.mmap = map_memory(state, _STATE.size)
        self._flows: dict[bytes, Flow] = {}
        self._held: dict[PortNumber, int] = {}
        self._free = deque(range(FLOWS - 1, -1, -1))
        self._resting: list[int] = []
        (self.generation,) = _GENERATION.unpack_from(self._state)
        self._adopt()

    def __len__(self) -> int:
        return len(self._flows)

    # entries

    def key(self, ingress: PortNumber, frame: bytes) -> bytes:
        """The key of a frame, which is untouched by the upcall's tag, in the program's layout."""
        ifindex = self.devices[ingress].ifindex
        if frame[12:14] in TAG_TYPES:
            (protocol,) = struct.unpack_from("=H", frame, 12)
            (kind,) = struct.unpack_from("=H", frame, 16)
            return _KEY.pack(
                ifindex, frame[:12], protocol, int.from_bytes(frame[14:16], "big"), kind, 0
            )
        (kind,) = struct.unpack_from("=H", frame, 12)
        return _KEY.pack(ifindex, frame[:12], 0, 0, kind, 0)

    def offer(self, ingress: PortNumber, frame: bytes, entry: CacheEntry) -> None:
        """Install the verdict of the first level, if it is one that the program can carry out."""
        if len(entry.egress) > 1 or any(port not in self.devices for port in entry.egress):
            return
        key = self.key(ingress, frame)
        known = self._flows.get(key)
        if known is not None and known.generation == self.generation:
            return
        flow = self._slot_for(key, ingress, entry) if known is None else known
        if flow is None:
            return
        self._write(flow, entry)

    def _slot_for(self, key: bytes, ingress: PortNumber, entry: CacheEntry) -> Flow | None:
        if self._held.get(ingress, 0) >= FLOWS_PER_PORT:
            self._void(ingress)
            return None
        if not self._free:
            return None
        slot = self._free.pop()
        self._slots[slot * _FLOW_BYTES : (slot + 1) * _FLOW_BYTES] = bytes(_FLOW_BYTES)
        flow = Flow(key, slot, 0, ingress, entry.egress, entry.reason, entry.learn)
        self._flows[key] = flow
        self._held[ingress] = self._held.get(ingress, 0) + 1
        return flow

    def _void(self, ingress: PortNumber) -> None:
        """End all entries of a port; the next collection counts and removes them."""
        for flow in self._flows.values():
            if flow.ingress == ingress:
                _GENERATION.pack_into(self._slots, flow.slot * _FLOW_BYTES, 0)
                flow.generation = 0

    def _write(self, flow: Flow, entry: CacheEntry) -> None:
        """Write the result, and last what makes it valid."""
        at = flow.slot * _FLOW_BYTES
        egress = self.devices[entry.egress[0]] if entry.egress else Device(0, False)
        upcalled, *_ = _PORT.unpack_from(self._ports, flow.ingress * _PORT.size)
        is_new = flow.generation == 0
        flow.generation = self.generation
        flow.egress, flow.reason, flow.learn = entry.egress, entry.reason, entry.learn
        _RESULT.pack_into(
            self._slots,
            at + _GENERATION.size,
            egress.ifindex,
            entry.limit,
            egress.is_veth,
            flow.ingress,
            upcalled,
            ALLOWANCE,
        )
        port = entry.egress[0] if entry.egress else 0
        _OWN.pack_into(
            self._slots, at + _OWN_AT, port, _REASONS.index(entry.reason), entry.learn is not None
        )
        _GENERATION.pack_into(self._slots, at, self.generation)
        if is_new:
            try:
                self._map.put(flow.key, _SLOT.pack(flow.slot))
            except OSError:
                self._remove(flow)

    def _remove(self, flow: Flow) -> None:
        self._map.remove(flow.key)
        del self._flows[flow.key]
        self._held[flow.ingress] -= 1
        self._resting.append(flow.slot)

    def _adopt(self) -> None:
        """Take over what a process before this one has left in the maps."""
        numbers = {device.ifindex: number for number, device in self.devices.items()}
        taken = set()
        for key, value in self._map.items():
            (slot,) = _SLOT.unpack(value)
            ifindex, addresses, *_ = _KEY.unpack(key)
            ingress = numbers.get(ifindex)
            if ingress is None:
                self._map.remove(key)
                continue
            at = slot * _FLOW_BYTES
            (generation,) = _GENERATION.unpack_from(self._slots, at)
            result = _RESULT.unpack_from(self._slots, at + _GENERATION.size)
            _, frames, size = _USED.unpack_from(self._slots, at + _USED_AT)
            port, reason, learns = _OWN.unpack_from(self._slots, at + _OWN_AT)
            flow = Flow(
                key,
                slot,
                generation,
                ingress,
                (PortNumber(port),) if result[0] else (),
                _REASONS[reason],
                Learn(NO_VLAN, Mac(addresses[6:])) if learns else None,
                frames,
                size,
            )
            self._flows[key] = flow
            self._held[ingress] = self._held.get(ingress, 0) + 1
            taken.add(slot)
        self._free = deque(slot for slot in range(FLOWS - 1, -1, -1) if slot not in taken)

    # state

    def publish(self, generation: int, wait: bool) -> None:
        """Void every entry of an older generation; with `wait`, return when no program still runs
        that may have read the older one."""
        self.generation = generation
        _GENERATION.pack_into(self._state, 0, generation)
        if wait:
            wait_for_running_programs()

    def done(self, port: PortNumber, frames: int) -> None:
        """Say that so many more upcalls of a port have been dealt with."""
        at = port * _PORT.size + _DONE_AT
        (done,) = _GENERATION.unpack_from(self._ports, at)
        _GENERATION.pack_into(self._ports, at, (done + frames) & 0xFFFFFFFF)

    def nothing_waits(self) -> None:
        """The upcall's queue was seen empty: what was counted and never came was lost."""
        for number in self.devices:
            at = number * _PORT.size
            self._ports[at + _DONE_AT : at + _DONE_AT + 4] = self._ports[at : at + 4]

    def lost(self, port: PortNumber) -> tuple[int, int]:
        """Frames of a port that had no credit left, and those lost to keep the order, so far."""
        *_, refused, held = _PORT.unpack_from(self._ports, port * _PORT.size)
        return refused, held

    def collect(self) -> list[Used]:
        """What the flows did since the last time; entries that are void are removed after that."""
        self._free.extendleft(self._resting)
        self._resting = []
        used = []
        for flow in list(self._flows.values()):
            at = flow.slot * _FLOW_BYTES + _USED_AT
            last_used, frames, size = _USED.unpack_from(self._slots, at)
            if frames != flow.frames:
                used.append(Used(flow, frames - flow.frames, size - flow.size, last_used / 1e9))
                flow.frames, flow.size = frames, size
            elif flow.generation != self.generation:
                self._remove(flow)
        return used

    def close(self) -> None:
        """Unmap the memory; the maps stay with whoever else holds them."""
        for memory in (self._slots, self._ports, self._state):
            memory.close()
        os.close(self._map.descriptor)
