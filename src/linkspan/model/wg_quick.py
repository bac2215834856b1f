"""wg-quick's configuration files as what a lab's file says of a WireGuard interface.

Only what a file of ours can say is taken; whatever else such a file has is a mistake with its line,
since leaving it out would be a tunnel that does something else. The private key is not among the
values: whoever needs it reads it from the file, or from the one that is named in the way that
wg-quick(8) keeps keys out of it: `PostUp = wg set %i private-key FILE`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any, Final

from msgspec.structs import replace

from linkspan.errors import Fault, Mistake, Place
from linkspan.model.shapes import SHAPES
from linkspan.model.texts import LARGEST_MTU, SMALLEST_MTU
from linkspan.model.unfit import UnfitError
from linkspan.model.wireguard import WireguardLink, WireguardPeer

_KEY_FILE: Final = re.compile(r"wg set %i private-key (?P<file>\S.*)")


def _list(shape: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    return lambda text: tuple(shape(part.strip()) for part in text.split(",") if part.strip())


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise UnfitError("is out of range", f"a number from {least} to {most}", "correct it")
        return int(text)

    return read


def _network(text: str) -> str:
    """As wg(8) takes it: an address is a network of one, bits of hosts are cut off."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise UnfitError("is not a network", "such as 10.0.0.0/24", "correct it") from None


def _keepalive(text: str) -> int | None:
    return None if text == "off" else _number(0, 65535)(text) or None


def _key_file(text: str) -> str:
    found = _KEY_FILE.fullmatch(text)
    if found is None:
        raise UnfitError(
            "is a command, which is not run here",
            "nothing but `wg set %i private-key FILE`",
            "leave it out, or say in the lab's file what it does",
        )
    return found["file"]


Fields = dict[str, tuple[str, Callable[[str], Any]]]

INTERFACE: Final[Fields] = {
    "address": ("address", _list(SHAPES["address"])),
    "listenport": ("listen", _number(1, 65535)),
    "mtu": ("mtu", _number(SMALLEST_MTU, LARGEST_MTU)),
    "privatekey": ("", lambda text: ""),
    "postup": ("private_key_file", _key_file),
}
PEER: Final[Fields] = {
    "publickey": ("public_key", SHAPES["key"]),
    "allowedips": ("allowed_ips", _list(_network)),
    "endpoint": ("endpoint", SHAPES["endpoint"]),
    "persistentkeepalive": ("keepalive", _keepalive),
}
"""Keys of a section in lower case: the field of ours and who reads the value."""

_SECTIONS: Final = {"[interface]": INTERFACE, "[peer]": PEER}


def read(text: str, file: str, link: WireguardLink) -> WireguardLink:
    """The link with what a configuration says. Raises Mistake with the places in that file."""
    faults: list[Fault] = []
    if link != WireguardLink(node=link.node, name=link.name, config=link.config):
        step = "leave either config or the others out"
        what = f"{file} is to say all of {link.name} of {link.node}, and the lab's file says more"
        faults.append(Fault(what, expected="node, name and config", next_step=step))
    own: dict[str, Any] = {"private_key_file": link.config}
    peers: list[dict[str, Any]] = []
    fields: Fields | None = None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        place = Place(file, number, 1)
        if not line:
            continue
        if line.lower() in _SECTIONS:
            fields = _SECTIONS[line.lower()]
            if fields is PEER:
                peers.append({})
            continue
        name, sign, value = (part.strip() for part in line.partition("="))
        if fields is None or not sign or name.lower() not in fields:
            known = ", ".join(fields or {"[Interface]": 0, "[Peer]": 0})
            what = f"{name} is not known here" if sign else "this is no setting"
            step = "remove the line, and say it in the lab's file if it can be said there"
            faults.append(Fault(what, place, f"one of {known}", next_step=step))
            continue
        field, reader = fields[name.lower()]
        target = own if fields is INTERFACE else peers[-1]
        try:
            found = reader(value)
        except UnfitError as unfit:
            faults.append(Fault(f"{name} {unfit.what}", place, unfit.expected, "", unfit.next_step))
            continue
        if field:
            target[field] = target.get(field, ()) + found if isinstance(found, tuple) else found
    if faults:
        raise Mistake(*faults)
    return replace(link, config=None, peers=tuple(WireguardPeer(**peer) for peer in peers), **own)
