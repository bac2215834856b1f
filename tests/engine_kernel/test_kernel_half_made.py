"""What was made and not marked when a command was killed goes; what else there is stays."""

from __future__ import annotations

import pytest
from tests.engine.networks import needs_root
from tests.engine_kernel.bridge_in_kernel import (
    BRIDGE_MAC,
    KernelLab,
    a_bridge,
    a_port,
    mac_of,
)

from linkspan.engine.kernel.unfinished import remove_half_made
from linkspan.model.state import BridgeKey, PortKey, State

pytestmark = needs_root
BR0, WEB = BridgeKey("br0"), PortKey("web", "eth0")
NAMES = {("web", "eth0"): "web.eth0"}


def begun() -> State:
    return {BR0: a_bridge(), WEB: a_port("web")}


def unmark(lab: KernelLab, node: str, interface: str) -> None:
    lab.run(node, "ip", "link", "set", interface, "alias", "")


def test_a_bridge_without_a_mark_goes(lab: KernelLab) -> None:
    lab.run("host", "ip", "link", "add", "br0", "address", BRIDGE_MAC, "type", "bridge")
    remove_half_made(lab.site, ["host", "web"], begun(), NAMES)
    assert lab.links("host") == set()


@pytest.mark.parametrize(
    "others",
    [
        ["address", "02:00:00:00:77:77", "type", "bridge"],
        ["address", BRIDGE_MAC, "type", "dummy"],
        ["address", BRIDGE_MAC, "type", "veth", "peer", "name", "far"],
    ],
    ids=["another-mac", "another-kind", "veth"],
)
def test_what_others_called_like_it_stays(lab: KernelLab, others: list[str]) -> None:
    if "dummy" in others:
        others = [*others[:-1], "ifb"]
    lab.run("host", "ip", "link", "add", "br0", *others)
    remove_half_made(lab.site, ["host", "web"], begun(), NAMES)
    assert "br0" in lab.links("host")


@pytest.mark.parametrize("unmarked", [["far"], ["near"], ["far", "near"]], ids=" and ".join)
def test_a_port_without_all_its_marks_goes_from_both_sides(
    lab: KernelLab, unmarked: list[str]
) -> None:
    lab.add_bridge()
    lab.add_port("web")
    for end in unmarked:
        unmark(lab, *{"far": ("web", "eth0"), "near": ("host", "web.eth0")}[end])
    remove_half_made(lab.site, ["host", "web"], begun(), NAMES)
    assert lab.links("host") == {"br0"}
    assert lab.links("web") == set()


def test_what_is_whole_stays(lab: KernelLab) -> None:
    lab.add_bridge()
    lab.add_port("web")
    remove_half_made(lab.site, ["host", "web"], begun(), NAMES)
    assert lab.links("host") == {"br0", "web.eth0"}


def test_an_interface_of_the_nodes_own_stays(lab: KernelLab) -> None:
    lab.add_bridge()
    lab.run("web", *["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other"])
    assert mac_of("web") not in lab.run("web", "ip", "link")
    remove_half_made(lab.site, ["host", "web"], begun(), NAMES)
    assert lab.links("web") == {"eth0", "other"}
