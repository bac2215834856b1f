"""Firewalls of others that would drop what a network sends, gets, or asks of the machine.

What a lab needs is told as packets (`services.traffic`, `services.frames`). Each has to be accepted
by every base chain of its hook, whoever's it is: what our table accepts, a chain of Docker,
firewalld, ufw or of an administrator still drops, by its policy or by a rule. So packets are walked
through the rules of all others (`services.rule_walk`). Where Docker's rules drop them, a place in
its chain for others' rules is named, which the plan then fills (`services.passes`). All else is
nobody's but its owner's: the chain is named before anything is touched, with the command by which
the owner lets a bridge pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from linkspan.engine.reading.firewall import may_be_asked, read_devices, read_legacy_tables
from linkspan.engine.reading.legacy import read_legacy
from linkspan.errors import Fault, Missing
from linkspan.model.rules import PassKey
from linkspan.model.topology import HOST
from linkspan.services.firewalls import (
    DEVICE,
    DOCKER,
    DOCKER_USER,
    EBTABLES,
    LEGACY_DOCKER,
    Owner,
    legacy_owner_of,
    owner_of,
    owner_of_frames,
)
from linkspan.services.legacy_rules import BUILT_IN, legacy_chains
from linkspan.services.nft_rules import Table, tables
from linkspan.services.nftables import list_ruleset
from linkspan.services.packets import ARP, Packet, Way
from linkspan.services.passes import mark
from linkspan.services.rule_walk import Chains, End, Rule, Verdict, interface_is, walk
from linkspan.services.ruleset import table_name

_FAMILIES: Final = {
    "inet": (ARP, 4, 6),
    "ip": (4,),
    "ip6": (6,),
    "bridge": (ARP, 4, 6),
    "netdev": (ARP, 4, 6),
}
"""Families of tables, and which versions pass through them."""

_HOOKS: Final = {"forward": (Way.OUT, Way.IN, Way.BRIDGED), "input": (Way.TO_NODE,)}
_FRAME_HOOKS: Final = {
    "prerouting": (Way.INGRESS,),
    "forward": (Way.BETWEEN,),
    "input": (Way.UP,),
    "output": (Way.DOWN,),
    "postrouting": (Way.EGRESS,),
}
_DEVICE_HOOKS: Final = {"ingress": (Way.INGRESS,), "egress": (Way.EGRESS,)}


@dataclass(slots=True)
class Found:
    """What stands in the way, and what takes a part of it out of it."""

    faults: list[Fault] = field(default_factory=list)
    passes: list[PassKey] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Base:
    """A base chain of somebody else's, with all chains of its table."""

    family: str
    table: str
    chain: str
    hook: str
    policy: Verdict
    owner: Owner
    chains: Chains
    devices: tuple[str, ...] = ()
    """Where it stands at interfaces and not at all of them."""

    def drops(self, packets: Iterable[Packet]) -> list[list[tuple[Packet, End]]]:
        """Which of some packets end here, those of each bridge together."""
        ways = _hooks(self.family, self.devices)[self.hook]
        found: dict[str, list[tuple[Packet, End]]] = {}
        for packet in packets:
            is_here = not self.devices or packet.other in self.devices
            if is_here and packet.version in _FAMILIES[self.family] and packet.way in ways:
                end = walk(self.chains, self.chain, self.policy, packet)
                if end.verdict is Verdict.DROP:
                    found.setdefault(packet.bridge, []).append((packet, end))
        return list(found.values())


def obstacles(lab: str, packets: Sequence[Packet]) -> Found:
    """What would drop packets that a lab needs, in the namespace of the calling thread. Raises
    OSError, Refusal or Missing.
    """
    found = Found()
    for base in _bases(lab) if packets else ():
        for dropped in base.drops(packets):
            helps = base.owner in (DOCKER, LEGACY_DOCKER) and all(
                _is_let_pass(base, packet) for packet, _ in dropped
            )
            if helps and base.owner is DOCKER:
                bridge = dropped[0][0].bridge
                found.passes.append(PassKey(HOST, base.family, base.table, bridge))
            else:
                found.faults.append(_fault(base, dropped, DOCKER_USER if helps else base.chain))
    return found


def _bases(lab: str) -> Iterator[_Base]:
    for name in read_legacy_tables():
        family, _, table = name.partition(" ")
        if table == "filter" and family in _FAMILIES:
            chains, policies = legacy_chains(read_legacy(family, table))
            for hook, policy in policies.items():
                chain = BUILT_IN[hook]
                owner = legacy_owner_of(chain, chains)
                yield _Base(family, "filter (legacy)", chain, hook, policy, owner, chains)
    listed = []
    with contextlib.suppress(Missing):  # who wants rules was told of it before
        listed = list_ruleset() if may_be_asked() else []
    devices = read_devices() if listed else {}
    for found in tables(listed, mark(lab)):
        if found.family in _FAMILIES and found.name != table_name(lab):
            yield from _bases_of(found, devices)


def _bases_of(
    table: Table, devices: Mapping[tuple[str, str, str], tuple[str, ...]]
) -> Iterator[_Base]:
    for base in table.bases:
        name, hook = base["name"], base["hook"]
        at = devices.get((table.family, table.name, name), ())
        if base["type"] == "filter" and hook in _hooks(table.family, at):
            policy = Verdict.DROP if base.get("policy") == "drop" else Verdict.ACCEPT
            owner = _owner(table, name, at)
            yield _Base(table.family, table.name, name, hook, policy, owner, table.chains, at)


def _owner(table: Table, chain: str, devices: tuple[str, ...]) -> Owner:
    if devices:
        return DEVICE
    if table.family == "bridge":
        return owner_of_frames(table.name, chain)
    return owner_of(table.name, chain, table.chains)


def _hooks(family: str, devices: tuple[str, ...]) -> Mapping[str, tuple[Way, ...]]:
    if devices:
        return _DEVICE_HOOKS
    return _FRAME_HOOKS if family == "bridge" else _HOOKS


def _is_let_pass(base: _Base, packet: Packet) -> bool:
    """Whether the packet would pass if Docker's chain for others let its bridge pass."""
    if DOCKER_USER not in base.chains:
        return False
    ours = [
        Rule((interface_is(is_incoming, packet.bridge),), Verdict.ACCEPT)
        for is_incoming in (True, False)
    ]
    with_ours = {**base.chains, DOCKER_USER: [*ours, *base.chains[DOCKER_USER]]}
    return walk(with_ours, base.chain, base.policy, packet).verdict is Verdict.ACCEPT


def _fault(base: _Base, dropped: Sequence[tuple[Packet, End]], place: str) -> Fault:
    """What is said of a bridge's packets that are dropped; `place` is the chain where its owner
    accepts them.
    """
    packet, end = dropped[0]
    fields = {
        "bridge": packet.bridge,
        "family": base.family,
        "table": base.table,
        "chain": place,
        "iptables": "ip6tables" if base.family == "ip6" else "iptables",
    }
    names = ("in", "out") if base.owner is EBTABLES else ("i", "o")
    fields["direction"] = names[packet.way in (Way.DOWN, Way.EGRESS)]
    fields["device"] = packet.other or ""
    where = f", by {end.rule}" if end.rule else ""
    where += f" of chain {end.chain}" if end.rule and end.chain != base.chain else ""
    policy = "drop" if base.policy is Verdict.DROP else "accept"
    is_input = packet.way is Way.TO_NODE
    commands = _commands(base.owner, is_input, [packet for packet, _ in dropped])
    return Fault(
        f"bridge {packet.bridge}: a firewall of this machine drops "
        + ("what is asked of it" if is_input else "what it forwards"),
        expected=f"rules that let {packet.bridge} pass, in" + ("" if is_input else " and out"),
        found=f"chain {base.chain} of table {base.family} {base.table} ({base.owner.name}), "
        f"hook {base.hook}, policy {policy}{where}: {packet.words}",
        next_step="; ".join(command.format_map(fields) for command in commands),
        path=("bridges", packet.bridge),
    )


def _commands(owner: Owner, is_input: bool, dropped: Sequence[Packet]) -> list[str]:
    """What an owner does about packets that are dropped."""
    if is_input:
        return list(owner.input_commands)
    begun = [
        packet.way is Way.IN and packet.is_new and not packet.is_translated for packet in dropped
    ]
    if not owner.routed_commands or not any(begun):
        return list(owner.commands)
    return [*(() if all(begun) else owner.commands), *owner.routed_commands]
