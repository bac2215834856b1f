"""rtnetlink in throw-away namespaces: interfaces, addresses, routes, and refusals in words."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from tests.engine.networks import namespace, needs_root

from linkspan.engine.layer3 import add_address, add_route
from linkspan.engine.netlink import (
    Netlink,
    add_veth,
    delete_link,
    set_link,
    without_ipv6_address,
)
from linkspan.errors import Refusal
from linkspan.model.state import Address, Route, RouteKey
from linkspan.sandbox.namespaces import inside

pytestmark = needs_root
DEFAULT = RouteKey("node", "0.0.0.0/0")
MAC = "52:54:00:aa:bb:cc"


@pytest.fixture
def networks() -> Iterator[tuple[int, int]]:
    with namespace() as near, namespace() as far:
        yield near, far


@pytest.fixture
def netlink(networks: tuple[int, int]) -> Iterator[Netlink]:
    """A socket in the first namespace, with the test inside it."""
    with inside(networks[0]), Netlink() as opened:
        yield opened


def test_new_namespace_has_loopback_only(netlink: Netlink) -> None:
    (loopback,) = netlink.interfaces()
    assert (loopback.name, loopback.index, loopback.up) == ("lo", 1, False)
    assert loopback.mac == "00:00:00:00:00:00"
    assert netlink.addresses() == {}


def test_veth_pair_lies_in_two_namespaces(networks: tuple[int, int], netlink: Netlink) -> None:
    netlink.run(
        [
            add_veth("near", "eth0", networks[1], MAC),
            without_ipv6_address("near"),
            set_link("near", up=True, mtu=9000, alias="linkspan:t:near"),
        ]
    )
    found = {one.name: one for one in netlink.interfaces()}
    assert found.keys() == {"lo", "near"}
    assert (found["near"].mtu, found["near"].up, found["near"].carrier) == (9000, True, False)
    with inside(networks[1]), Netlink() as other:
        assert other.index("eth0") == socket.if_nametoindex("eth0")
        (eth0,) = (one for one in other.interfaces() if one.name == "eth0")
        assert (eth0.mac, eth0.mtu, eth0.up) == (MAC, 1500, False)
        other.run([set_link("eth0", up=True)])
    assert {one.name: one.carrier for one in netlink.interfaces()}["near"]
    netlink.run([delete_link("near")])
    assert [one.name for one in netlink.interfaces()] == ["lo"]
    with inside(networks[1]), Netlink() as other:
        assert [one.name for one in other.interfaces()] == ["lo"]


def test_each_request_of_a_batch_has_its_own_answer(netlink: Netlink) -> None:
    near, gone = set_link("lo", up=True), set_link("eth7", up=True)
    for batch, refused in (
        ([near, gone, near, gone], [False, True, False, True]),
        ([gone, gone, near], [True, True, False]),
        ([near] * 200, [False] * 200),
        ([*[near] * 100, gone], [False] * 100 + [True]),
    ):
        assert [answer is not None for answer in netlink.attempt(batch)] == refused
    (why,) = netlink.attempt([gone])
    assert str(why) == "the kernel refuses to set up eth7: No such device"
    assert netlink.attempt([]) == []


def test_addresses_keep_order_family_and_length(netlink: Netlink) -> None:
    netlink.run([set_link("lo", up=True)])
    wanted = ["10.0.0.1/24", "10.0.0.2/31", "10.0.0.3/32", "10.1.0.1/8"]
    netlink.run([add_address(1, address, Address()) for address in wanted])
    found = netlink.addresses()[1]
    assert [address for address in found if address in wanted] == wanted


def test_ipv6_address_answers_at_once(networks: tuple[int, int]) -> None:
    with namespace(ipv6=True) as network, inside(network), Netlink() as netlink:
        netlink.run([add_veth("near", "eth0", networks[1], MAC), set_link("near", up=True)])
        netlink.run([add_address(netlink.index("near"), "fd00::1/64", Address())])
        assert "fd00::1/64" in netlink.addresses()[netlink.index("near")]
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("fd00::1", 0))  # refused while an address is tentative


def test_default_route_leads_through_the_gateway(
    networks: tuple[int, int], netlink: Netlink
) -> None:
    netlink.run([add_veth("near", "eth0", networks[1], MAC), set_link("near", up=True)])
    netlink.run([add_address(netlink.index("near"), "10.0.0.1/24", Address())])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with pytest.raises(OSError, match="unreachable"):
            sock.connect(("192.0.2.1", 9))
        netlink.run([add_route(DEFAULT, Route(interface=None, gateway="10.0.0.254"), None)])
        sock.connect(("192.0.2.1", 9))
        assert sock.getsockname()[0] == "10.0.0.1"


def test_refusals_name_what_was_wanted_and_why(netlink: Netlink, networks: tuple[int, int]) -> None:
    for request, text in (
        (set_link("absent", up=True), "refuses to set up absent: No such device"),
        (delete_link("absent"), "refuses to delete absent: No such device"),
        (delete_link("lo"), "refuses to delete lo: Operation not supported"),
        (add_address(999, "10.0.0.1/24", Address()), "add the address 10.0.0.1/24: No such device"),
        (
            add_route(DEFAULT, Route(interface=None, gateway="10.9.9.9"), None),
            "add the route 0.0.0.0/0: Network is",
        ),
    ):
        with pytest.raises(Refusal, match=text):
            netlink.run([request])
    netlink.run([add_veth("near", "eth0", networks[1], MAC)])
    with pytest.raises(Refusal, match="make the veth pair near - eth1: File exists"):
        netlink.run([add_veth("near", "eth1", networks[1], MAC)])


def test_socket_serves_on_after_a_refusal_in_a_batch(netlink: Netlink) -> None:
    netlink.run([set_link("lo", up=True)])
    with pytest.raises(Refusal, match="set up absent"):
        netlink.run(
            [
                add_address(1, "10.0.0.1/24", Address()),
                set_link("absent", up=True),
                add_address(1, "10.0.0.2/24", Address()),
                set_link("missing", up=True),
            ]
        )
    netlink.run([add_address(1, "10.0.0.3/24", Address())])
    with pytest.raises(Refusal, match=r"add the address 10\.0\.0\.3/24: File exists"):
        netlink.run([add_address(1, "10.0.0.3/24", Address())])
    found = netlink.addresses()[1]
    assert {"10.0.0.1/24", "10.0.0.3/24"} <= set(found)
    assert [one.name for one in netlink.interfaces()] == ["lo"]


def test_batch_larger_than_one_message_is_carried_out_whole(netlink: Netlink) -> None:
    wanted = {f"10.0.{n >> 8}.{n & 255}/32" for n in range(1, 2001)}
    netlink.run([set_link("lo", up=True)])
    netlink.run([add_address(1, address, Address()) for address in sorted(wanted)])
    assert wanted <= set(netlink.addresses()[1])
