"""Taps that outlive who made them."""

from __future__ import annotations

import os

import pytest
from tests.engine.networks import needs_root
from tests.engine_kernel.bridge_in_kernel import kernel_lab

from linkspan.engine.kernel.messages import set_master
from linkspan.engine.kernel.taps import add_tap
from linkspan.engine.netlink import delete_link
from linkspan.engine.user.devices import open_tap
from linkspan.sandbox.namespaces import inside

pytestmark = needs_root


def test_a_tap_stays_with_its_owner_and_its_queues() -> None:
    with kernel_lab(["host"]) as lab:
        lab.add_bridge()
        netlink = lab.site.netlink("host")
        with inside(lab.networks["host"]):
            add_tap("vm1", owner=65534, group=65533, multi_queue=True)
            add_tap("vm2")
        netlink.run([set_master("vm1", netlink.index("br0"))])
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
        netlink.run([delete_link("vm1"), delete_link("vm2")])
        assert lab.links("host") == {"br0"}


def test_a_name_that_is_taken_is_told() -> None:
    with kernel_lab(["host"]) as lab, inside(lab.networks["host"]):
        add_tap("vm1")
        with pytest.raises(FileExistsError, match="vm1"):
            add_tap("vm1")
        with pytest.raises(OSError, match="lo|Invalid argument"):
            add_tap("lo")
