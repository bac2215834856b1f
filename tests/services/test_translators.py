"""Whether somebody who is no lab translates what the machine forwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.machine import Machine

from linkspan.sandbox.namespaces import inside
from linkspan.services.translators import others_translate

NAT = "table {family} {name} {{ chain c {{ type nat hook postrouting priority 100; {rule}\n}}\n}}"
OWN = ["-t", "nat", "-A", "POSTROUTING", "-s", "10.0.0.0/8", "-j"]
OWN6 = ["-t", "nat", "-A", "POSTROUTING", "-s", "fd00::/8", "-j"]


@pytest.fixture
def emptied(machine: Machine) -> Iterator[Machine]:
    yield machine
    machine.run(["nft", "flush", "ruleset"], 0)
    machine.run(["rm", "-f", "/run/xtables.lock"], 0)


def found(machine: Machine) -> set[int]:
    with inside(machine.network):
        return {version for version in (4, 6) if others_translate(version)}


@pytest.mark.parametrize(
    ("family", "name", "rule", "versions"),
    [
        ("inet", "office", "masquerade", {4, 6}),
        ("ip", "office", "snat to 192.0.2.1", {4}),
        ("ip6", "office", "oifname eth0 masquerade", {6}),
        ("ip", "office", "accept", set()),
        ("inet", "linkspan-office", "masquerade", set()),
    ],
)
def test_rules_of_nft_are_found_unless_they_are_a_labs(
    emptied: Machine, family: str, name: str, rule: str, versions: set[int]
) -> None:
    text = NAT.format(family=family, name=name, rule=rule)
    emptied.run(["nft", "-f", "-"], 0, input=text)
    assert found(emptied) == versions


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_rules_of_iptables_of_both_kinds_are_found(emptied: Machine, kind: str) -> None:
    emptied.run([f"iptables-{kind}", *OWN, "ACCEPT"], 0)
    assert found(emptied) == set()
    emptied.run([f"iptables-{kind}", *OWN, "MASQUERADE"], 0)
    assert found(emptied) == {4}
    emptied.run([f"ip6tables-{kind}", *OWN6, "SNAT", "--to-source", "2001:db8::1"], 0)
    assert found(emptied) == {4, 6}
