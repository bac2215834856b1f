"""examples/default-network.yaml: three guests by DHCP behind a host's address."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.examples.networks import ENGINES, ask, example, reached, serving
from tests.machine import EXAMPLES, Machine

LAB = "default-network"
GUESTS = ("web", "db", "client")
HOST = {"192.168.122.1", "fd00:122::1", "192.168.3.101", "fd00:3::101"}
INTERNET = {"192.168.3.1", "fd00:3::1"}


def leased(machine: Machine) -> dict[str, set[str]]:
    """By guest: what the bridge has lent to it."""
    found: dict[str, set[str]] = {}
    for lease in json.loads(machine.linkspan("leases", LAB, "--json").stdout):
        found.setdefault(lease["node"], set()).add(lease["address"])
    return found


@pytest.fixture(params=ENGINES, scope="module")
def up(shared_machine: Machine, request: pytest.FixtureRequest) -> Iterator[Machine]:
    shared_machine.linkspan("up", example(shared_machine, "default-network.yaml", request.param))
    yield shared_machine
    shared_machine.linkspan("down", LAB)


def test_the_guests_got_addresses_and_reach_everybody(up: Machine) -> None:
    lent = leased(up)
    assert lent["web"] == {"192.168.122.10", "fd00:122::10"}
    assert all(len(lent[guest]) == 2 for guest in GUESTS)
    found = reached(up, LAB)
    for guest in GUESTS:
        others = set().union(*(lent[other] for other in GUESTS if other != guest))
        assert found[guest] > others | HOST | INTERNET
    assert found["host"] > set().union(*lent.values()) | INTERNET
    assert found["internet"] == HOST


def test_guests_and_the_host_know_each_other_by_name(up: Machine) -> None:
    lent = leased(up)
    for node in ("host", *GUESTS):
        for guest in GUESTS:
            for name in (guest, f"{guest}.lab"):
                said = up.linkspan("exec", f"{LAB}/{node}", "--", "getent", "ahosts", name).stdout
                assert {line.split()[0] for line in said.splitlines()} == lent[guest]


def test_what_the_network_does_is_shown(up: Machine) -> None:
    shown = json.loads(up.linkspan("show", LAB, "--json").stdout)
    (network,) = (each["network"] for each in shown["bridges"] if each["name"] == "virbr0")
    assert (network["forward"], network["server"]) == ("nat", 0)
    assert (network["dhcp"]["lent"], network["dhcp"]["free"]) == (6, 250)
    assert network["dns"]["domain"] == "lab"
    assert [each["target"] for each in network["published"]] == [
        "192.168.122.10",
        "fd00:122::10",
    ] * 2
    text = up.linkspan("show", LAB).stdout
    for part in ("192.168.122.2-192.168.122.254", "0.0.0.0:8080", "[fd00:122::10]:9000-9009"):
        assert part in text


def test_the_internet_sees_the_host_and_reaches_the_published_port_alone(up: Machine) -> None:
    with serving(up, f"{LAB}/internet", "tcp:80"):
        said = ask(up, f"{LAB}/db", "tcp/192.168.3.1/80", "tcp/fd00:3::1/80")
        assert said == ["internet 192.168.3.101", "internet fd00:3::101"]
    with serving(up, f"{LAB}/web", "tcp:80"):
        places = ("192.168.122.10/80", "fd00:122::10/80", "192.168.3.101/8080", "fd00:3::101/8080")
        said = ask(up, f"{LAB}/internet", *(f"tcp/{place}" for place in places))
        assert said == ["no", "no", "web 192.168.3.1", "web fd00:3::1"]
        said = ask(up, f"{LAB}/client", *(f"tcp/{place}" for place in places[2:]))
        assert said == ["web 192.168.122.1", "web fd00:122::1"]


def test_a_published_range_of_udp_is_reached_from_outside_the_host_and_the_network(
    up: Machine,
) -> None:
    places = [f"udp/{address}/9007" for address in ("192.168.3.101", "fd00:3::101")]
    with serving(up, f"{LAB}/web", "udp:9007"):
        assert ask(up, f"{LAB}/internet", *places) == ["web 192.168.3.1", "web fd00:3::1"]
        for node in ("client", "web"):
            said = ask(up, f"{LAB}/{node}", *places)
            assert said == ["web 192.168.122.1", "web fd00:122::1"], "its answers come back"
        said = ask(up, f"{LAB}/host", *places, "udp/127.0.0.1/9007")
        assert [each.split()[0] for each in said] == ["web"] * 3


def test_an_ordinary_user_has_it_too(ordinary_machine: Machine) -> None:
    ordinary_machine.linkspan("up", EXAMPLES / "default-network.yaml")
    assert reached(ordinary_machine, LAB)["db"] > HOST | INTERNET
    ordinary_machine.linkspan("plan", "--check", EXAMPLES / "default-network.yaml")
    ordinary_machine.linkspan("down", LAB)
