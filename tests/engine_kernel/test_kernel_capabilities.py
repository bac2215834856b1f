"""What a kernel lacks is found by trying, named, and leaves nothing behind."""

from __future__ import annotations

import os
import sys

import pytest
from tests.engine.networks import needs_root
from tests.machine import Machine

from linkspan.engine.kernel import capabilities, trial
from linkspan.engine.kernel.capabilities import Lack, can_bridge, probe
from linkspan.engine.kernel.messages import port_attributes
from linkspan.engine.netlink import Netlink, Request
from linkspan.errors import Refusal
from linkspan.model.options import OptionScope


@pytest.fixture(autouse=True)
def forget() -> None:
    """Answers of other tests."""
    capabilities._try.cache_clear()


@needs_root
def test_a_kernel_that_bridges_has_what_is_as_old_as_its_bridge() -> None:
    assert can_bridge() is None
    assert probe({"stp": "stp", "ageing_time": 5.0, "priority": 1}, {"hairpin": True}) == ()


@needs_root
def test_an_answer_is_kept_and_no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe({"hello_time": 1.0}, {}) == ()
    monkeypatch.setattr(os, "fork", None)
    assert probe({"hello_time": 1.0}, {}) == ()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@needs_root
def test_what_the_kernel_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    really = Netlink.run

    def run(netlink: Netlink, requests: list[Request]) -> None:
        if any("vlan_filtering" in request.purpose for request in requests):
            purpose = requests[0].purpose
            raise Refusal(f"the kernel refuses to {purpose}: Operation not supported")
        really(netlink, requests)

    monkeypatch.setattr(Netlink, "run", run)
    (lack,) = probe({"vlan_filtering": True, "priority": 5}, {"isolated": True})
    assert lack == Lack(OptionScope.BRIDGE, "vlan-filtering", lack.why)
    assert str(lack) == (
        "this kernel has no vlan-filtering of a bridge: Operation not supported "
        "(a kernel that has it is built with CONFIG_BRIDGE_VLAN_FILTERING)"
    )


@needs_root
def test_what_the_kernel_forgets_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    really = port_attributes
    monkeypatch.setattr(
        capabilities,
        "port_attributes",
        lambda link: [pair for pair in really(link) if pair[0] != "IFLA_BRPORT_LOCKED"],
    )
    (lack,) = probe({}, {"locked": True, "hairpin": True})
    assert (lack.scope, lack.option) == (OptionScope.PORT, "locked")
    assert lack.why == "it takes no notice of it (a newer kernel may have it)"


def test_without_network_namespaces_there_is_no_kernel_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(flags: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(trial, "unshare", refuse)
    assert can_bridge() == "no network namespace can be made: Operation not permitted"
    assert probe({"stp": "stp"}, {}) == ()


@needs_root
def test_a_kernel_without_bridges_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(netlink: Netlink, requests: list[Request]) -> None:
        raise Refusal("the kernel refuses to make the bridge br0: Operation not supported")

    monkeypatch.setattr(Netlink, "run", run)
    assert can_bridge() == "the kernel refuses to make the bridge br0: Operation not supported"


def test_a_trial_that_dies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "_answer", lambda *wanted: os._exit(9))
    assert can_bridge() == "the trial broke off"


@needs_root
def test_an_ordinary_user_finds_the_same(ordinary_machine: Machine) -> None:
    program = (
        "from linkspan.engine.kernel.capabilities import can_bridge, probe\n"
        "print(can_bridge(), len(probe({'priority': 5}, {'isolated': True})))\n"
    )
    said = ordinary_machine.run([sys.executable, "-c", program], status=0)
    assert said.stdout == "None 0\n"
