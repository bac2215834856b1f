"""Rules of a node in the language of libnftables: a pure function from facts to JSON.

    raw, prerouting      nobody on a network reaches the node's 127.0.0.0/8
    nat, prerouting      published ports, for what comes in
    nat, output          published ports, for what the node itself sends
    filter, forward      who may open connections to whom
    nat, postrouting     masquerading, and the source of what comes back to where it came from

All is in one table of the family inet, named after the lab and written anew in one transaction, so
there is no moment with half of the rules, and no other program's table is touched. Beside the
chains stands an empty one whose name holds a digest of the rules: by it, and by the number of
rules in each chain, what is there is compared with what should be.

An accepted packet goes on to the other tables of the hook, so these can still drop it (see
`services.obstacles`). Chains with nothing in them are left out.

Source: libnftables-json(5), nft(8).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import msgspec

from linkspan.model.rules import Network, PortForward, Rules
from linkspan.plan.forwarding import listens_on_loopback

Json: TypeAlias = dict[str, Any]
Rule: TypeAlias = list[Json]

FAMILY: Final = "inet"
DIGEST_PREFIX: Final = "digest-"

_ACCEPT: Final[Json] = {"accept": None}
_DROP: Final[Json] = {"drop": None}
_REJECT: Final[Json] = {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}
_MASQUERADE: Final[Json] = {"masquerade": None}
_LOOPBACK: Final = "127.0.0.0/8"
_IP: Final = {4: "ip", 6: "ip6"}
_NFPROTO: Final = {4: "ipv4", 6: "ipv6"}

CHAINS: Final[Mapping[str, Json]] = {
    "guard": {"type": "filter", "hook": "prerouting", "prio": -300},
    "publish": {"type": "nat", "hook": "prerouting", "prio": -100},
    "publish-own": {"type": "nat", "hook": "output", "prio": -100},
    "forward": {"type": "filter", "hook": "forward", "prio": 0},
    "translate": {"type": "nat", "hook": "postrouting", "prio": 100},
}
"""Base chains by name, with the usual priorities of their hooks (nft(8), priority names)."""


def table_name(lab: str) -> str:
    """The name of a lab's table."""
    return f"linkspan-{lab}"


def chains(rules: Rules) -> dict[str, list[Rule]]:
    """The rules of each chain, as expressions."""
    found = {
        "guard": list(_guard(rules)),
        "publish": [rule for each in rules.forwards for rule in _forward(each, own=False)],
        "publish-own": [rule for each in rules.forwards for rule in _forward(each, own=True)],
        "forward": list(_filter(rules)),
        "translate": list(_translate(rules)),
    }
    return {name: content for name, content in found.items() if content}


def digest(rules: Rules) -> str:
    """The name of the chain that tells which rules a table holds."""
    text = msgspec.json.encode([chains(rules), dict(CHAINS)])
    return DIGEST_PREFIX + blake2b(text, digest_size=16).hexdigest()


def table(lab: str, rules: Rules | None) -> Json:
    """Commands that put a lab's table in the place of the one that is there; None removes it."""
    name = table_name(lab)
    own: Json = {"family": FAMILY, "table": name}
    whole: Json = {"table": {"family": FAMILY, "name": name}}
    # Deleting what is not there is refused, so it is added first.
    commands: list[Json] = [{"add": whole}, {"delete": whole}]
    if rules is not None:
        commands.append({"add": whole})
        content = chains(rules)
        for chain in content:
            base = {**own, "name": chain, **CHAINS[chain], "policy": "accept"}
            commands.append({"add": {"chain": base}})
        for chain, found in content.items():
            commands += [{"add": {"rule": {**own, "chain": chain, "expr": rule}}} for rule in found]
        if content:
            commands.append({"add": {"chain": {**own, "name": digest(rules)}}})
    return {"nftables": commands}


def _guard(rules: Rules) -> Iterator[Rule]:
    """A network whose bridge may carry 127.0.0.0/8 (route_localnet), for the node's own sake."""
    for bridge in _bridges_with_loopback(rules):
        for field in ("saddr", "daddr"):
            yield [_meta("iifname", bridge), _address(field, _LOOPBACK), _DROP]


def _filter(rules: Rules) -> Iterator[Rule]:
    """Connections within a network, then those that must not be, then those that may."""
    for bridge in dict.fromkeys(network.bridge for network in rules.networks):
        # Bridged frames come here, too, where the machine takes them through the firewall.
        yield [_meta("iifname", bridge), _meta("oifname", bridge), _ACCEPT]
    for network in rules.networks:
        if network.forward == "none":
            yield [*_only(network), _meta("iifname", network.bridge), _REJECT]
            yield [*_only(network), _meta("oifname", network.bridge), _REJECT]
    for network in rules.networks:
        if network.forward == "nat":
            for version in [network.version] if network.version else _IP:
                yield _foreign_source(network, version)
    for network in rules.networks:
        if network.forward == "nat":
            towards = [*_only(network), _meta("oifname", network.bridge)]
            yield [*towards, _in(_ct("state"), ["established", "related"]), _ACCEPT]
            yield [*towards, _in(_ct("status"), "dnat"), _ACCEPT]
            yield [*towards, _REJECT]


def _only(network: Network) -> Rule:
    """The IP version of a network that is of one alone."""
    return [_meta("nfproto", _NFPROTO[network.version])] if network.version else []


def _foreign_source(network: Network, version: int) -> Rule:
    """What a network with translation sends from addresses that would not be translated."""
    own = _of_version(network, version)
    source = _address("saddr", *own, operator="!=") if own else _meta("nfproto", _NFPROTO[version])
    return [_meta("iifname", network.bridge), source, _REJECT]


def _translate(rules: Rules) -> Iterator[Rule]:
    for network in rules.networks:
        for version in _IP:
            own = _of_version(network, version)
            if network.forward == "nat" and own:
                yield [
                    _address("saddr", *own),
                    _address("daddr", *own, operator="!="),
                    _match(_key("meta", "oifname"), {"set": ["lo", network.bridge]}, "!="),
                    _MASQUERADE,
                ]
            if own and any(each.bridge == network.bridge for each in rules.forwards):
                # Answered on the wire, it would not come back through the translation.
                yield [
                    _meta("oifname", network.bridge),
                    _address("saddr", *own),
                    _in(_ct("status"), "dnat"),
                    _MASQUERADE,
                ]
    for bridge in _bridges_with_loopback(rules):
        yield [_meta("oifname", bridge), _address("saddr", _LOOPBACK), _MASQUERADE]


def _forward(forward: PortForward, own: bool) -> Iterator[Rule]:
    """A published port, for what the node itself sends (`own`) or for what comes in."""
    listen = ipaddress.ip_address(forward.listen)
    if own and listen.version == 6 and listen.is_loopback:
        return
    to: list[Json] = (
        [
            _meta("nfproto", _NFPROTO[listen.version]),
            _match({"fib": {"result": "type", "flags": ["daddr"]}}, "local"),
        ]
        if listen.is_unspecified
        else [_match(_payload(_IP[listen.version], "daddr"), forward.listen)]
    )
    if own and listen.version == 6:
        # ::1 can't leave the node, translated or not (RFC 4291, 2.5.3).
        to.append(_match(_payload("ip6", "daddr"), "::1", "!="))
    size = forward.last - forward.first
    target: Json = {"family": _IP[listen.version], "addr": forward.target}
    if size and forward.first == forward.to:
        ports: list[tuple[object, Json]] = [({"range": [forward.first, forward.last]}, target)]
    else:
        ports = [
            (forward.first + step, {**target, "port": forward.to + step})
            for step in range(size + 1)
        ]
    for port, destination in ports:
        yield [*to, _match(_payload(forward.protocol, "dport"), port), {"dnat": destination}]


def _bridges_with_loopback(rules: Rules) -> list[str]:
    return list(dict.fromkeys(each.bridge for each in rules.forwards if listens_on_loopback(each)))


def _of_version(network: Network, version: int) -> list[str]:
    return [each for each in network.prefixes if ipaddress.ip_network(each).version == version]


def _match(left: Json, right: object, operator: str = "==") -> Json:
    return {"match": {"op": operator, "left": left, "right": right}}


def _in(left: Json, right: object) -> Json:
    return _match(left, right, "in")


def _key(kind: str, key: str) -> Json:
    return {kind: {"key": key}}


def _ct(key: str) -> Json:
    return _key("ct", key)


def _meta(key: str, value: str) -> Json:
    return _match(_key("meta", key), value)


def _payload(protocol: str, field: str) -> Json:
    return {"payload": {"protocol": protocol, "field": field}}


def _address(field: str, *networks: str, operator: str = "==") -> Json:
    """A match of a packet's source or destination with networks of one family."""
    parsed = [ipaddress.ip_network(each) for each in networks]
    values = [
        {"prefix": {"addr": str(each.network_address), "len": each.prefixlen}} for each in parsed
    ]
    right = values[0] if len(values) == 1 else {"set": values}
    return _match(_payload(_IP[parsed[0].version], field), right, operator)
