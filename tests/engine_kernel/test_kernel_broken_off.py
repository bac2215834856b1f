"""A change that ends in the middle, wherever that is, can be done again and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.engine.networks import needs_root
from tests.engine_kernel.bridge_in_kernel import KernelLab, a_bridge, a_port, kernel_lab

from linkspan.engine.netlink import Netlink, Request
from linkspan.model.state import (
    AnyKey,
    AnyValue,
    BridgeKey,
    Entry,
    EntryKey,
    PortKey,
    Uplink,
    UplinkKey,
)

pytestmark = needs_root


class KilledError(Exception):
    """The process was killed here."""


def kill_before(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the process end before its request of that number, counted from 0."""
    really = Netlink.run
    left = number

    def run(netlink: Netlink, requests: Sequence[Request]) -> None:
        nonlocal left
        for request in requests:
            if left == 0:
                raise KilledError
            left -= 1
            really(netlink, [request])

    monkeypatch.setattr(Netlink, "run", run)


CHANGES: dict[str, tuple[AnyKey, AnyValue | None, AnyValue | None]] = {
    "add a bridge": (BridgeKey("br1"), None, a_bridge(priority=7)),
    "change a bridge": (
        BridgeKey("br0"),
        a_bridge(),
        a_bridge(mtu=9000, stp="stp", forward_delay=3.0),
    ),
    "add a port": (PortKey("db", "eth0"), None, a_port("db", isolated=True)),
    "change a port": (PortKey("web", "eth0"), a_port("web"), a_port("web", mtu=1300, cost=5)),
    "move a port": (PortKey("web", "eth0"), a_port("web"), a_port("web", bridge="br2", cost=5)),
    "move a port to another node": (
        PortKey("web", "eth0"),
        a_port("web"),
        a_port("web", bridge="far", hairpin=True),
    ),
    "add an uplink": (
        UplinkKey("host", "nic"),
        None,
        Uplink(bridge="br0", engine="kernel", options={"learning": False}),
    ),
    "add an entry": (EntryKey("br0", "02:00:00:00:00:99"), None, Entry(port="web.eth0")),
}


def lab_before(lab: KernelLab) -> None:
    lab.run("host", "ip", "link", "add", "nic", "type", "veth", "peer", "name", "lan")
    lab.add_bridge("br0")
    lab.add_bridge("br2")
    lab.add_bridge("far", node="other")
    lab.add_port("web")


FACTS = ("ifname", "address", "master", "mtu", "ifalias", "inet6_addr_gen_mode")
STATE = ("_timer", "_id", "designated_port", "_path_cost", "designated_cost")
"""How those of ip(8)'s keys end that are what a bridge worked out by itself."""


def picture(lab: KernelLab) -> list[dict[str, Any]]:
    """What ip(8) says of every interface, as far as it is what somebody has set."""
    found: list[dict[str, Any]] = []
    for node in ("host", "other", "web", "db"):
        for link in sorted(lab.ip(node, "link", "show"), key=lambda link: link["ifname"]):
            info = link.get("linkinfo", {})
            seen = {fact: link.get(fact) for fact in FACTS}
            seen["node"], seen["up"] = node, "UP" in link["flags"]
            for part in ("info_data", "info_slave_data"):
                options = info.get(part, {})
                seen |= {key: options[key] for key in options if not key.endswith(STATE)}
                for key in ("state", "id", "no"):
                    seen.pop(key, None)
            if link["ifname"].startswith(("web.", "db.")):
                del seen["address"]  # the kernel's choice
            found.append(seen)
    return [*found, {"fdb": lab.fdb("host", "02:00:00:00:00:99")}]


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_was_broken_off_is_carried_out_or_taken_back(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, before, after = CHANGES[name]
    with kernel_lab() as lab:
        lab_before(lab)
        as_before = picture(lab)
        lab.change(key, before, after)
        as_after = picture(lab)
        lab.change(key, after, before)
        assert picture(lab) == as_before != as_after
        requests = 0
        while not _ends_after(lab, key, before, after, requests, monkeypatch):
            lab.change(key, before, after)
            assert picture(lab) == as_after, f"done again after {requests} requests"
            lab.change(key, after, before)
            assert not _ends_after(lab, key, before, after, requests, monkeypatch)
            lab.change(key, after, before)
            assert picture(lab) == as_before, f"taken back after {requests} requests"
            requests += 1
        assert requests >= 1


def _ends_after(
    lab: KernelLab,
    key: AnyKey,
    before: AnyValue | None,
    after: AnyValue | None,
    requests: int,
    monkeypatch: pytest.MonkeyPatch,
) -> bool:
    """Whether a change needs no more than so many requests."""
    with monkeypatch.context() as patch:
        kill_before(patch, requests)
        try:
            lab.change(key, before, after)
        except KilledError:
            return False
    return True
