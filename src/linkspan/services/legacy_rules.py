"""Rules of iptables's older kind, from the kernel's own form to one in which they can be walked.

A table is a row of entries of different lengths. A chain of somebody's begins behind an entry whose
target is an error with the chain's name; a jump is the place of the entry that it leads to. Of
extensions the name counts alone, as in `services.nft_rules`.

Source: include/uapi/linux/netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h,
netfilter/x_tables.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from linkspan.engine.reading.dump import text
from linkspan.engine.reading.legacy import LegacyTable
from linkspan.services.nft_rules import xt_match
from linkspan.services.rule_walk import (
    Rule,
    Test,
    Verdict,
    address_in,
    interface_is,
    negated,
    protocol_is,
    unknown,
)

HOOKS: Final = {"input": 1, "forward": 2}
"""enum nf_inet_hooks."""
BUILT_IN: Final = {"input": "INPUT", "forward": "FORWARD"}

_DROP, _ACCEPT, _RETURN = -1, -2, -5
"""Verdicts as they stand in a table: -NF_DROP - 1, -NF_ACCEPT - 1, XT_RETURN."""

_GOTO: Final = 2
_INVERTED: Final = {"in": 0x01, "out": 0x02, "source": 0x08, "destination": 0x10, "protocol": 0x40}
_PROTOCOLS: Final = {6: "tcp", 17: "udp"}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where in an entry what stands."""

    address: int
    """Bytes of an address; source, destination and their masks are the first four."""
    protocol: int
    flags: int
    target: int
    """The offset of the target, and after it that of the next entry."""
    matches: int


_LAYOUTS: Final = {
    "ip": _Layout(address=4, protocol=80, flags=82, target=88, matches=112),
    "ip6": _Layout(address=16, protocol=128, flags=131, target=140, matches=168),
}


def legacy_chains(table: LegacyTable) -> tuple[dict[str, list[Rule]], dict[str, Verdict]]:
    """The chains of a table, and the policies of those that are built in, by hook."""
    layout, entries = _LAYOUTS[table.family], table.entries
    starts = {table.hooks[number]: BUILT_IN[hook] for hook, number in HOOKS.items()}
    places = list(_places(entries, layout))
    for _, target, following in places:
        if text(entries[target + 2 : target + 31]) == "ERROR":
            starts.setdefault(following, text(entries[target + 32 : target + 62]))
    policies = {}
    chains: dict[str, list[Rule]] = {name: [] for name in starts.values()}
    current: list[Rule] | None = None
    for place, target, following in places:
        if place in starts:
            current = chains[starts[place]]
        rule = _rule(table, layout, place, target, following, starts, len(current or ()) + 1)
        for hook, number in HOOKS.items():
            if place == table.policies[number]:
                policies[hook] = rule.verdict
                current = None
        if current is not None:
            current.append(rule)
    return chains, policies


def _places(entries: bytes, layout: _Layout) -> Iterator[tuple[int, int, int]]:
    """Where each entry, its target and the next entry begin."""
    place = 0
    while place < len(entries):
        target, size = struct.unpack_from("=HH", entries, place + layout.target)
        if not size:
            return
        yield place, place + target, place + size
        place += size


def _rule(
    table: LegacyTable,
    layout: _Layout,
    place: int,
    target: int,
    following: int,
    starts: dict[int, str],
    number: int,
) -> Rule:
    entries = table.entries
    flags, inverted = entries[place + layout.flags], entries[place + layout.flags + 1]
    verdict, jump = _verdict(entries, target, following, starts, is_goto=bool(flags & _GOTO))
    tests = [
        negated(test) if inverted & _INVERTED[what] else test
        for what, test in _conditions(entries, layout, place)
    ]
    at = place + layout.matches
    while at < target:
        (size,) = struct.unpack_from("=H", entries, at)
        tests.append(xt_match(text(entries[at + 2 : at + 31]), verdict) or unknown)
        at += max(size, 1)
    return Rule(tuple(tests), verdict, jump, f"rule {number}")


def _conditions(entries: bytes, layout: _Layout, place: int) -> Iterator[tuple[str, Test]]:
    size = layout.address
    parts = [entries[place + size * n : place + size * (n + 1)] for n in range(4)]
    for what, address, mask in (("source", 0, 2), ("destination", 1, 3)):
        if any(parts[mask]):
            length = bin(int.from_bytes(parts[mask])).count("1")
            network = ip_network(f"{ip_address(parts[address])}/{length}", strict=False)
            yield what, address_in(what == "source", [network])
    names = place + size * 4
    for what, number in (("in", 0), ("out", 1)):
        name = text(entries[names + 16 * number : names + 16 * number + 16])
        covered = entries[names + 16 * (number + 2) : names + 16 * (number + 3)].rstrip(b"\0")
        if covered:
            # The mask of a whole name covers the zero byte behind it, too.
            is_whole = len(covered) > len(name.encode())
            yield what, interface_is(what == "in", name if is_whole else f"{name}*")
    (protocol,) = struct.unpack_from("=H", entries, place + layout.protocol)
    if protocol:
        yield "protocol", protocol_is(_PROTOCOLS.get(protocol, str(protocol)))


def _verdict(
    entries: bytes, target: int, following: int, starts: dict[int, str], is_goto: bool
) -> tuple[Verdict, str]:
    name = text(entries[target + 2 : target + 31])
    if name:
        return (Verdict.DROP if name == "REJECT" else Verdict.NOTHING), ""
    (verdict,) = struct.unpack_from("=i", entries, target + 32)
    if verdict >= 0:
        if verdict == following:
            return Verdict.NOTHING, ""
        return (Verdict.GOTO if is_goto else Verdict.JUMP), starts.get(verdict, "")
    kinds = {_DROP: Verdict.DROP, _ACCEPT: Verdict.ACCEPT, _RETURN: Verdict.RETURN}
    return kinds.get(verdict, Verdict.NOTHING), ""
