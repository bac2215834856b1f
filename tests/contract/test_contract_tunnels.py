"""VXLAN ports, whichever engine the bridge is of. Every pairing of engines is in
tests/examples/test_example_vxlan.py."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from tests.contract.labs import LabEngine, changes
from tests.engine.networks import configure
from tests.engine.running_lab import RunningLab, lab, transfer
from tests.machine import EXAMPLES

from linkspan.engine.netlink import delete_link, set_link
from linkspan.lab.find import Place
from linkspan.lab.observe import observe
from linkspan.sandbox.namespaces import inside

TEXT = (EXAMPLES / "vxlan.yaml").read_text().replace("name: vxlan\n", "")
LARGEST = 1450 - 28
"""Bytes that one UDP packet has room for inside."""

_IP_MTU_DISCOVER, _IP_PMTUDISC_DO = 10, 2


def file_of(first: str, second: str, text: str = TEXT) -> str:
    return text.replace("br1: {", f"br1: {{{first}, ").replace("br2: {", f"br2: {{{second}, ")


def assert_reached(running: RunningLab, port: int = 7000) -> None:
    """a reaches b, also with the largest packet."""
    for number, address in enumerate(("10.7.0.2", "fd00:7::2")):
        transfer(*running.connect("a", "b", address, port + number), 1 << 18)
    there = running.open_socket("b", socket.AF_INET, socket.SOCK_DGRAM)
    there.bind(("10.7.0.2", port))
    here = running.open_socket("a", socket.AF_INET, socket.SOCK_DGRAM)
    here.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
    here.sendto(bytes(LARGEST), ("10.7.0.2", port))
    assert len(there.recv(LARGEST + 1)) == LARGEST


def run(running: RunningLab, node: str, *command: str) -> str:
    with inside(running.network(node)):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_device_made_by_hand_is_the_other_end(tmp_path: Path, engine: LabEngine) -> None:
    """The oracle: `ip link add type vxlan`, which nobody here configured, at h2."""
    lines = [line for line in TEXT.splitlines() if "bridge: br2, vni" not in line]
    with lab(tmp_path, file_of(engine.fields, "engine: kernel", "\n".join(lines))) as running:
        far = ["id", "10", "remote", "192.0.2.1", "dstport", "4789"]
        run(running, "h2", "ip", "link", "add", "hand", "mtu", "1450", "type", "vxlan", *far)
        run(running, "h2", "ip", "link", "set", "hand", "up", "master", "br2")
        assert_reached(running)
        known = run(running, "h2", "bridge", "fdb", "show", "dev", "hand")
        assert known.count("dst 192.0.2.1") >= 2, "the kernel learned where a is"


def test_a_tunnel_changes_and_is_put_right(tmp_path: Path, engine: LabEngine) -> None:
    text = file_of(engine.fields, engine.fields)
    with lab(tmp_path, text) as running:
        assert_reached(running)
        (port,) = (
            entry.port
            for bridge in observe(Place(running.name)).bridges
            for entry in bridge.fdb
            if bridge.name == "br1" and entry.mac == running.mac("b").hex(":")
        )
        assert port == "vxlan10"
        other = text.replace("vni: 10", "vni: 11, name: vx, isolated: true")
        assert len(changes(running, tmp_path, other)) == 4
        assert_reached(running, 7010)
        other = other.replace("isolated: true", "isolated: false")
        assert [what for what, _ in changes(running, tmp_path, other)] == [
            "change the tunnel vx of br1: isolated off instead of on",
            "change the tunnel vx of br2: isolated off instead of on",
        ]
        if engine.name == "kernel":
            configure(running.network("h1"), delete_link("vx"))
            configure(running.network("h2"), set_link("vx", up=False))
            assert changes(running, tmp_path, other)
        assert changes(running, tmp_path, other) == []
        assert_reached(running, 7020)
