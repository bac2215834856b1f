"""WireGuard by the kernel's own module: made, changed in place, removed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.full_kernel.in_process import Lab

HOSTS = """
name: tunnel
bridges: {{lan: {{engine: kernel}}}}
nodes:
  h1: {{kind: host, ports: {{eth0: {{bridge: lan, address: 192.0.2.1/24}}}}}}
  h2: {{kind: host, ports: {{eth0: {{bridge: lan, address: 192.0.2.2/24}}}}}}
links:
  - kind: wireguard
    node: h1
    address: 192.168.2.1/24
    listen: 51820
    peers: [{{peer: h2{more}}}]
  - {{kind: wireguard, node: h2, address: 192.168.2.2/24, listen: 51820, peers: [{{peer: h1}}]}}
"""
CHANGED = ", keepalive: 25, allowed-ips: [10.9.0.0/16, 192.168.2.2/32]"


def test_the_kernels_module_carries_the_tunnel(tmp_path: Path) -> None:
    lab = Lab(tmp_path, HOSTS.format(more=""))
    link = json.loads(lab.run("h1", "ip", "-j", "-d", "link", "show", "wg0"))
    assert link[0]["linkinfo"]["info_kind"] == "wireguard"
    lab.wait_for_reach(("h1", "192.168.2.2"), ("h2", "192.168.2.1"))

    lab.change(HOSTS.format(more=CHANGED))
    said = lab.run("h1", "wg", "show", "wg0", "dump").splitlines()[1]
    _, _, endpoint, networks, handshake, _, _, keepalive = said.split("\t")
    assert (endpoint, keepalive) == ("192.0.2.2:51820", "25")
    assert networks.split(",") == ["10.9.0.0/16", "192.168.2.2/32"]
    (peer,) = (
        peer
        for node in lab.show().nodes
        for interface in node.interfaces
        if node.name == "h1" and interface.wireguard is not None
        for peer in interface.wireguard.peers
    )
    # The session is still that of before the change.
    assert int(handshake) > 0
    assert peer.handshake_age is not None
    assert peer.bytes_in > 0 < peer.bytes_out
    lab.end()
