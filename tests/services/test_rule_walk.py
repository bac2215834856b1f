"""Packets walked through rules, as far as rules can be understood."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from linkspan.services.nft_rules import Table, tables
from linkspan.services.packets import ARP, Packet, Way
from linkspan.services.rule_walk import Verdict, all_of, any_of, walk

NETWORK = (ip_network("10.0.0.0/24"),)
OUT = Packet(Way.OUT, "br0", 4, "out", "eth0", NETWORK)
ANSWER = Packet(Way.IN, "br0", 4, "answers", "eth0", NETWORK, is_new=False)
ANYWHERE = Packet(Way.OUT, "br0", 4, "out", None, NETWORK)
PUBLISHED = Packet(Way.IN, "br0", 4, "in", "eth0", NETWORK, is_translated=True)
QUESTION = Packet(Way.TO_NODE, "br0", 4, "DHCP", protocol="udp", port=67, destination="broadcast")
BRIDGED = Packet(Way.BRIDGED, "br0", 4, "between ports")
FRAME = Packet(Way.BETWEEN, "br0", ARP, "between ports")
COMING = Packet(Way.INGRESS, "br0", 6, "from ports")

Json = dict[str, Any]


def match(left: Json, right: Any, op: str = "==") -> Json:
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key: str) -> Json:
    return {"meta": {"key": key}}


def field(protocol: str, name: str) -> Json:
    return {"payload": {"protocol": protocol, "field": name}}


def prefix(text: str) -> Json:
    address, _, length = text.partition("/")
    return {"prefix": {"addr": address, "len": int(length)}}


TYPE = {"fib": {"result": "type", "flags": ["daddr"]}}
STATE = {"ct": {"key": "state"}}


def table(*rules: list[Json], comment: str = "", other: Sequence[list[Json]] = ()) -> Table:
    """A table with a base chain of some rules, and another chain."""
    listed: list[Json] = []
    for name, content in {"base": rules, "other": other}.items():
        own = {"family": "inet", "table": "t"}
        listed.append({"chain": {**own, "name": name}})
        listed += [
            {"rule": {**own, "chain": name, "handle": n, "expr": rule, "comment": comment}}
            for n, rule in enumerate(content, 1)
        ]
    (found,) = tables(listed, "linkspan:lab:")
    return found


def end(packet: Packet, *rules: list[Json], other: Sequence[list[Json]] = ()) -> str:
    """What becomes of a packet in a chain with a policy of accept: `accept`, or the rule by which
    it is dropped.
    """
    found = walk(table(*rules, other=other).chains, "base", Verdict.ACCEPT, packet)
    return f"{found.chain} {found.rule}" if found.verdict is Verdict.DROP else "accept"


DROP: Json = {"drop": None}
ACCEPT: Json = {"accept": None}


@pytest.mark.parametrize(
    ("packet", "condition", "is_true"),
    [
        (OUT, match(meta("iifname"), "br0"), True),
        (OUT, match(meta("iifname"), "br*"), True),
        (OUT, match(meta("iifname"), {"set": ["br1", "br0"]}), True),
        (OUT, match(meta("iifname"), {"set": [{"elem": {"val": "br0", "comment": "c"}}]}), True),
        (OUT, match(field("ip", "ttl"), 1, ">"), False),
        (OUT, match(meta("oifname"), "eth0", "<"), False),
        (OUT, match(meta("oifname"), "eth0"), True),
        (OUT, match(meta("oifname"), "br0", "!="), True),
        (OUT, match(meta("oifname"), "eth1"), False),
        (ANYWHERE, match(meta("oifname"), "eth0"), False),
        (ANYWHERE, match(meta("oifname"), "eth0", "!="), False),
        (ANYWHERE, match(meta("oifname"), "br0", "!="), True),
        (ANSWER, match(meta("iifname"), "eth0"), True),
        (QUESTION, match(meta("oifname"), "eth0"), False),
        (OUT, match(field("ip", "saddr"), prefix("10.0.0.0/8")), True),
        (OUT, match(field("ip", "saddr"), prefix("10.0.0.0/25")), False),
        (OUT, match(field("ip", "saddr"), prefix("10.1.0.0/16"), "!="), True),
        (OUT, match(field("ip", "saddr"), "10.0.0.7"), False),
        (OUT, match(field("ip", "daddr"), prefix("192.0.2.0/24")), False),
        (OUT, match(field("ip6", "saddr"), prefix("fd00::/8")), False),
        (ANSWER, match(field("ip", "daddr"), prefix("10.0.0.0/24")), True),
        (ANSWER, match(field("ip", "saddr"), prefix("10.0.0.0/24"), "!="), True),
        (OUT, match(STATE, ["established", "related"], "in"), False),
        (ANSWER, match(STATE, ["established", "related"], "in"), True),
        (PUBLISHED, match({"ct": {"key": "status"}}, "dnat", "in"), True),
        (OUT, match(meta("nfproto"), "ipv6"), False),
        (QUESTION, match(field("udp", "dport"), {"set": [53, {"range": [67, 68]}]}), True),
        (QUESTION, match(field("udp", "dport"), 53), False),
        (QUESTION, match(meta("l4proto"), "udp"), True),
        (OUT, match(field("tcp", "dport"), 80), False),
        (FRAME, match(meta("ibrname"), "br0"), True),
        (FRAME, match(meta("obrname"), "br1"), False),
        (COMING, match(meta("ibrname"), "br0"), True),
        (COMING, match(meta("obrname"), "br0"), False),
        (BRIDGED, match(meta("ibrname"), "br0"), False),
        (FRAME, match(meta("iifname"), "a.eth0"), False),
        (FRAME, match(meta("iifname"), "br0", "!="), True),
        (BRIDGED, match(meta("oifname"), "br0"), True),
        (FRAME, match(field("ether", "type"), "arp"), True),
        (FRAME, match(field("ether", "type"), {"set": ["ip", 35020]}), False),
        (FRAME, match(field("ip", "saddr"), prefix("10.0.0.0/8")), False),
        (COMING, match(meta("protocol"), "ip6"), True),
        (BRIDGED, {"xt": {"type": "match", "name": "physdev"}}, False),
        (QUESTION, match(TYPE, "broadcast"), True),
        (QUESTION, match(TYPE, {"set": ["local", "multicast"]}), False),
        (OUT, match(TYPE, "local"), False),
        (OUT, match(field("ip", "saddr"), "@blocked"), False),
        (OUT, match(meta("mark"), 7), False),
        (OUT, {"limit": {"rate": 3}}, False),
        (OUT, {"xt": {"type": "match", "name": "physdev"}}, False),
        (OUT, {"xt": {"type": "match", "name": "comment"}}, True),
        (OUT, {"counter": {"packets": 0}}, True),
    ],
)
def test_a_rule_counts_when_its_condition_is_known_to_be_true(
    packet: Packet, condition: Json, is_true: bool
) -> None:
    assert (end(packet, [condition, DROP]) == "base rule 1") is is_true


def test_states_that_iptables_asks_for_are_taken_for_what_everybody_writes() -> None:
    states = {"xt": {"type": "match", "name": "conntrack"}}
    assert end(ANSWER, [states, ACCEPT], [DROP]) == "accept"
    assert end(OUT, [states, ACCEPT], [DROP]) == "base rule 2"
    assert end(OUT, [states, DROP]) == "accept"


def test_what_asks_for_ports_and_accepts_asks_whether_a_packet_is_bridged() -> None:
    ports = {"xt": {"type": "match", "name": "physdev"}}
    assert end(BRIDGED, [ports, ACCEPT], [DROP]) == "accept"
    assert end(OUT, [ports, ACCEPT], [DROP]) == "base rule 2"


def test_what_is_meant_for_the_machine_leaves_a_chain_that_drops_all_else() -> None:
    kinds = {"xt": {"type": "match", "name": "addrtype"}}
    jump: Json = {"jump": {"target": "other"}}
    there: list[list[Json]] = [[kinds, {"return": None}], [DROP]]
    assert end(QUESTION, [jump], [ACCEPT], other=there) == "accept"
    assert end(OUT, [jump], [ACCEPT], other=there) == "other rule 2"


def test_jumps_come_back_and_others_do_not() -> None:
    def leads(how: str, there: list[Json]) -> str:
        jump = {how: {"target": "other"}}
        return end(OUT, [jump], [{"reject": None}], other=[there])

    assert leads("jump", [{"return": None}]) == "base rule 2"
    assert leads("goto", [{"return": None}]) == "accept"
    assert leads("jump", [ACCEPT]) == "accept"
    assert leads("goto", [{"xt": {"type": "target", "name": "REJECT"}}]) == "other rule 1"
    assert leads("jump", [{"jump": {"target": "other"}}]) == "base rule 2", "without end"


def test_a_map_of_verdicts_is_a_rule_for_each_of_its_keys() -> None:
    there = {"set": [["eth7", DROP], ["br0", {"goto": {"target": "other"}}]]}
    mapped = [{"vmap": {"key": meta("iifname"), "data": there}}]
    assert end(OUT, mapped, other=[[DROP]]) == "other rule 1"
    assert end(ANSWER, mapped, other=[[DROP]]) == "accept"


def test_rules_of_ours_are_as_if_not_there() -> None:
    found = table([DROP], comment="linkspan:lab:br0:iifname")
    assert walk(found.chains, "base", Verdict.ACCEPT, OUT).verdict is Verdict.ACCEPT
    assert list(found.marked["base"]) == ["linkspan:lab:br0:iifname"]


def test_what_is_not_known_stays_so_unless_the_rest_decides() -> None:
    assert all_of([True, None]) is None
    assert all_of([False, None]) is False
    assert any_of([True, None]) is True
    assert any_of([False, None]) is None
    assert all_of([]) is True
