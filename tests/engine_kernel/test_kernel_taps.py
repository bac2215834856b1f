"""Taps that outlive who made them, as ports of a bridge."""

from __future__ import annotations

import os

import pytest
from tests.engine.networks import needs_root
from tests.engine_kernel.bridge_in_kernel import kernel_lab

from linkspan.engine.lasting_taps import have_tap, new_tap, remove_tap
from linkspan.engine.user.devices import open_tap
from linkspan.errors import Refusal
from linkspan.model.state import Tap, TapKey
from linkspan.sandbox.namespaces import inside

pytestmark = needs_root


def tap(owner: int | None = None, group: int | None = None, multi_queue: bool = False) -> Tap:
    return Tap(
        node="host", engine="kernel", mtu=1500, owner=owner, group=group, multi_queue=multi_queue
    )


def test_a_tap_stays_with_its_owner_and_its_queues() -> None:
    with kernel_lab(["host"]) as lab:
        lab.add_bridge()
        bridge = lab.site.netlink("host").index("br0")
        for name, wanted in (("vm1", tap(65534, 65533, multi_queue=True)), ("vm2", tap())):
            have_tap(lab.site, TapKey("br0", name), wanted, bridge)
        found = lab.link("host", "vm1")
        data = found["linkinfo"]["info_data"]
        assert found["master"] == "br0"
        assert (data["type"], data["persist"], data["multi_queue"]) == ("tap", True, True)
        assert (data["vnet_hdr"], data["pi"]) == (True, False)
        assert (str(data["user"]), str(data["group"])) in (("nobody", "65533"), ("65534", "65533"))
        plain = lab.link("host", "vm2")["linkinfo"]["info_data"]
        assert not plain["multi_queue"]
        assert "user" not in plain
        with inside(lab.networks["host"]):
            with pytest.raises(OSError, match="Invalid argument"):
                open_tap("vm1")  # with one queue
            os.close(open_tap("vm2"))
        assert lab.links("host") == {"br0", "vm1", "vm2"}
        for name in ("vm1", "vm2"):
            remove_tap(lab.site, TapKey("br0", name), tap())
        assert lab.links("host") == {"br0"}


def test_what_is_broken_off_leaves_no_tap() -> None:
    with kernel_lab(["host"]) as lab:
        with pytest.raises(Refusal):
            have_tap(lab.site, TapKey("br0", "vm1"), tap(), 12345)
        assert lab.links("host") == set()


def test_a_name_that_is_taken_is_told() -> None:
    with kernel_lab(["host"]) as lab, inside(lab.networks["host"]):
        with new_tap("vm1", tap()):
            pass
        with pytest.raises(FileExistsError, match="vm1"), new_tap("vm1", tap()):
            pass
        with pytest.raises(OSError, match="lo|Invalid argument"), new_tap("lo", tap()):
            pass
        with pytest.raises(Refusal, match="not ours"):
            remove_tap(lab.site, TapKey("br0", "vm1"), tap())
