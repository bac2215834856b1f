"""Firewalls of others that would drop what a network with a way out sends or gets.

A packet has to be accepted by every base chain of the forward hook, whoever's it is: what our table
accepts, a chain of Docker, firewalld, ufw or of an administrator with a policy of drop still drops.
We change nobody's tables, so such a chain is named before anything is touched, with the command by
which its owner lets a bridge pass. Once that has been run, rules there name the bridge and let it
pass in each direction, by which we know that somebody has decided.

Source: include/uapi/linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from linkspan.engine.reading.dump import Dumps, attribute_list, attributes, network, text
from linkspan.engine.reading.firewall import (
    FAMILY_NUMBERS,
    GETCHAIN,
    NETLINK_NETFILTER,
    may_be_asked,
    read_legacy_tables,
    read_nft_tables,
)
from linkspan.engine.reading.legacy import read_legacy_forward
from linkspan.errors import Fault
from linkspan.model.host_snapshot import BaseChain, NftTable
from linkspan.model.rules import Rules

_GETRULE: Final = 10 << 8 | 7
_IIFNAME, _OIFNAME = 6, 7
"""NFT_META_IIFNAME and _OIFNAME."""

_DROP: Final = 0
_FAMILIES: Final = {"inet": (4, 6), "ip": (4,), "ip6": (6,)}
"""Families of tables through which routed packets pass, and the versions that do."""

Pass = tuple[int, str]
"""A direction (a key of meta) and an interface that a rule lets pass."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has a chain, and what lets a bridge pass it."""

    name: str
    commands: tuple[str, ...]


DOCKER: Final = Owner(
    "Docker",
    (
        "{iptables} -I DOCKER-USER -i {bridge} -j ACCEPT",
        "{iptables} -I DOCKER-USER -o {bridge} -j ACCEPT",
    ),
)
UFW: Final = Owner("ufw", ("ufw route allow in on {bridge}", "ufw route allow out on {bridge}"))
FIREWALLD: Final = Owner(
    "firewalld", ("firewall-cmd --permanent --zone=trusted --add-interface={bridge} --reload",)
)
IPTABLES: Final = Owner(
    "iptables",
    (
        "{iptables} -I {chain} -i {bridge} -j ACCEPT",
        "{iptables} -I {chain} -o {bridge} -j ACCEPT",
    ),
)
LEGACY: Final = Owner(
    "iptables-legacy",
    (
        "{iptables}-legacy -I {chain} -i {bridge} -j ACCEPT",
        "{iptables}-legacy -I {chain} -o {bridge} -j ACCEPT",
    ),
)
NFTABLES: Final = Owner(
    "nftables",
    (
        'nft insert rule {family} {table} {chain} iifname "{bridge}" accept',
        'nft insert rule {family} {table} {chain} oifname "{bridge}" accept',
    ),
)


def obstacles(rules: Rules, own_table: str) -> list[Fault]:
    """What would drop the traffic of networks with a way out, in the namespace of the calling
    thread. Raises OSError.
    """
    faults = list(_legacy_obstacles(rules))
    for table in read_nft_tables() if may_be_asked() else ():
        for chain in table.chains:
            if table.name != own_table and _may_drop(table, chain):
                names = _chain_names(table)
                passing = _passing(table)
                faults += list(_faults(rules, table, chain, names, passing))
    return faults


def _legacy_obstacles(rules: Rules) -> Iterator[Fault]:
    """Forward chains of iptables's own kernel side."""
    for table in read_legacy_tables():
        family, _, name = table.partition(" ")
        if name != "filter" or family not in _FAMILIES:
            continue
        found = read_legacy_forward(family)
        passing = {(_IIFNAME, each) for each in found.incoming}
        passing |= {(_OIFNAME, each) for each in found.outgoing}
        if found.drops:
            chain = BaseChain(
                name="FORWARD", type="filter", hook="forward", priority=0, policy="drop"
            )
            legacy = NftTable(family=family, name="filter (legacy)")
            yield from _faults(rules, legacy, chain, (), passing)


def _may_drop(table: NftTable, chain: BaseChain) -> bool:
    """Whether a chain drops what no rule of its own lets pass; firewalld ends in a rule for it."""
    if chain.hook != "forward" or table.family not in _FAMILIES:
        return False
    return chain.policy == "drop" or (table.name == "firewalld" and chain.type == "filter")


def _faults(
    rules: Rules, table: NftTable, chain: BaseChain, names: Sequence[str], passing: set[Pass]
) -> Iterator[Fault]:
    for each in rules.networks:
        versions = {6 if ":" in prefix else 4 for prefix in each.prefixes}
        if each.forward == "none" or not versions.intersection(_FAMILIES[table.family]):
            continue
        if {(_IIFNAME, each.bridge), (_OIFNAME, each.bridge)} <= passing:
            continue
        owner = owner_of(table, chain, names)
        fields = {
            "bridge": each.bridge,
            "family": table.family,
            "table": table.name,
            "chain": chain.name,
            "iptables": "ip6tables" if table.family == "ip6" else "iptables",
        }
        yield Fault(
            f"bridge {each.bridge}: a firewall of this machine drops what it forwards",
            expected=f"rules that let {each.bridge} pass, in and out",
            found=f"chain {chain.name} of table {table.family} {table.name} ({owner.name}), "
            f"hook forward, policy {chain.policy}",
            next_step="; ".join(command.format_map(fields) for command in owner.commands),
        )


def owner_of(table: NftTable, chain: BaseChain, names: Sequence[str]) -> Owner:
    """Who has a chain, by the names that these programs give to theirs."""
    if table.name == "filter (legacy)":
        return LEGACY
    if table.name == "firewalld":
        return FIREWALLD
    if any(name.startswith(("ufw-", "ufw6-")) for name in names):
        return UFW
    if "DOCKER-USER" in names:
        return DOCKER
    return IPTABLES if (table.name, chain.name) == ("filter", "FORWARD") else NFTABLES


def _chain_names(table: NftTable) -> list[str]:
    with Dumps(NETLINK_NETFILTER) as dumps:
        listed = dumps.entries(GETCHAIN, bytes([FAMILY_NUMBERS[table.family], 0, 0, 0]))
    attrs = (attributes(data, 4) for data in listed)
    return [text(each.get(3, b"")) for each in attrs if text(each.get(1, b"")) == table.name]


def _passing(table: NftTable) -> set[Pass]:
    """What rules of a table let pass by the name of an interface, anywhere in it."""
    with Dumps(NETLINK_NETFILTER) as dumps:
        listed = dumps.entries(_GETRULE, bytes([FAMILY_NUMBERS[table.family], 0, 0, 0]))
    found: set[Pass] = set()
    for data in listed:
        attrs = attributes(data, 4)
        if text(attrs.get(1, b"")) == table.name:
            found.update(let_pass(attrs.get(4, b"")))
    return found


def let_pass(expressions: bytes) -> list[Pass]:
    """Of a rule's expressions: directions and interfaces that it names, unless it drops."""
    named: list[Pass] = []
    direction = 0
    for _, element in attribute_list(expressions):
        expression = attributes(element)
        kind, inner = text(expression.get(1, b"")), attributes(expression.get(2, b""))
        if kind == "meta":
            direction = network(inner.get(2, b""))
        elif kind == "cmp" and direction in (_IIFNAME, _OIFNAME):
            named.append((direction, text(attributes(inner.get(3, b"")).get(1, b""))))
            direction = 0
        elif kind == "immediate":
            verdict = attributes(attributes(inner.get(2, b"")).get(2, b""))
            if 1 in verdict and network(verdict[1]) == _DROP:
                return []
    return named
