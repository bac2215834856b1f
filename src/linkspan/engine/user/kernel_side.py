"""What a switch process does for the ports whose established flows the kernel forwards by itself.

Theory of operation. `KernelCache` is the maps, this is what happens to them:

    a frame comes up ──▶ first level of the cache, or decide ──▶ down again; its verdict offered
    state has changed ──▶ publish: the kernel's entries are void
    once a second, or asked ──▶ settle: what the kernel forwarded, into counters and ageing
    a device lost its carrier ──▶ its port is disabled (`br_port_carrier_check`)

The process before this one may have been killed at any moment. What it had read from the upcall
and not dealt with is lost, and its credit is given back (`_resynchronise`); what the kernel itself
loses between counting an upcall and handing it over is written off a second later.
"""

from __future__ import annotations

import select
import time
from collections.abc import Collection
from math import inf
from typing import Final

from linkspan.bridge.port import PortState
from linkspan.bridge.reasons import Reason
from linkspan.bridge.watch import is_watched
from linkspan.engine.libbpf import wait_for_running_programs
from linkspan.engine.user.devices import VNET_HEADER_BYTES
from linkspan.engine.user.kernel_cache import KernelCache
from linkspan.engine.user.kernel_flow import Device
from linkspan.engine.user.kernel_maps import CREDIT
from linkspan.engine.user.links import LinkWatch
from linkspan.engine.user.ports import Port
from linkspan.engine.user.slow_path import BURST, GSO_TYPE, SlowPath
from linkspan.engine.user.upcall import reader, take_tag_off
from linkspan.types import PortNumber

_TURN_SECONDS: Final = 0.005
"""Time for one burst: a frame for everybody is as many writes as there are ports, and whoever asks
something of a switch with five hundred would wait for thirty thousand of them."""

_ROUNDS: Final = 16
"""How often a new process counts the upcalls anew before it leaves the rest to `write_off`."""


class KernelSide:
    """The in-kernel cache of one bridge as the loop serves it."""

    def __init__(self, slow_path: SlowPath, kernel: KernelCache, upcall: int) -> None:
        """Serve the misses of the in-kernel cache, whose entries so far are as good as ours. To be
        made in the network namespace of its devices, after the ports."""
        self.kernel = kernel
        self.upcall = upcall
        self.links = LinkWatch()
        self._slow = slow_path
        self._bridge = slow_path.bridge
        self._base = kernel.generation - self._bridge.generation
        self._bridge.rely_on(kernel.addresses())
        self._read = reader(upcall)
        self._numbers = {device.ifindex: number for number, device in kernel.devices.items()}
        slow_path.publish = self.publish
        self.settle()
        self._resynchronise()
        self.hear_of_links()

    def publish(self, wait: bool = False) -> None:
        """Void the kernel's entries if a change of state has voided ours. With `wait`, return when
        no frame can follow one of them any more."""
        generation = (self._base + self._bridge.generation) & 0xFFFFFFFF
        if generation != self.kernel.generation:
            self.kernel.publish(generation, wait)

    def add(self, number: PortNumber, device: Device) -> None:
        """Serve one more port, which the bridge has and whose program runs."""
        self.kernel.add_device(number, device)
        self._numbers[device.ifindex] = number
        self.links.ask(device.ifindex)
        self.hear_of_links()

    def drain(self, numbers: Collection[PortNumber]) -> None:
        """Deal with what waits in the upcall from ports whose upcalls have been ended, so that
        nothing of theirs can be taken for another's who gets their number."""
        if not any(number in self.kernel.devices for number in numbers):
            return
        wait_for_running_programs()
        queued = CREDIT * (len(self.kernel.devices) + 1)
        for _ in range(0, queued + BURST, BURST):
            if not self.pump(inf):
                return

    def remove(self, number: PortNumber) -> None:
        """A port has gone from the bridge, and that is published."""
        device = self.kernel.devices.get(number)
        if device is not None:
            self._numbers.pop(device.ifindex, None)
            self.kernel.remove_device(number)

    def hear_of_links(self) -> None:
        """Take notice of carriers that came or went."""
        is_settled = False
        for index, has_carrier in self.links.read():
            number = self._numbers.get(index)
            state = PortState.FORWARDING if has_carrier else PortState.DISABLED
            if number is not None and self._bridge.ports[number].state is not state:
                if not is_settled:  # once for all: what changes is published when all is known
                    self.settle()
                    self._slow.settle(time.monotonic())
                    is_settled = True
                self._bridge.set_state(number, state)
        self.publish()

    # misses

    def pump(self, seconds: float = _TURN_SECONDS) -> bool:
        """Deal with one burst of frames that came up, of all ports, for that long; returns whether
        there may be more."""
        done: dict[PortNumber, int] = {}
        may_be_more = self._take(done, seconds)
        for number, frames in done.items():
            self.kernel.credit.done(number, frames)
        return may_be_more

    def _take(self, done: dict[PortNumber, int], seconds: float = inf) -> bool:
        """Deal with one burst, counted by ingress port; returns whether there may be more."""
        now = time.monotonic()
        for _ in range(BURST):
            if time.monotonic() - now > seconds:
                return True
            try:
                number, frame = take_tag_off(self._read())
            except BlockingIOError:
                return False
            except OSError:
                continue  # a frame that the tap cannot describe; what it counts for is written off
            port = self._slow.ports.get(number)
            if port is not None:
                done[number] = done.get(number, 0) + 1
                self._pass(port, frame, now)
        return True

    def _pass(self, port: Port, frame: bytes, now: float) -> None:
        """A frame that the kernel did not know: a first one, or one to be seen every time."""
        slow, bare = self._slow, frame[VNET_HEADER_BYTES:]
        gso = bool(frame[GSO_TYPE])
        port.frames_in += 1
        port.bytes_in += len(bare)
        if (arrive := slow.shaped.get(port.number)) is not None:
            arrive(frame)
            return
        if is_watched(bare):
            slow.decide(port, frame, now)
            return
        entry = slow.cache.find(self._bridge, port.number, bare, gso)
        if entry is None:
            slow.decide(port, frame, now)
            entry = slow.cache.find(self._bridge, port.number, bare, gso)
        else:
            entry.frames += 1
            entry.bytes += len(bare)
            entry.last_used = now
            slow.write(frame, len(bare), entry.egress)
        if entry is not None and slow.shaped.keys().isdisjoint(entry.egress):
            self.kernel.offer(port.number, bare, entry)

    def _resynchronise(self) -> None:
        """Give credit back for upcalls that the process before this one had read.

        What was counted before all programs ended is in the queue, unless it was read or lost.
        While no credit is given, ports can add little, so that counting comes to an end.
        """
        credit = self.kernel.credit
        if not credit.has_waiting():
            return
        for _ in range(_ROUNDS):
            counted = credit.upcalled()
            wait_for_running_programs()
            while self._take({}):
                pass
            if counted == credit.upcalled():
                break
        credit.dealt_with(counted)

    def write_off(self) -> None:
        """Give credit back for upcalls that were counted and that the kernel then lost."""
        if not self.kernel.credit.has_waiting():
            return
        poll = select.poll()
        poll.register(self.upcall, select.POLLIN)
        if not poll.poll(0):
            self.kernel.credit.write_off()

    # figures

    def settle(self) -> None:
        """Bring counters and ageing up to date with what the kernel forwarded by itself."""
        fdb, ports = self._bridge.fdb, self._slow.ports
        for used in self.kernel.collect():
            if (ingress := ports.get(used.ingress)) is None:
                continue
            ingress.frames_in += used.frames
            ingress.bytes_in += used.size
            for number in used.egress:
                if (egress := ports.get(number)) is not None:  # else it left with a process before
                    egress.frames_out += used.frames
                    egress.bytes_out += used.size
            if not used.egress and used.frames:
                ingress.drop(used.reason, used.frames)
            entry = None if used.learn is None else fdb.find(used.learn)
            if entry is not None and entry.port == used.ingress:
                fdb.refresh(entry, used.last_used)
        for number, lost in self.kernel.credit.collect_lost().items():
            ports[number].drop(Reason.FULL_RING, lost)
