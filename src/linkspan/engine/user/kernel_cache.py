"""The verdict cache's second level: flows that the kernel forwards by itself.

`kernel_cache.bpf.c` says how the program works; this file is the switch process's side of it. A
verdict that goes to one kernel device, or ends the frame, is written into the map (`offer`) and
then holds for frames that the process never sees. What it has to know of them all the same, it
collects: counters, and which addresses were seen.

    slow path ──▶ offer ──▶ [key → slot], slot: egress, limit, generation, counters
    state changes ──▶ publish(generation): every older entry is void from that write on
    once a second ──▶ collect: counters and last-used stamps out; then note: void entries removed

Slots and counters are memory shared with the program, so that collecting asks the kernel nothing.
What is written into it is written in one piece, because the program reads it at the same time.

The maps outlive the process: the next one reads them (`_adopt`) and goes on. How much of each
entry's counters is in the ports' counters already, it knows from the process before (`note`), so
that no frame is counted twice or not at all. A slot that was freed rests until the round of notes
after the one that says so, by when nobody counts on its old contents.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from linkspan.bridge.cache import CacheEntry
from linkspan.bridge.fdb import Address
from linkspan.bridge.reasons import Reason
from linkspan.bridge.verdict import Learn
from linkspan.engine.libbpf import BpfMap, map_memory, wait_for_running_programs
from linkspan.engine.user.kernel_credit import Credit
from linkspan.engine.user.kernel_flow import NOTHING_COUNTED, Counted, Device, Flow, Used
from linkspan.engine.user.kernel_maps import (
    ALLOWANCE,
    FLOW_BYTES,
    FLOWS,
    FLOWS_PER_PORT,
    FRESH,
    GENERATION,
    KEY,
    OWN,
    OWN_AT,
    RESULT,
    SLOT,
    STATE,
    USED,
    USED_AT,
    key_of,
)
from linkspan.types import NO_VLAN, Mac, PortNumber

_REASONS: Final = tuple(Reason)


class KernelCache:
    """The maps of one bridge."""

    def __init__(
        self,
        descriptors: Iterable[int],
        devices: dict[PortNumber, Device],
        counted: Counted = NOTHING_COUNTED,
    ) -> None:
        """Take over the maps as they are; `counted` is what the process before had collected."""
        flows, slots, ports, state = descriptors
        self.devices = devices
        self._map = BpfMap(flows, KEY.size, SLOT.size)
        self._slots: mmap.mmap = map_memory(slots, FLOWS * FLOW_BYTES)
        self._state: mmap.mmap = map_memory(state, STATE.size)
        self._flows: dict[bytes, Flow] = {}
        self._held: dict[PortNumber, int] = {}
        self._used: list[Used] = []
        self._resting: list[int] = []
        self._emptied: set[PortNumber] = set()
        self.credit = Credit(ports, devices, counted.lost)
        (self.generation,) = GENERATION.unpack_from(self._state)
        self._adopt(counted.flows)

    def __len__(self) -> int:
        return len(self._flows)

    # entries

    def offer(self, ingress: PortNumber, frame: bytes, entry: CacheEntry) -> None:
        """Install the verdict of the first level, if it is one that the program can carry out."""
        if len(entry.egress) > 1 or any(port not in self.devices for port in entry.egress):
            return
        key = key_of(self.devices[ingress].ifindex, frame)
        known = self._flows.get(key)
        if known is not None and known.generation == self.generation:
            return
        flow = self._slot_for(key, ingress, entry) if known is None else known
        if flow is None:
            return
        self._write(flow, entry)

    def _slot_for(self, key: bytes, ingress: PortNumber, entry: CacheEntry) -> Flow | None:
        if self._held.get(ingress, 0) >= FLOWS_PER_PORT:
            self._empty(ingress)
            return None
        if not self._free:
            return None
        slot = self._free.pop()
        self._slots[slot * FLOW_BYTES : (slot + 1) * FLOW_BYTES] = bytes(FLOW_BYTES)
        flow = Flow(key, slot, 0, ingress, entry.egress, entry.reason, entry.learn)
        self._flows[key] = flow
        self._held[ingress] = self._held.get(ingress, 0) + 1
        return flow

    def _empty(self, ingress: PortNumber) -> None:
        """End all entries of a port, once until they are removed by `note`."""
        if ingress in self._emptied:
            return
        self._emptied.add(ingress)
        for flow in self._flows.values():
            if flow.ingress == ingress:
                at = flow.slot * FLOW_BYTES
                self._slots[at : at + GENERATION.size] = bytes(GENERATION.size)
                flow.generation = 0

    def _write(self, flow: Flow, entry: CacheEntry) -> None:
        """Write the result, and last what makes it valid."""
        at = flow.slot * FLOW_BYTES
        egress = self.devices[entry.egress[0]] if entry.egress else Device(0, False)
        is_new = flow.generation == 0
        self._collect(flow)
        flow.generation = self.generation
        flow.egress, flow.reason, flow.learn = entry.egress, entry.reason, entry.learn
        result = RESULT.pack(
            egress.ifindex, entry.limit, egress.is_veth, flow.ingress, 0, FRESH | ALLOWANCE
        )
        self._slots[at + GENERATION.size : at + USED_AT] = result
        port = entry.egress[0] if entry.egress else 0
        own = OWN.pack(port, _REASONS.index(entry.reason), entry.learn is not None)
        self._slots[at + OWN_AT : at + OWN_AT + OWN.size] = own
        self._slots[at : at + GENERATION.size] = GENERATION.pack(self.generation)
        if is_new:
            try:
                self._map.put(flow.key, SLOT.pack(flow.slot))
            except OSError:
                self._remove(flow)

    def _remove(self, flow: Flow) -> None:
        self._map.remove(flow.key)
        del self._flows[flow.key]
        self._held[flow.ingress] -= 1
        self._resting.append(flow.slot)

    def _adopt(self, counted: Mapping[int, tuple[int, int] | None]) -> None:
        """Take over what a process before this one has left in the maps."""
        numbers = {device.ifindex: number for number, device in self.devices.items()}
        taken = set()
        for key, value in self._map.items():
            (slot,) = SLOT.unpack(value)
            ifindex, addresses, *_ = KEY.unpack(key)
            ingress = numbers.get(ifindex)
            if ingress is None:
                self._map.remove(key)
                continue
            at = slot * FLOW_BYTES
            (generation,) = GENERATION.unpack_from(self._slots, at)
            egress, *_ = RESULT.unpack_from(self._slots, at + GENERATION.size)
            port, reason, learns = OWN.unpack_from(self._slots, at + OWN_AT)
            self._flows[key] = flow = Flow(
                key,
                slot,
                generation,
                ingress,
                (PortNumber(port),) if egress else (),
                _REASONS[reason],
                Learn(NO_VLAN, Mac(addresses[6:])) if learns else None,
                *(counted.get(slot) or (0, 0)),
            )
            self._held[ingress] = self._held.get(ingress, 0) + 1
            taken.add(slot)
            self._collect(flow, always=True)
        self._free = deque(slot for slot in range(FLOWS - 1, -1, -1) if slot not in taken)

    def addresses(self) -> Iterator[Address]:
        """The addresses that the entries rely on."""
        for key in self._flows:
            _, addresses, *_ = KEY.unpack(key)
            yield NO_VLAN, Mac(addresses[:6])
            yield NO_VLAN, Mac(addresses[6:])

    # ports

    def add_device(self, port: PortNumber, device: Device) -> None:
        """A port has come."""
        self.devices[port] = device
        self.credit.add(port)

    def remove_device(self, port: PortNumber) -> None:
        """A port has gone, and no program runs any more that knew it; its entries go. What its
        counters say has been collected. `note` the whole before anything else is installed."""
        for flow in [flow for flow in self._flows.values() if flow.ingress == port]:
            self._remove(flow)
        self._held.pop(port, None)
        self._emptied.discard(port)
        self.devices.pop(port, None)
        self.credit.remove(port)

    # state

    def publish(self, generation: int, wait: bool) -> None:
        """Void every entry of an older generation; with `wait`, return when no program still runs
        that may have read the older one."""
        self.generation = generation
        # struct's pack_into would write zeros first, and the program might read them.
        self._state[: GENERATION.size] = GENERATION.pack(generation)
        if wait:
            wait_for_running_programs()

    # figures

    def collect(self) -> list[Used]:
        """What the flows did since the last time."""
        for flow in self._flows.values():
            self._collect(flow)
        used, self._used = self._used, []
        return used

    def _collect(self, flow: Flow, always: bool = False) -> None:
        at = flow.slot * FLOW_BYTES + USED_AT
        last_used, frames, size = USED.unpack_from(self._slots, at)
        if frames != flow.frames or always:
            self._used.append(
                Used(
                    flow.ingress,
                    flow.egress,
                    flow.reason,
                    flow.learn,
                    frames - flow.frames,
                    size - flow.size,
                    last_used / 1e9,
                )
            )
            flow.frames, flow.size = frames, size

    def note(self, whole: bool) -> Counted:
        """What has been collected, for the process that comes after this one, all of it or what
        changed since the last time; to be called when that is in the ports' counters. Entries that
        are void and have nothing left to say go."""
        self._free.extendleft(self._resting)
        self._resting = []
        self._emptied.clear()
        changed: dict[int, tuple[int, int] | None] = {}
        for flow in list(self._flows.values()):
            if flow.frames != flow.noted:
                changed[flow.slot] = flow.frames, flow.size
                flow.noted = flow.frames
            elif flow.generation != self.generation and self._is_still(flow):
                self._remove(flow)
                changed[flow.slot] = None
            elif whole:
                changed[flow.slot] = flow.frames, flow.size
        return Counted(changed, dict(self.credit.lost))

    def _is_still(self, flow: Flow) -> bool:
        at = flow.slot * FLOW_BYTES + USED_AT
        _, frames, _ = USED.unpack_from(self._slots, at)
        return bool(frames == flow.frames)

    def close(self) -> None:
        """Unmap the memory; the maps stay with whoever else holds them."""
        for memory in (self._slots, self._state):
            memory.close()
        self.credit.close()
        os.close(self._map.descriptor)
