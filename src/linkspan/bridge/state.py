"""One bridge: its ports, its FDB, and the number that says when kept verdicts are void.

Everything that `decide` looks at is here, and every change goes through a method, so that two
things hold at all times.

First, the addresses of the bridge and of the interfaces that carry its ports are local entries of
the FDB (`br_fdb_add_local`): frames to them end at the host, and nobody else can claim them. Of
several that have one address the first counts; when it leaves, the latest port that has it takes
over, or else the bridge itself. An administrator may replace or delete such an entry as any other;
it comes back with the next port or bridge that is given the address.

Second, `generation` grows with every change that could alter the verdict on a frame, so a verdict
kept elsewhere is good exactly while the number stands. Learning would make it grow all day, so
there is one exception: an address that is learned, or evicted for another, counts only when a
kept verdict relied on it (`relied_on`, filled by the cache through `rely_on`). A flood of
addresses that nobody asked for thus costs nobody else a verdict.

The bridge's own port towards the host's stack is HOST_PORT among the ports: absent or not
forwarding, the host hears nothing. Its options stay at their defaults, because the switch applies
none of them to the host.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from linkspan.bridge.fdb import Address, Entry, EntryKind, Fdb
from linkspan.bridge.port import Port, PortOptions, PortState
from linkspan.errors import Fault, Mistake
from linkspan.types import HOST_PORT, NO_MAC, NO_VLAN, Mac, PortNumber, Vlan, format_mac, is_group

GROUP_FWD_RESTRICTED: Final = 0b111
"""Bits that only a port's mask may hold, if any: STP, pause, LACP (BR_GROUPFWD_RESTRICTED)."""

MAX_RELIED_ON: Final = 65536
"""Addresses that kept verdicts may rely on; beyond, all verdicts are dropped and it starts anew."""


def is_station(mac: bytes) -> bool:
    """Whether the address can be that of one station (`is_valid_ether_addr`)."""
    return not is_group(mac) and mac != NO_MAC


class Bridge:
    """A bridge. Attributes are for reading; the methods keep them in step."""

    __slots__ = (
        "_own",
        "fdb",
        "generation",
        "group_fwd_mask",
        "mac",
        "name",
        "ports",
        "relied_on",
        "up",
    )

    def __init__(self, name: str, mac: Mac, fdb: Fdb | None = None) -> None:
        self.name = name
        self.mac = mac
        self.up = True
        self.group_fwd_mask = 0
        self.ports: dict[PortNumber, Port] = {}
        self.fdb = Fdb() if fdb is None else fdb
        self.generation = 0
        self.relied_on: set[Address] = set()
        self._own: set[Address] = set()
        """The local entries that this bridge made itself."""
        self._add_own(mac, HOST_PORT)

    @property
    def host_hears(self) -> bool:
        """Whether frames can go up to the host's stack."""
        host = self.ports.get(HOST_PORT)
        return host is not None and host.state is PortState.FORWARDING

    # What makes kept verdicts void

    def changed(self) -> None:
        """Void every verdict that was kept so far."""
        self.generation += 1
        self.relied_on.clear()

    def address_changed(self, address: Address) -> None:
        """Void the kept verdicts if one of them relied on this address."""
        if address in self.relied_on:
            self.changed()

    def rely_on(self, addresses: Iterable[Address]) -> None:
        """Note what a verdict about to be kept relied on, whether it was found or not."""
        if len(self.relied_on) >= MAX_RELIED_ON:
            self.changed()
        self.relied_on.update(addresses)

    # The bridge

    def set_mac(self, mac: Mac) -> None:
        """Change the bridge's address (`br_fdb_change_mac_address`).

        Raises Mistake when it cannot be a station's.
        """
        if not is_station(mac):
            raise Mistake(
                Fault(
                    f"bridge {self.name}: {format_mac(mac)} cannot be its address",
                    expected="a unicast address other than zero",
                )
            )
        if mac == self.mac:
            return
        old = (NO_VLAN, self.mac)
        known = self.fdb.find(old)
        if old in self._own and known is not None and known.port == HOST_PORT:
            self._disown(old, HOST_PORT)
        self.mac = mac
        self._add_own(mac, HOST_PORT)
        self.changed()

    def set_up(self, up: bool) -> None:
        """Bring the bridge up or down. Down, it forgets what it learned (`br_stp_disable_port`)."""
        self.up = up
        if not up:
            self.fdb.flush()
        self.changed()

    def set_group_fwd_mask(self, mask: int) -> None:
        """Forward 01:80:c2:00:00:0X for every bit X set (`group_fwd_mask_store`).

        Raises Mistake for bits 0 to 2, which only a port's mask may hold.
        """
        if not 0 <= mask <= 0xFFFF or mask & GROUP_FWD_RESTRICTED:
            raise Mistake(
                Fault(
                    f"bridge {self.name}: group_fwd_mask {mask:#x} cannot be",
                    expected="16 bits without bits 0 to 2",
                    next_step="set bits 0 and 2 in the mask of a port",
                )
            )
        self.group_fwd_mask = mask
        self.changed()

    def set_ageing_time(self, seconds: float) -> None:
        """Change how long learned entries live unseen; 0 learns nothing (`hold_time`)."""
        self.fdb.ageing_time = seconds
        self.changed()

    # Ports

    def add_port(self, port: Port) -> None:
        """Add a port.

        Raises Mistake when the number is taken, or when the host's port has options.
        """
        if port.number in self.ports:
            raise Mistake(
                Fault(
                    f"bridge {self.name}: port number {port.number} is taken",
                    found=self.ports[port.number].name,
                )
            )
        self._replace(port)
        self._add_own(port.mac, port.number)

    def remove_port(self, number: PortNumber) -> None:
        """Remove a port and every entry behind it (`del_nbp`). Raises Mistake when unknown."""
        self._port(number)
        del self.ports[number]
        if number != HOST_PORT:
            self._forget_port(number)
        self.changed()

    def set_options(self, number: PortNumber, options: PortOptions) -> None:
        """Replace the options of a port. Raises Mistake when unknown or the host's."""
        self._replace(msgspec.structs.replace(self._port(number), options=options))

    def set_state(self, number: PortNumber, state: PortState) -> None:
        """Change the state of a port; disabled, it loses what was learned behind it
        (`br_stp_disable_port`). Raises Mistake when unknown."""
        self._replace(msgspec.structs.replace(self._port(number), state=state))
        if state is PortState.DISABLED:
            self.fdb.flush(number)

    # Entries

    def add_entry(
        self,
        mac: Mac,
        port: PortNumber,
        kind: EntryKind,
        now: float,
        vlan: Vlan = NO_VLAN,
    ) -> None:
        """Configure an entry, replacing what the address had (`br_fdb_add`).

        Raises Mistake for a group address, an unknown port, and a host entry that is not local.
        """
        if not is_station(mac):
            raise Mistake(
                Fault(
                    f"bridge {self.name}: {format_mac(mac)} cannot have an FDB entry",
                    expected="a unicast address other than zero",
                )
            )
        self._port(port)
        if port == HOST_PORT and kind is not EntryKind.LOCAL:
            raise Mistake(
                Fault(
                    f"bridge {self.name}: an entry towards the host is always local",
                    expected=EntryKind.LOCAL.value,
                    found=kind.value,
                )
            )
        self.fdb.put((vlan, mac), Entry(port, kind, now))
        self._own.discard((vlan, mac))
        self.changed()

    def delete_entry(self, mac: Mac, vlan: Vlan = NO_VLAN) -> None:
        """Remove an entry of any kind (`br_fdb_delete`). Raises Mistake when there is none."""
        if not self.fdb.delete((vlan, mac)):
            raise Mistake(
                Fault(
                    f"bridge {self.name}: no FDB entry for {format_mac(mac)} in VLAN {vlan}",
                    next_step="look at `linkspan fdb`",
                )
            )
        self._own.discard((vlan, mac))
        self.changed()

    def flush(self, port: PortNumber | None = None) -> int:
        """Forget what was learned, behind one port or everywhere; returns how many entries went."""
        count = self.fdb.flush(port)
        self.changed()
        return count

    # Inside

    def _port(self, number: PortNumber) -> Port:
        port = self.ports.get(number)
        if port is None:
            known = ", ".join(f"{p.number} ({p.name})" for p in self.ports.values())
            raise Mistake(
                Fault(f"bridge {self.name}: no port has number {number}", found=known or "no port")
            )
        return port

    def _replace(self, port: Port) -> None:
        if port.number == HOST_PORT and port.options != PortOptions():
            raise Mistake(
                Fault(
                    f"bridge {self.name}: its own port towards the host takes no options",
                    next_step="set them on the ports",
                )
            )
        self.ports[port.number] = port
        self.changed()

    def _add_own(self, mac: Mac, number: PortNumber) -> None:
        """Make an address of the bridge or of a port a local entry, unless it is one already
        (`fdb_add_local`)."""
        address = (NO_VLAN, mac)
        known = self.fdb.find(address)
        if is_station(mac) and (known is None or known.kind is not EntryKind.LOCAL):
            self._put_own(address, number)

    def _put_own(self, address: Address, number: PortNumber) -> None:
        self.fdb.put(address, Entry(number, EntryKind.LOCAL, 0.0))
        self._own.add(address)
        self.changed()

    def _disown(self, address: Address, number: PortNumber) -> None:
        """A port, or with HOST_PORT the bridge, gives up a local entry. Whoever else has the
        address takes it: the latest port, or else the bridge (`fdb_delete_local`)."""
        for port in reversed(self.ports.values()):
            if port.number not in (number, HOST_PORT) and port.mac == address[1]:
                self._put_own(address, port.number)
                return
        if number != HOST_PORT and self.mac == address[1]:
            self._put_own(address, HOST_PORT)
            return
        self.fdb.delete(address)
        self._own.discard(address)

    def _forget_port(self, number: PortNumber) -> None:
        """Remove all entries behind a port that leaves (`br_fdb_delete_by_port`)."""
        local = [
            address
            for address, entry in self.fdb
            if entry.port == number and entry.kind is EntryKind.LOCAL
        ]
        for address in local:
            self._disown(address, number)
        self.fdb.flush(number, configured=True)
