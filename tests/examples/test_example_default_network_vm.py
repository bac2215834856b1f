"""examples/default-network.yaml with a virtual machine for `web`: what holds for containers holds
for a real guest, which asks for its address itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.examples.networks import ENGINES, ask, reached, serving, with_engine
from tests.guests import at_console, linux_guest
from tests.machine import EXAMPLES, Machine

from linkspan.model.load import load
from linkspan.model.topology import Node, NodeKind, Topology, dump

LAB = "default-network"
WEB, GATEWAY, HOST, INTERNET = "192.168.122.10", "192.168.122.1", "192.168.3.101", "192.168.3.1"


def with_machine(topology: Topology) -> Topology:
    kernel, initrd = linux_guest()
    machine = Node(
        kind=NodeKind.VM,
        kernel=str(kernel),
        initrd=str(initrd),
        append="console=ttyS0 quiet",
        memory="128M",
        ports=topology.nodes["web"].ports,
    )
    return replace(topology, nodes={**topology.nodes, "web": machine})


@pytest.fixture(params=ENGINES, scope="module")
def up(shared_machine: Machine, request: pytest.FixtureRequest) -> Iterator[Machine]:
    topology = with_engine(load(EXAMPLES / "default-network.yaml"), request.param)
    shared_machine.linkspan("up", shared_machine.file(dump(with_machine(topology))))
    with at_console(shared_machine, "web") as guest:
        guest.ask("", "# ")
        guest.ask(f"until ping -c 1 -W 1 {GATEWAY}; do sleep 1; done", " 0% packet loss")
    yield shared_machine
    shared_machine.linkspan("down", LAB)
    shared_machine.assert_as_before()


def test_the_guest_has_its_lease_and_reaches_everybody(up: Machine) -> None:
    leases = json.loads(up.linkspan("leases", LAB, "--json").stdout)
    lent = {each["node"]: each["address"] for each in leases if "." in each["address"]}
    assert lent["web"] == WEB
    with serving(up, f"{LAB}/internet", "tcp:80"), at_console(up, "web") as guest:
        guest.ask("", "# ")
        for address in (lent["db"], lent["client"], GATEWAY, HOST, INTERNET):
            guest.ask(f"ping -c 1 -W 9 {address}", " 0% packet loss")
        guest.ask(f"nc {INTERNET} 80 </dev/null; echo", f"internet {HOST}")
        guest.ask("ping -c 1 -W 9 db.lab", " 0% packet loss")
    found = reached(up, LAB)
    assert all(WEB in found[node] for node in ("host", "db", "client"))
    assert WEB not in found["internet"]


def test_its_published_port_is_reached_from_outside_and_nothing_else(up: Machine) -> None:
    with at_console(up, "web") as guest:
        guest.ask("", "# ")
        # It tells each caller the connections that it has, which are that caller's.
        guest.ask(
            f"nc -ll -p 80 -e sh -c 'netstat -tn | grep -o {INTERNET}:' & sleep 1; echo ser''ving",
            "serving",
        )
        said = ask(up, f"{LAB}/internet", f"tcp/{WEB}/80", f"tcp/{HOST}/8080")
        guest.ask("kill $!", "# ")
    assert said[:2] == ["no", f"{INTERNET}:"], "the guest sees who it is"
