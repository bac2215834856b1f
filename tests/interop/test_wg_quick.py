"""wg-quick's files: what is read is what was written, and what can't be said is a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkspan.errors import Mistake
from linkspan.interop.wg_quick import write
from linkspan.model.load import loads
from linkspan.model.wg_quick import read
from linkspan.model.wireguard import WireguardLink
from linkspan.model.wireguard_peers import Peer

PRIVATE = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
PUBLIC = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
CONFIGURATION = f"""
[Interface]
Address = 192.168.2.1/24, fd00:2::1/64   # ours
ListenPort = 51820
PrivateKey = {PRIVATE}
MTU = 1400

[Peer]
PublicKey = {PUBLIC}
AllowedIPs = 192.168.2.2/32, 192.168.88.7/24
AllowedIPs = fd00:88::/64
Endpoint = 192.0.2.7:51820
PersistentKeepalive = 25

[peer]
publickey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
persistentkeepalive = off
"""
LINK = WireguardLink(node="a", config="wg0.conf")


def test_all_that_a_file_of_ours_can_say_is_taken_and_the_private_key_is_not() -> None:
    link = read(CONFIGURATION, "wg0.conf", LINK)
    assert link.address == ("192.168.2.1/24", "fd00:2::1/64")
    assert (link.listen, link.mtu, link.private_key_file) == (51820, 1400, "wg0.conf")
    first, second = link.peers
    assert first.public_key == PUBLIC
    assert first.allowed_ips == ("192.168.2.2/32", "192.168.88.0/24", "fd00:88::/64")
    assert (first.endpoint, first.keepalive) == ("192.0.2.7:51820", 25)
    assert (second.endpoint, second.keepalive, second.allowed_ips) == (None, None, ())
    assert PRIVATE not in repr(link)


def test_what_is_written_is_read_back() -> None:
    link = read(CONFIGURATION, "wg0.conf", LINK)
    peers = [
        Peer(number, str(peer.public_key), peer.allowed_ips, peer.endpoint, peer.keepalive or 0)
        for number, peer in enumerate(link.peers)
    ]
    text = write(link, peers, 1400, "/etc/wireguard/key")
    again = read(text, "other.conf", LINK)
    assert again.private_key_file == "/etc/wireguard/key"
    assert (again.address, again.listen, again.mtu, again.peers) == (
        link.address,
        link.listen,
        link.mtu,
        link.peers,
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("DNS = 1.1.1.1", "DNS is not known here"),
        ("PostUp = iptables -A FORWARD -j ACCEPT", "is a command, which is not run here"),
        ("Address = 10.0.0.0/24", "is the address of the network"),
        ("ListenPort = many", "is out of range"),
        ("nonsense", "this is no setting"),
    ],
)
def test_what_cannot_be_said_is_a_mistake_with_its_line(line: str, said: str) -> None:
    with pytest.raises(Mistake) as error:
        read(f"[Interface]\n{line}\n", "wg0.conf", LINK)
    assert f"wg0.conf:2:1: {said}" in str(error.value) or said in str(error.value)
    assert "wg0.conf:2:1" in str(error.value)


def test_a_lab_names_a_configuration_beside_it(tmp_path: Path) -> None:
    (tmp_path / "wg0.conf").write_text(CONFIGURATION)
    lab = "name: lab\nnodes: {a: }\nlinks:\n  - {kind: wireguard, node: a, config: wg0.conf%s}\n"
    topology = loads(lab % "", str(tmp_path / "lab.yaml"))
    ((_, link),) = topology.wireguards()
    assert link.listen == 51820
    for more, said in (
        (", listen: 7", "the lab's file says more"),
        (", name: wg1", ""),
    ):
        if said:
            with pytest.raises(Mistake, match=said):
                loads(lab % more, str(tmp_path / "lab.yaml"))
        else:
            assert loads(lab % more, str(tmp_path / "lab.yaml"))
    (tmp_path / "wg0.conf").unlink()
    with pytest.raises(Mistake, match="can't be read: No such file"):
        loads(lab % "", str(tmp_path / "lab.yaml"))
