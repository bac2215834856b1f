"""Network cards of the machine: read as they are, announced where they went.

All of this happens in the network namespace of the process, which in scope host is the machine's.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from linkspan.engine.netlink import Netlink
from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.managers import is_wireless, managers_of
from linkspan.engine.reading.namespace import read_namespace
from linkspan.engine.reading.programs import has_programs
from linkspan.engine.stack import setting_file
from linkspan.engine.traffic_control import delete_clsact, delete_program
from linkspan.errors import Mistake, Refusal
from linkspan.model.nic import Nic
from linkspan.model.state import ipv6_switch
from linkspan.model.topology import HOST
from linkspan.plan.refusals import refusals, warnings
from linkspan.plan.uplink import Taken, take
from linkspan.types import Mac
from linkspan.wire.announce import announcement

_CONF: Final = Path("/proc/sys/net")
_OWN: Final = ("disable_ipv6", "mtu", "mc_forwarding", "force_forwarding")
"""Settings that say something of one interface only, or can't be written."""


def exists(name: str) -> bool:
    """Whether the machine has an interface of that name."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def take_card(name: str, bridge: str, mtu: int) -> tuple[Taken, list[str]]:
    """A card as it is now, and what speaks against it; `bridge` is to have it, and to carry
    packets of `mtu` bytes.

    Raises Mistake when it can't be an uplink, Refusal or OSError when it can't be read.
    """
    with Dumps() as dumps:
        found, now = read_namespace(dumps), time.time()
        card = found.interface(name)
        nic = Nic(
            name=name,
            namespace=found,
            bridge=bridge,
            mtu=mtu,
            is_wireless=is_wireless(name),
            managers=managers_of(name, card.index) if card is not None else (),
        )
        had_programs = card is not None and has_programs(dumps, card.index)
    if faults := refusals(nic):
        raise Mistake(*(fault.at("bridges", bridge, "uplink") for fault in faults))
    ipv6_off = _setting(ipv6_switch(name))
    taken = take(HOST, name, found, now, ipv6_off, settings_of(name), had_programs)
    return taken, [str(fault) for fault in warnings(nic)]


def take_programs_off(taken: Taken) -> None:
    """Take off a card what a switch process of ours that has ended left there: the program that
    took the card's frames, and the qdisc for it if the card had none.
    """
    with Netlink() as netlink, contextlib.suppress(Refusal):  # the card may have gone
        index = netlink.index(taken.interface)
        with contextlib.suppress(Refusal):
            netlink.run([delete_program(index)])
        if not taken.had_programs:
            netlink.run([delete_clsact(index)])


def settings_of(name: str) -> dict[str, str]:
    """What the stack was told of an interface and a new one is not told: `ipv6/accept_ra`: 2."""
    found: dict[str, str] = {}
    for family in ("ipv4", "ipv6"):
        for path in sorted((_CONF / family / "conf" / name).glob("*")):
            own, usual = _text(path), _text(path.parent.parent / "default" / path.name)
            if path.name not in _OWN and own is not None and own != usual:
                found[f"{family}/{path.name}"] = own
    return found


def _setting(name: str) -> str | None:
    return _text(setting_file(name))


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def mtu_of(name: str) -> int | None:
    """The MTU of an interface in bytes; None when there is none of that name."""
    with Dumps() as dumps:
        card = read_namespace(dumps).interface(name)
    return card.mtu if card is not None else None


def announce(name: str) -> list[str]:
    """Tell the neighbours that the addresses of an interface are there; returns them."""
    with Dumps() as dumps:
        found = read_namespace(dumps)
    card = found.interface(name)
    if card is None or card.mac is None:
        return []
    addresses = [each for each in found.addresses if each.index == card.index]
    mac = Mac(bytes.fromhex(card.mac.replace(":", "")))
    told = [each.address for each in addresses if "tentative" not in each.flags]
    _send(name, [announcement(mac, _octets(address)) for address in told])
    return [each.address for each in addresses if each.scope == "global"]


def _octets(address: str) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address.partition("/")[0])


def _send(name: str, frames: Sequence[bytes]) -> None:
    # Nobody listens on an interface that is down or has just gone.
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock,
        contextlib.suppress(OSError),
    ):
        sock.bind((name, 0))
        for frame in frames:
            sock.send(frame)
