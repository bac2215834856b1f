"""Routes of a topology: gateways that are named, those that are understood, static ones."""

from __future__ import annotations

import pytest

from linkspan.model.load import loads
from linkspan.model.state import Setting, SettingKey, State
from linkspan.plan.forwarding import forwarding
from linkspan.plan.routing import routes

TEXT = """
name: lab
scope: {scope}
bridges:
  br0: {{address: [10.0.0.1/24, "fd00::1/64"], forward: {forward}}}
nodes:
  a:
    ports: {{eth0: {{bridge: br0, address: [10.0.0.2/24, "fd00::2/64"]}}}}
    {more}
"""


def lead(forward: str, more: str = "") -> dict[str, str | None]:
    topology = loads(TEXT.format(scope="sandbox", forward=forward, more=more), "lab.yaml")
    return {key.destination: route.gateway for key, route in routes(topology)}


@pytest.mark.parametrize("forward", ["nat", "routed"])
def test_a_container_takes_its_bridge_for_the_gateway(forward: str) -> None:
    assert lead(forward) == {"0.0.0.0/0": "10.0.0.1", "::/0": "fd00::1"}


@pytest.mark.parametrize("forward", ["none", ""])
def test_a_network_that_leads_nowhere_is_no_gateway(forward: str) -> None:
    assert lead(forward) == {}


def test_what_the_file_names_counts_and_the_other_family_is_understood() -> None:
    named = {"0.0.0.0/0": "10.0.0.9", "::/0": "fd00::1"}
    assert lead("nat", "gateway: 10.0.0.9") == named
    static = "routes: [{destination: 0.0.0.0/0, via: 10.0.0.9}]"
    assert lead("nat", static) == named


def test_a_host_takes_no_gateway_by_itself() -> None:
    assert lead("nat", "kind: host") == {}


def settings(forward: str, scope: str) -> State:
    topology = loads(TEXT.format(scope=scope, forward=forward, more=""), "lab.yaml")
    return {key: value for key, value in forwarding(topology) if isinstance(key, SettingKey)}


def test_a_node_forwards_only_where_a_network_has_a_way_out() -> None:
    on = {
        SettingKey("host", "net/ipv6/conf/all/forwarding"): Setting(text="1"),
        SettingKey("host", "net/ipv4/ip_forward"): Setting(text="1"),
    }
    assert settings("none", "sandbox") == {}
    assert settings("nat", "sandbox") == on
    machine = settings("routed", "host")
    assert machine == {**on, SettingKey("host", "net/ipv6/conf/br0/accept_dad"): Setting(text="0")}
