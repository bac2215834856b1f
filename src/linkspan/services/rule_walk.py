"""What becomes of a packet in the rules of a firewall, as far as its rules can be understood.

A packet stands for many (`services.packets`). So a condition is true for all of them, false for all
of them, or not known (None), as for sets, limits and marks. A rule counts only when it is true:
what is not known neither saves a packet nor condemns it. In this way a chain with a policy of drop
that accepts by conditions which nobody here understands is named once too often rather than not at
all, and a rule against single hosts or ports does not keep a whole network from coming up.

Chains of iptables and of nftables are both of this form (`services.nft_rules`, `.legacy_rules`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from linkspan.services.packets import Network, Packet, Way

MOST_JUMPS: Final = 16
"""NFT_JUMP_STACK_SIZE (include/net/netfilter/nf_tables.h)."""

Test: TypeAlias = Callable[[Packet], bool | None]


class Verdict(enum.Enum):
    """What a rule does with a packet that its conditions are true for."""

    ACCEPT = "accept"
    DROP = "drop"
    JUMP = "jump"
    GOTO = "goto"
    RETURN = "return"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions that have to be true together, and what is done then."""

    tests: tuple[Test, ...]
    verdict: Verdict
    target: str = ""
    """The chain that is jumped to."""
    name: str = ""
    """How people find it."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a packet was accepted or dropped."""

    verdict: Verdict
    chain: str
    rule: str
    """Empty for a chain's policy."""


Chains: TypeAlias = Mapping[str, Sequence[Rule]]


def walk(chains: Chains, base: str, policy: Verdict, packet: Packet) -> End:
    """What becomes of a packet that comes to a base chain."""
    return _run(chains, base, packet, MOST_JUMPS) or End(policy, base, "")


def _run(chains: Chains, name: str, packet: Packet, jumps: int) -> End | None:
    for rule in chains.get(name, ()):
        is_true = all_of(test(packet) for test in rule.tests)
        if not is_true:
            continue
        match rule.verdict:
            case Verdict.ACCEPT | Verdict.DROP:
                return End(rule.verdict, name, rule.name)
            case Verdict.JUMP | Verdict.GOTO if jumps:
                found = _run(chains, rule.target, packet, jumps - 1)
                if found is not None or rule.verdict is Verdict.GOTO:
                    return found
            case Verdict.RETURN:
                return None
    return None


def all_of(values: Iterable[bool | None]) -> bool | None:
    """Whether all are true: False as soon as one is false, None when that is not known."""
    known: bool | None = True
    for value in values:
        if value is False:
            return False
        if value is None:
            known = None
    return known


def any_of(values: Iterable[bool | None]) -> bool | None:
    """Whether one is true."""
    return inverse(all_of(map(inverse, values)))


def inverse(value: bool | None) -> bool | None:
    """The opposite of what is known."""
    return None if value is None else not value


def interface_is(is_incoming: bool, pattern: str) -> Test:
    """Whether the packet comes in (or goes out) by an interface; `br*` is every one so begun."""

    def test(packet: Packet) -> bool | None:
        name = packet.interface(is_incoming)
        begin = pattern.removesuffix("*")
        if name is not None:
            return name.startswith(begin) if begin != pattern else name == pattern
        if pattern in ("*", ""):
            return True
        return False if pattern in (packet.bridge, "lo") else None

    return test


def bridge_is(is_incoming: bool, name: str) -> Test:
    """Whether the frame comes in (or goes out) by a port of a bridge."""
    return lambda packet: packet.bridge_of_port(is_incoming) == name


def address_in(is_source: bool, networks: Sequence[Network]) -> Test:
    """Whether the packet's source (or destination) is in one of some networks of one version."""

    def test(packet: Packet) -> bool | None:
        same = [each for each in networks if each.version == packet.version]
        if any(not each.prefixlen for each in same):
            return True
        if not same:
            return False
        is_own = packet.way is (Way.OUT if is_source else Way.IN)
        if is_own and packet.network:
            if all(any(_holds(each, own) for each in same) for own in packet.network):
                return True
            overlaps = any(each.overlaps(own) for each in same for own in packet.network)
            return None if overlaps else False
        if packet.network and all(any(_holds(o, each) for o in packet.network) for each in same):
            return False  # the other end of a forwarded packet is outside
        return None

    return test


def _holds(outer: Network, inner: Network) -> bool:
    return outer.prefixlen <= inner.prefixlen and outer.overlaps(inner)


def state_is(states: Iterable[str]) -> Test:
    """Whether the packet's connection is in one of some states, as nft(8) calls them."""
    wanted = frozenset(states)
    return lambda packet: ("new" if packet.is_new else "established") in wanted


def destination_is(kinds: Iterable[str]) -> Test:
    """Whether the packet's destination is of one of some kinds, as nft(8) calls them."""
    wanted = frozenset(kinds)
    return lambda packet: None if packet.destination is None else packet.destination in wanted


def version_is(version: int) -> Test:
    """Whether it is a packet of that IP version."""
    return lambda packet: packet.version == version


def protocol_is(protocol: str) -> Test:
    """Whether it is a packet of a transport protocol."""
    return lambda packet: None if packet.protocol is None else packet.protocol == protocol


def port_in(protocol: str, first: int, last: int) -> Test:
    """Whether it is for a port of a transport protocol, from the first to the last."""

    def test(packet: Packet) -> bool | None:
        if packet.protocol is None or packet.port is None:
            return None
        return packet.protocol == protocol and first <= packet.port <= last

    return test


def negated(test: Test) -> Test:
    """The opposite of a condition."""
    return lambda packet: inverse(test(packet))


def one_of(tests: Iterable[Test]) -> Test:
    """Whether one of some conditions is true."""
    every = tuple(tests)
    return lambda packet: any_of(test(packet) for test in every)


def unknown(_: Packet) -> bool | None:
    """A condition that is not understood."""
    return None


def is_bridged(packet: Packet) -> bool | None:
    """Whether it is one that goes from port to port."""
    return packet.way is Way.BRIDGED


def may_be_bridged(packet: Packet) -> bool | None:
    """A condition that can be true only for such."""
    return None if packet.way is Way.BRIDGED else False


def never(_: Packet) -> bool | None:
    """A condition that is true for no packet that is looked at."""
    return False
