"""Rules of nftables, as libnftables lists them in JSON, in a form in which they can be walked.

Rules of iptables's newer kind are among them: what nftables has no words for (`xt`) is known by
its name alone. Of these, matches of connection states are taken for what everybody writes there:
accepted are packets of connections that exist, dropped are those of none that could. And so are
those of kinds of addresses by which a chain is left: that is for what is meant for the machine,
before all else is dropped (as ufw does). What asks for a bridge's port and accepts asks whether the
packet is bridged at all.

Source: libnftables-json(5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

from linkspan.services.packets import ARP, Way
from linkspan.services.rule_walk import (
    Rule,
    Test,
    Verdict,
    address_in,
    bridge_is,
    destination_is,
    interface_is,
    is_bridged,
    may_be_bridged,
    negated,
    never,
    one_of,
    port_in,
    protocol_is,
    state_is,
    unknown,
    version_is,
)

Json = dict[str, Any]

_VERDICTS: Final = {
    "accept": Verdict.ACCEPT,
    "drop": Verdict.DROP,
    "reject": Verdict.DROP,
    "return": Verdict.RETURN,
    "jump": Verdict.JUMP,
    "goto": Verdict.GOTO,
}
_VERSIONS: Final = {"ip": 4, "ip6": 6, "ipv4": 4, "ipv6": 6, "arp": ARP}
_NO_VERSION: Final = -1
_INTERFACES: Final = {"iifname": True, "iif": True, "oifname": False, "oif": False}
_BRIDGES: Final = {"ibrname": True, "obrname": False}


@dataclass(slots=True)
class Table:
    """A table with the rules of its chains."""

    family: str
    name: str
    bases: list[Json] = field(default_factory=list)
    """Its base chains."""
    chains: dict[str, list[Rule]] = field(default_factory=dict)
    marked: dict[str, dict[str, Json]] = field(default_factory=dict)
    """By chain, the rules that have a comment, by it: ours are known by theirs."""


def tables(listed: Sequence[Json], ours: str) -> list[Table]:
    """The tables of a ruleset; rules whose comment begins with `ours` are as if not there."""
    found: dict[tuple[str, str], Table] = {}
    for each in listed:
        if "chain" in each:
            chain = each["chain"]
            table = _table(found, chain)
            table.chains[chain["name"]] = []
            if "hook" in chain:
                table.bases.append(chain)
        elif "rule" in each:
            rule = each["rule"]
            table = _table(found, rule)
            comment = rule.get("comment", "")
            if comment.startswith(ours):
                table.marked.setdefault(rule["chain"], {}).setdefault(comment, rule)
            else:
                table.chains[rule["chain"]] += _rules(rule)
    return list(found.values())


def _table(found: dict[tuple[str, str], Table], of: Json) -> Table:
    key = of["family"], of["table"]
    return found.setdefault(key, Table(*key))


def _rules(rule: Json) -> Iterator[Rule]:
    """A rule, or several where it is a map of verdicts."""
    name = f"rule {rule['handle']}"
    verdict, target = _verdict(rule["expr"])
    tests: list[Test] = []
    for statement in rule["expr"]:
        for kind, value in statement.items():
            if kind == "match":
                tests.append(_match(value))
            elif kind == "xt" and (value or {}).get("type", "match") == "match":
                tests.append(_xt((value or {}).get("name", ""), verdict))
            elif kind == "limit":
                tests.append(unknown)
            elif kind == "vmap" and isinstance(value["data"], Mapping):
                for wanted, statement_there in value["data"]["set"]:
                    there, jump = _verdict([statement_there])
                    yield Rule((*tests, _compare(value["key"], wanted)), there, jump, name)
    yield Rule(tuple(tests), verdict, target, name)


def _verdict(statements: Sequence[Json]) -> tuple[Verdict, str]:
    for statement in statements:
        for kind, value in statement.items():
            if kind in _VERDICTS:
                target = value["target"] if kind in ("jump", "goto") else ""
                return _VERDICTS[kind], target
            if kind == "xt" and value and value.get("name") == "REJECT":
                return Verdict.DROP, ""
    return Verdict.NOTHING, ""


def _match(match: Json) -> Test:
    test = _compare(match["left"], match["right"])
    if match["op"] == "!=":
        return negated(test)
    return test if match["op"] in ("==", "in") else unknown


def _compare(left: Any, right: Any) -> Test:
    """A condition on one field of a packet; on what is none of those below, an unknown one."""
    values = _values(right)
    if values is None:
        return unknown
    match left:
        case {"meta": {"key": "iifname" | "iif" | "oifname" | "oif" as key}}:
            return one_of(interface_is(_INTERFACES[key], str(value)) for value in values)
        case {"meta": {"key": "ibrname" | "obrname" as key}}:
            return one_of(bridge_is(_BRIDGES[key], str(value)) for value in values)
        case {"meta": {"key": "nfproto" | "protocol"}} | {
            "payload": {"protocol": "ether", "field": "type"}
        }:
            return one_of(version_is(_VERSIONS.get(str(value), _NO_VERSION)) for value in values)
        case {"meta": {"key": "l4proto"}}:
            return one_of(protocol_is(str(value)) for value in values)
        case {"ct": {"key": "state"}}:
            return state_is(map(str, values))
        case {"fib": {"result": "type", "flags": ["daddr"]}}:
            return destination_is(map(str, values))
        case {"ct": {"key": "status"}} if values == ["dnat"]:
            return lambda packet: packet.is_translated
        case {"payload": {"protocol": "ip" | "ip6", "field": "saddr" | "daddr" as side}}:
            networks = [_network(value) for value in values]
            known = [each for each in networks if each is not None]
            return address_in(side == "saddr", known) if len(known) == len(networks) else unknown
        case {"payload": {"protocol": "tcp" | "udp" as protocol, "field": "dport"}}:
            return one_of(_ports(protocol, value) for value in values)
    return unknown


def _values(right: Any) -> list[Any] | None:
    """What a field is compared with; None for a set with a name."""
    if isinstance(right, str) and right.startswith("@"):
        return None
    values = right["set"] if isinstance(right, Mapping) and "set" in right else right
    return [
        each["elem"]["val"] if isinstance(each, Mapping) and "elem" in each else each
        for each in (values if isinstance(values, list) else [values])
    ]


def _network(value: Any) -> Any:
    match value:
        case {"prefix": {"addr": str() as address, "len": int() as length}}:
            return ip_network(f"{address}/{length}")
        case str():
            try:
                return ip_network(value)
            except ValueError:
                return None
    return None


def _ports(protocol: str, value: Any) -> Test:
    match value:
        case int():
            return port_in(protocol, value, value)
        case {"range": [int() as first, int() as last]}:
            return port_in(protocol, first, last)
    return unknown


def _xt(name: str, verdict: Verdict) -> Test:
    return xt_match(name, verdict) or unknown


def xt_match(name: str, verdict: Verdict) -> Test | None:
    """What a match of iptables that is known by its name alone most likely says."""
    match name:
        case "conntrack" | "state" if verdict is Verdict.ACCEPT:
            return state_is(["established"])
        case "conntrack" | "state" if verdict is Verdict.DROP:
            return never
        case "addrtype" if verdict is Verdict.RETURN:
            return lambda packet: packet.way is Way.TO_NODE or None
        case "physdev":
            return is_bridged if verdict is Verdict.ACCEPT else may_be_bridged
        case "comment":
            return lambda packet: True
        case "tcp" | "udp":
            return lambda packet: False if packet.protocol not in (None, name) else None
    return None
