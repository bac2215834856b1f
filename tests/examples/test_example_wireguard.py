"""WireGuard tunnels: two hosts, a bridge through them, a peer made by hand, and what goes wrong."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.examples.networks import with_engine
from tests.machine import EXAMPLES, Machine, wait_until

from linkspan.model.load import loads
from linkspan.model.topology import dump

TEXT = (EXAMPLES / "wireguard.yaml").read_text()


def run(machine: Machine, node: str, *command: str, lab: str = "wireguard") -> str:
    return machine.linkspan("exec", f"{lab}/{node}", "--", *command).stdout


def private_keys(machine: Machine, lab: str = "wireguard") -> list[str]:
    """The keys in the lab's folder, which is for nobody else."""
    files = list((machine.labs / lab / "keys").iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    return [file.read_text() for file in files]


def device(machine: Machine, node: str) -> dict[str, Any]:
    """What `show` says of wg0."""
    lab = json.loads(machine.linkspan("show", "wireguard", "--json").stdout)
    (found,) = (
        interface["wireguard"]
        for each in lab["nodes"]
        for interface in each["interfaces"]
        if (each["name"], interface["name"]) == (node, "wg0")
    )
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("engine", ["kernel", "user"])
def test_a_bridge_goes_through_the_tunnel_whole(machine: Machine, engine: str) -> None:
    file = machine.file(dump(with_engine(loads(TEXT, "wireguard.yaml"), engine)))
    machine.linkspan("up", file)
    machine.linkspan("plan", "--check", file)
    run(machine, "h1", "ping", "-c1", "-W5", "192.168.2.2")
    run(machine, "b", "ping", "-4", "-c1", "-W5", "-M", "do", "-s", "1342", "a")
    run(machine, "a", "ping", "-c1", "-W5", "10.8.0.2")
    leases = json.loads(machine.linkspan("leases", "wireguard", "--json").stdout)
    assert {(lease["bridge"], lease["node"]) for lease in leases} == {("br1", "b")}
    (peer,) = device(machine, "h1")["peers"]
    assert peer["handshake_age"] < 60
    assert peer["bytes_in"] > 1300
    assert peer["public_key"] == device(machine, "h2")["public_key"]
    assert peer["endpoint"] == "192.0.2.2:51820"
    machine.linkspan("down", "wireguard")


def test_who_has_another_mtu_is_told_that_of_the_tunnel(machine: Machine) -> None:
    """By DHCP and by router advertisement: as a guest does that nobody set an MTU for."""
    b = "{bridge: br2, address: dhcp"
    assert b in TEXT
    machine.linkspan("up", machine.file(TEXT.replace(b, b + ", mtu: 1500")))
    assert "mtu 1500" in run(machine, "b", "ip", "link", "show", "eth0")
    assert "mtu 1370" in run(machine, "b", "ip", "route", "show", "10.8.0.0/24")
    assert "mtu 1370" in run(machine, "b", "ip", "-6", "route", "show", "fd00:8::/64")
    for address in ("10.8.0.1", "fd00:8::1"):
        run(machine, "b", "ping", "-c1", "-W5", "-s", "1450", address)
    machine.linkspan("down", "wireguard")


def test_no_private_key_is_told_to_anybody(machine: Machine) -> None:
    file = machine.file(TEXT)
    told = [machine.linkspan("plan", file).stdout, machine.linkspan("up", "--json", file).stdout]
    told.append(machine.linkspan("show", "wireguard", "--json").stdout)
    told.append(machine.linkspan("show", "wireguard").stdout)
    keys = private_keys(machine)
    assert len(keys) == 2
    folder = machine.labs / "wireguard"
    told += [path.read_text() for path in folder.glob("*.json")] + [(folder / "log").read_text()]
    commands = "".join(machine.processes().values())
    assert not any(key in text for key in keys for text in [*told, commands])
    machine.linkspan("up", file)
    assert sorted(private_keys(machine)) == sorted(keys), "keys are kept"
    machine.linkspan("down", "wireguard")


def test_a_killed_tunnel_is_back_with_all_that_stood_on_it(machine: Machine) -> None:
    file = machine.file(TEXT)
    machine.linkspan("up", file)
    run(machine, "h1", "ping", "-c1", "-W5", "192.168.2.2")
    process = _first(machine)
    assert process
    machine.run(["kill", "-9", str(process)], 0)
    wait_until(lambda: _first(machine) != process)
    machine.linkspan("plan", "--check", file)
    run(machine, "h1", "ping", "-c3", "-i0.5", "-W5", "192.168.2.2")
    machine.linkspan("down", "wireguard")


def _first(machine: Machine) -> int:
    """The process of one of the tunnels."""
    return min(
        (number for number, line in machine.processes().items() if "wireguard-go -f" in line),
        default=0,
    )


def test_tunnels_follow_the_file_and_drift_is_put_right(machine: Machine) -> None:
    machine.linkspan("up", machine.file(TEXT))
    other = TEXT.replace(
        "peers: [{peer: h2}]", "peers: [{peer: h2, keepalive: 25, allowed-ips: 192.168.88.0/24}]"
    )
    file = machine.file(other)
    done = json.loads(machine.linkspan("up", "--json", file).stdout)["plan"]
    assert [change["action"].split(":")[0] for change in done] == [
        "change wg0 of h1",
        "route 192.168.88.0/24 of h1 by wg0",
    ]
    machine.linkspan("plan", "--check", file)
    (peer,) = device(machine, "h1")["peers"]
    assert (peer["keepalive"], len(peer["allowed_ips"])) == (25, 2)
    run(machine, "h1", "ip", "link", "delete", "wg0")
    run(machine, "h2", "ip", "link", "set", "wg0", "mtu", "1300")
    machine.linkspan("plan", "--check", file, status=1)
    machine.linkspan("up", file)
    machine.linkspan("plan", "--check", file)
    run(machine, "b", "ping", "-c1", "-W5", "10.8.0.1")
    machine.linkspan("down", "wireguard")


BY_HAND = """
name: wireguard
bridges: {{lan: }}
nodes:
  h1: {{kind: host, ports: {{eth0: {{bridge: lan, address: 192.0.2.1/24}}}}}}
  h2: {{kind: host, ports: {{eth0: {{bridge: lan, address: 192.0.2.2/24}}}}}}
links:
  - kind: wireguard
    node: h1
    address: 192.168.2.1/24
    listen: 51820
    private-key-file: wg.key
    peers:
      - public-key: {public}
        endpoint: "192.0.2.2:51821"
        allowed-ips: [192.168.2.2/32, 192.168.88.0/24]
        keepalive: 25
"""
SCRIPT = """
mount -n -t tmpfs none /run && WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 wireguard-go -f hand &
while ! [ -S /run/wireguard/hand.sock ]; do sleep 0.05; done
wg set hand listen-port 51821 private-key {key} peer {peer} allowed-ips 192.168.2.1/32
ip address add 192.168.2.2/24 dev hand && ip address add 192.168.88.1/24 dev hand
ip link set hand up && echo ready
wait
"""


def test_a_peer_made_by_hand_is_the_other_end(machine: Machine) -> None:
    """The oracle: wireguard-go and wg(8), which nobody here configured, with keys in files."""

    def key(name: str) -> tuple[Path, str]:
        made = machine.run(["wg", "genkey"], 0).stdout
        file = machine.folder / name
        file.write_text(made)
        return file, machine.run(["wg", "pubkey"], 0, input=made).stdout.strip()

    _, ours = key("wg.key")
    theirs_file, theirs = key("theirs.key")
    file = machine.file(BY_HAND.format(public=theirs))
    machine.linkspan("up", file)
    assert device(machine, "h1")["public_key"] == ours
    script = SCRIPT.format(key=theirs_file, peer=ours)
    enter = ("linkspan", "exec", "wireguard/h2", "--", "unshare", "-m", "sh", "-c", script)
    with machine.start(
        [*_python(), *enter[1:]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as hand:
        assert hand.stdout is not None
        assert hand.stdout.readline() == "ready\n"
        for address in ("192.168.2.2", "192.168.88.1"):
            run(machine, "h1", "ping", "-c1", "-W5", address)
        machine.linkspan("plan", "--check", file)
        machine.linkspan("down", "wireguard")
        hand.wait(20)


def _python() -> list[str]:
    from tests.machine import linkspan_command

    return [str(word) for word in linkspan_command()]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("not a key, but a secret\n", "is not a key"),
        ("A" * 40, "is not a key"),
    ],
)
def test_a_private_key_that_cannot_be_used_is_a_mistake(
    machine: Machine, content: str | None, said: str
) -> None:
    if content is not None:
        (machine.folder / "wg.key").write_text(content)
    public = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
    answer = machine.linkspan("up", machine.file(BY_HAND.format(public=public)), status=2)
    assert "link 1" in answer.stderr
    assert said in answer.stderr
    assert "secret" not in answer.stderr


def test_a_tunnel_to_its_own_key_is_a_mistake(machine: Machine) -> None:
    made = machine.run(["wg", "genkey"], 0).stdout
    (machine.folder / "wg.key").write_text(made)
    public = machine.run(["wg", "pubkey"], 0, input=made).stdout.strip()
    answer = machine.linkspan("up", machine.file(BY_HAND.format(public=public)), status=2)
    assert "a tunnel to itself" in answer.stderr


def test_a_configuration_of_wg_quick_is_read_and_what_is_exported_is_one(machine: Machine) -> None:
    machine.linkspan("up", machine.file(TEXT))
    text = machine.linkspan("export", "wg-quick", "wireguard/h1:wg0").stdout
    assert "AllowedIPs = 192.168.2.2/32" in text
    assert not any(key in text for key in private_keys(machine))
    kept = machine.folder / "h1.key"
    kept.write_text(
        (machine.labs / "wireguard" / "keys" / text.split("/keys/")[1].split()[0]).read_text()
    )
    machine.linkspan("export", "wg-quick", "wireguard/h1:wg7", status=2)
    (machine.folder / "wg0.conf").write_text(
        text.replace(text.split("private-key ")[1].split("\n")[0], str(kept))
    )
    lines = [
        "  - {kind: wireguard, node: h1, config: wg0.conf}" if "node: h1, address" in line else line
        for line in TEXT.splitlines()
    ]
    assert "config: wg0.conf" in "\n".join(lines)
    file = machine.file("\n".join(lines))
    done = json.loads(machine.linkspan("up", "--json", file).stdout)["plan"]
    assert done == [], "the configuration says what there is"
    machine.linkspan("down", "wireguard")
