"""examples/vm-on-the-lan.yaml: a virtual machine beside its host on the LAN, by the LAN's DHCP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from tests.examples.networks import ENGINES, reached
from tests.guests import at_console, place_guest
from tests.machine import EXAMPLES, Machine

LAB = "vm-on-the-lan"
LAN = ip_network("192.168.3.0/24")
ROUTER, SERVER = "192.168.3.1", "192.168.3.101"


@pytest.fixture(scope="module", params=ENGINES)
def up(shared_machine: Machine, request: pytest.FixtureRequest) -> Iterator[Machine]:
    place_guest(shared_machine)
    text = (EXAMPLES / "vm-on-the-lan.yaml").read_text()
    uplink = "uplink: eth0}"
    assert uplink in text
    text = text.replace(uplink, f"uplink: eth0, engine: {request.param}}}")
    shared_machine.linkspan("up", shared_machine.file(text))
    yield shared_machine
    shared_machine.linkspan("down", LAB)
    shared_machine.assert_as_before()


def lent(machine: Machine) -> dict[str, str]:
    leases = json.loads(machine.linkspan("leases", LAB, "--json").stdout)
    return {lease["node"]: lease["address"] for lease in leases}


def at_server(machine: Machine, *words: str) -> Any:
    return json.loads(machine.linkspan("exec", f"{LAB}/server", "--", "ip", "-j", *words).stdout)


def test_the_lan_gives_the_machine_an_address_and_everybody_reaches_it(up: Machine) -> None:
    with at_console(up, "guest") as guest:
        guest.ask("", "# ")
        guest.ask(f"until ping -c 1 -W 1 {SERVER}; do sleep 1; done", " 0% packet loss")
        known = lent(up)
        assert ip_address(known["guest"]) in LAN
        shown = guest.ask("ip -4 address show dev eth0", r"inet (\S+)/24")
        assert shown[1] == known["guest"]
        for address in (ROUTER, known["laptop"]):
            guest.ask(f"ping -c 1 -W 9 {address}", " 0% packet loss")
        guest.ask("ip route", f"default via {ROUTER}")
    nodes = json.loads(up.linkspan("show", LAB, "--json").stdout)["nodes"]
    (interface,) = next(node for node in nodes if node["name"] == "guest")["interfaces"]
    assert interface["addresses"] == [f"{known['guest']}/24"]
    found = reached(up, LAB)
    assert found["laptop"] == {ROUTER, SERVER, known["guest"]}
    assert found["server"] == {ROUTER, known["laptop"], known["guest"]}


def test_the_address_of_the_host_is_the_bridges_now(up: Machine) -> None:
    addresses = {
        each["ifname"]: [one["local"] for one in each["addr_info"] if one["family"] == "inet"]
        for each in at_server(up, "address")
    }
    assert addresses["br0"] == [SERVER]
    assert addresses["eth0"] == []
    (route,) = at_server(up, "route", "show", "default")
    assert (route["gateway"], route["dev"]) == (ROUTER, "br0")
    assert "nothing to do" in up.linkspan("plan", up.folder / "lab.yaml").stdout
