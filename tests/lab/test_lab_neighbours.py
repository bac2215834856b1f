"""Asking a neighbour by ARP: who has a MAC is asked, and nobody in a tunnel of layer 3."""

from __future__ import annotations

import os

from tests.engine.networks import configure, namespace, needs_root, veth

from linkspan.engine.layer3 import add_address
from linkspan.engine.netlink import Netlink, set_link
from linkspan.engine.user.devices import open_tun
from linkspan.lab.neighbours import answers_arp
from linkspan.model.state import Address
from linkspan.sandbox.namespaces import inside

pytestmark = needs_root


def give(network: int, interface: str, address: str) -> None:
    with inside(network), Netlink() as netlink:
        index = netlink.index(interface)
        netlink.run([add_address(index, address, Address()), set_link(interface, up=True)])


def test_a_neighbour_answers_and_nobody_else_does() -> None:
    with namespace() as here, namespace() as there:
        veth(here, "near", "far", there)
        give(here, "near", "10.0.0.1/24")
        give(there, "far", "10.0.0.2/24")
        configure(there, set_link("lo", up=True))
        with inside(here):
            assert answers_arp("10.0.0.2", 5.0) is True
            assert answers_arp("10.0.0.3", 0.1) is False
            assert answers_arp("192.0.2.1", 0.1) is None


def test_nobody_is_asked_in_a_tunnel_of_layer_3() -> None:
    with namespace() as here:
        with inside(here):
            tun = open_tun("tun0", with_header=False)
        try:
            give(here, "tun0", "10.0.0.1/24")
            with inside(here):
                assert answers_arp("10.0.0.2", 0.1) is None
        finally:
            os.close(tun)
