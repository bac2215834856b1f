"""Whose a firewall is, and what its owner does to let a bridge pass.

Each of these programs writes its rules anew when it likes, so what lets a bridge pass has to be
said to the program. Docker alone has a chain for others, DOCKER-USER, that it leaves as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

DOCKER_USER: Final = "DOCKER-USER"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has a chain, and what lets a bridge pass it."""

    name: str
    commands: tuple[str, ...]
    """For what is forwarded; braces hold fields."""
    input_commands: tuple[str, ...] = ()
    """For what is asked of the machine itself."""
    routed_commands: tuple[str, ...] = ()
    """What it takes besides where others may begin connections to the bridge's network."""


_BOTH: Final = ("-i {bridge} -j ACCEPT", "-o {bridge} -j ACCEPT")

DOCKER: Final = Owner("Docker", tuple(f"{{iptables}} -I {{chain}} {each}" for each in _BOTH))
"""The commands are for where DOCKER-USER does not help, or is not ours to write to: others' rules
come before it, Docker was removed and left it behind, there is none for IPv6 (before Docker 23), or
it is of iptables-legacy."""
UFW: Final = Owner(
    "ufw",
    ("ufw route allow in on {bridge}", "ufw route allow out on {bridge}"),
    ("ufw allow in on {bridge}",),
)
_RELOAD: Final = "firewall-cmd --reload"
_TRUSTED: Final = ("firewall-cmd --permanent --zone=trusted --add-interface={bridge}", _RELOAD)
FIREWALLD: Final = Owner(
    "firewalld",
    _TRUSTED,
    _TRUSTED,
    (
        # An option that changes a policy stands alone (firewall-cmd(1)).
        "firewall-cmd --permanent --new-policy=to-{bridge}",
        "firewall-cmd --permanent --policy=to-{bridge} --add-ingress-zone=ANY",
        "firewall-cmd --permanent --policy=to-{bridge} --add-egress-zone=trusted",
        "firewall-cmd --permanent --policy=to-{bridge} --set-target=ACCEPT",
        _RELOAD,
    ),
)
IPTABLES: Final = Owner(
    "iptables",
    tuple(f"{{iptables}} -I {{chain}} {each}" for each in _BOTH),
    ("{iptables} -I {chain} -i {bridge} -j ACCEPT",),
)
LEGACY: Final = Owner(
    "iptables-legacy",
    tuple(f"{{iptables}}-legacy -I {{chain}} {each}" for each in _BOTH),
    ("{iptables}-legacy -I {chain} -i {bridge} -j ACCEPT",),
)
LEGACY_DOCKER: Final = Owner("Docker", LEGACY.commands)
NFTABLES: Final = Owner(
    "nftables",
    (
        'nft insert rule {family} {table} {chain} iifname "{bridge}" accept',
        'nft insert rule {family} {table} {chain} oifname "{bridge}" accept',
    ),
    ('nft insert rule {family} {table} {chain} iifname "{bridge}" accept',),
)

EBTABLES: Final = Owner(
    "ebtables", ("ebtables -t {table} -I {chain} --logical-{direction} {bridge} -j ACCEPT",)
)
FRAMES: Final = Owner(
    "nftables",
    ('nft insert rule bridge {table} {chain} meta {direction}brname "{bridge}" accept',),
)
"""A chain of the family bridge."""

DEVICE: Final = Owner(
    "nftables",
    ('nft insert rule {family} {table} {chain} {direction}ifname "{device}" accept',),
)
"""A chain at an interface."""

_IPTABLES_CHAINS: Final = ("FORWARD", "INPUT")
_EBTABLES_TABLES: Final = ("filter", "nat")
_OF_DOCKER: Final = frozenset({DOCKER_USER, "DOCKER-ISOLATION-STAGE-1", "DOCKER-FORWARD"})


def owner_of(table: str, chain: str, chains: Iterable[str]) -> Owner:
    """Who has a base chain of nftables, by the names that these programs give to their chains;
    `chains` are all of its table.
    """
    if table == "firewalld":
        return FIREWALLD
    names = set(chains)
    if _is_ufw(names):
        return UFW
    if names & _OF_DOCKER and chain != "INPUT":
        return DOCKER
    return IPTABLES if table == "filter" and chain in _IPTABLES_CHAINS else NFTABLES


def owner_of_frames(table: str, chain: str) -> Owner:
    """Who has a base chain of the family bridge."""
    return EBTABLES if table in _EBTABLES_TABLES and chain.isupper() else FRAMES


def legacy_owner_of(chain: str, chains: Iterable[str]) -> Owner:
    """Who has a chain of iptables-legacy that is built in; `chains` are all of its table."""
    names = set(chains)
    if _is_ufw(names):
        return UFW
    return LEGACY_DOCKER if names & _OF_DOCKER and chain != "INPUT" else LEGACY


def _is_ufw(names: Iterable[str]) -> bool:
    return any(name.startswith(("ufw-", "ufw6-")) for name in names)
