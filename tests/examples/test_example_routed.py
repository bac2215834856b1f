"""examples/routed.yaml and examples/isolated-network.yaml: who reaches whom, and as whom."""

from __future__ import annotations

import pytest
from tests.examples.networks import ENGINES, addresses, ask, example, reached, serving
from tests.machine import EXAMPLES, Machine

from linkspan.model.load import load


@pytest.mark.parametrize("engine", ENGINES)
def test_two_routed_sites_reach_each_other_untranslated(machine: Machine, engine: str) -> None:
    machine.linkspan("up", example(machine, "routed.yaml", engine))
    everybody = addresses(load(EXAMPLES / "routed.yaml"))
    whole = set().union(*everybody.values())
    found = reached(machine, "routed")
    for node in ("host", "far", "a", "b"):
        assert found[node] == whole - everybody[node]
    with serving(machine, "routed/b", "tcp:80"):
        assert ask(machine, "routed/a", "tcp/10.2.0.2/80", "tcp/fd00:2::2/80") == [
            "b 10.1.0.2",
            "b fd00:1::2",
        ]
    machine.linkspan("down", "routed")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_isolated_network_reaches_itself_and_the_host(machine: Machine, engine: str) -> None:
    machine.linkspan("up", example(machine, "isolated-network.yaml", engine))
    lab = "isolated-network"
    # Even those that make themselves a way through the host.
    for node, gateway in (("a", "10.50.0.1"), ("b", "10.50.0.1")):
        route = ["ip", "route", "add", "default", "via", gateway]
        machine.linkspan("exec", f"{lab}/{node}", "--", *route)
    found = reached(machine, lab)
    inner = {"10.50.0.2", "fd00:50::2", "10.50.0.3", "fd00:50::3"}
    host = {"10.50.0.1", "10.60.0.1", "10.70.0.1"}
    assert found["a"] == {"10.50.0.3", "fd00:50::3", "fd00:50::1", *host}
    assert found["b"] == {"10.50.0.2", "fd00:50::2", "fd00:50::1", *host}
    assert found["host"] == {*inner, "10.60.0.2", "fd00:60::2", "10.70.0.2"}
    assert not found["c"] & inner
    assert not found["neighbour"] & inner
    assert {"10.70.0.2"} <= found["c"], "the other network is routed"
    assert {"10.60.0.2"} <= found["neighbour"]
    machine.linkspan("down", lab)
