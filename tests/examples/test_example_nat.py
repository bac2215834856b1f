"""examples/nat.yaml: containers behind a host's address, and a port of one of them published."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.examples.networks import ENGINES, ask, example, reached, serving
from tests.machine import EXAMPLES, Machine

LAB = "nat"
HOST = {"192.168.9.1", "fd00:9::1", "192.168.3.101", "fd00:3::101"}
WEB = {"192.168.9.2", "fd00:9::2"}
DB = {"192.168.9.3", "fd00:9::3"}
INTERNET = {"192.168.3.1", "fd00:3::1"}


@pytest.fixture(params=ENGINES, scope="module")
def up(shared_machine: Machine, request: pytest.FixtureRequest) -> Iterator[Machine]:
    shared_machine.linkspan("up", example(shared_machine, "nat.yaml", request.param))
    yield shared_machine
    shared_machine.linkspan("down", LAB)


def test_the_containers_reach_everybody_and_the_internet_reaches_the_host(up: Machine) -> None:
    found = reached(up, LAB)
    assert found["web"] == HOST | DB | INTERNET
    assert found["db"] == HOST | WEB | INTERNET
    assert found["host"] == WEB | DB | INTERNET
    assert found["internet"] == HOST


def test_the_internet_sees_the_host_and_opens_no_connection_to_a_container(up: Machine) -> None:
    with serving(up, "nat/internet", "tcp:80"), serving(up, "nat/db", "tcp:80"):
        assert ask(up, "nat/web", "tcp/192.168.3.1/80", "tcp/fd00:3::1/80") == [
            "internet 192.168.3.101",
            "internet fd00:3::101",
        ]
        assert ask(up, "nat/web", "tcp/192.168.9.3/80") == ["db 192.168.9.2"]
        assert ask(up, "nat/host", "tcp/192.168.9.3/80") == ["db 192.168.9.1"]
        assert ask(up, "nat/internet", "tcp/192.168.9.3/80", "tcp/fd00:9::3/80") == ["no", "no"]


def test_the_published_port_is_reached_from_everywhere(up: Machine) -> None:
    with serving(up, "nat/web", "tcp:80"):
        assert ask(up, "nat/internet", "tcp/192.168.3.101/8080", "tcp/fd00:3::101/8080") == [
            "web 192.168.3.1",
            "web fd00:3::1",
        ], "the guest sees who it is"
        places = ["192.168.3.101", "192.168.9.1", "127.0.0.1", "fd00:3::101", "fd00:9::1"]
        said = ask(up, "nat/host", *(f"tcp/{place}/8080" for place in places))
        assert [each.split()[0] for each in said] == ["web"] * len(places)
        localhost = "import socket; print(socket.create_connection(('localhost', 8080)).recv(9))"
        assert "web" in up.linkspan("exec", "nat/host", "--", "python3", "-c", localhost).stdout
        places = ["192.168.3.101", "192.168.9.1", "fd00:3::101"]
        for node in ("db", "web"):
            said = ask(up, f"nat/{node}", *(f"tcp/{place}/8080" for place in places))
            assert said == ["web 192.168.9.1", "web 192.168.9.1", "web fd00:9::1"]


def test_nobody_on_the_network_reaches_the_loopback_address_of_the_host(up: Machine) -> None:
    up.linkspan("exec", "nat/db", "--", "ip", "route", "add", "127.1.2.3", "via", "192.168.9.1")
    up.linkspan("exec", "nat/db", "--", "ip", "rule", "add", "pref", "10", "lookup", "main")
    up.linkspan("exec", "nat/db", "--", "ip", "rule", "delete", "pref", "0")
    forwarding = "net.ipv4.conf.eth0.route_localnet=1"
    up.linkspan("exec", "nat/db", "--", "sysctl", "-q", "-w", forwarding)
    with serving(up, "nat/host", "tcp:81"):
        assert ask(up, "nat/host", "tcp/127.1.2.3/81") == ["host 127.0.0.1"]
        assert ask(up, "nat/db", "tcp/127.1.2.3/81") == ["no"]


def test_an_ordinary_user_has_it_too(ordinary_machine: Machine) -> None:
    ordinary_machine.linkspan("up", EXAMPLES / "nat.yaml")
    found = reached(ordinary_machine, LAB)
    assert found["web"] == HOST | DB | INTERNET
    assert found["internet"] == HOST
    ordinary_machine.linkspan("plan", "--check", EXAMPLES / "nat.yaml")
    ordinary_machine.linkspan("down", LAB)
