"""A lab of scope host beside a real ufw and a real firewalld: what they would drop is named, and
what is said to do about it helps, and goes on helping.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.examples.networks import ask, serving
from tests.firewall_host import HOST, HOST6, OUTSIDE, OUTSIDE6, FirewallHost
from tests.machine import wait_until

BRIDGE = "office-bridge-0"
"""As long as names of interfaces may be."""

LAB = f"""
name: office
scope: host
bridges:
  {BRIDGE}:
    address: [10.9.0.254/24, "fd00:9::fe/64"]
    forward: nat
    publish: ["8080:a:80"]
    dhcp: {{range: 10.9.0.10-10.9.0.99}}
    dns: {{}}
nodes:
  a: {{ports: {{eth0: {{bridge: {BRIDGE}, address: [10.9.0.1/24, "fd00:9::1/64"]}}}}}}
  b: {{ports: {{eth0: {{bridge: {BRIDGE}, address: dhcp}}}}}}
"""
ROUTED = LAB.replace("forward: nat", "forward: routed")
BUS = """
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/><allow own="*"/>
    <allow send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="signal"/>
    <allow receive_type="method_return"/><allow receive_type="error"/>
  </policy>
</busconfig>
"""
"""A system bus that starts nothing by itself."""


class Firewalld(FirewallHost):
    """A machine with firewalld, and the bus by which it is told what to do."""

    def __init__(self) -> None:
        super().__init__()
        self._log = open(self.machine.folder / "firewalld.log", "w")  # noqa: SIM115
        self.machine.run(["mkdir", "-p", "/run/dbus"], 0)
        settings = self.machine.file(BUS, "bus.conf")
        self._start("dbus-daemon", f"--config-file={settings}", "--nofork", "--nopidfile")
        wait_until((self.machine.labs.parent / "dbus/system_bus_socket").exists)
        self._start("firewalld", "--nofork", "--nopid")
        wait_until(
            lambda: self.machine.run(["firewall-cmd", "--state"]).returncode == 0,
            lambda: (self.machine.folder / "firewalld.log").read_text(),
        )

    def _start(self, *command: str) -> subprocess.Popen[str]:
        return self.machine.start(command, stdout=self._log, stderr=self._log)

    def close(self) -> None:
        """End everything."""
        self._log.close()
        super().close()


@pytest.fixture
def ufw() -> Iterator[FirewallHost]:
    host = FirewallHost()
    try:
        # As the package's postinst does.
        host.shell("cp /usr/share/ufw/iptables/*.rules /usr/share/ufw/*.init /etc/ufw/")
        host.shell("cp /usr/share/ufw/ufw.conf /etc/ufw/")
        yield host
    finally:
        host.close()


@pytest.fixture
def firewalld() -> Iterator[Firewalld]:
    host = Firewalld()
    try:
        yield host
    finally:
        host.close()


@contextlib.contextmanager
def up(host: FirewallHost, file: Path) -> Iterator[None]:
    host.machine.linkspan("up", file)
    with serving(host.machine, "office/a", "tcp:80"), host.serving_outside("tcp:7"):
        yield
    host.machine.linkspan("down", "office")


def assert_all_works(host: FirewallHost) -> None:
    """What is published is reached, what is outside too, and the name server answers."""
    published = host.ask_from_outside(f"tcp/{HOST}/8080", f"tcp/{HOST6}/8080")
    assert published == [f"a {OUTSIDE}", f"a {OUTSIDE6}"]
    for node in ("office/a", "office/b"):
        outside = ask(host.machine, node, f"tcp/{OUTSIDE}/7", f"tcp/{OUTSIDE6}/7")
        assert outside == [f"out {HOST}", f"out {HOST6}"]
    host.machine.linkspan("exec", "office/b", "--", "getent", "hosts", "a")


def test_ufw_that_comes_later_lets_a_network_pass_when_it_is_told_to(ufw: FirewallHost) -> None:
    file = ufw.machine.file(LAB)
    with up(ufw, file):
        ufw.shell("ufw --force enable")
        assert ufw.ask_from_outside(f"tcp/{HOST}/8080") == ["no"]
        refused = ufw.refusal(file)
        assert "chain INPUT of table ip filter (ufw), hook input, policy drop, by rule" in refused
        assert "chain FORWARD of table ip6 filter (ufw), hook forward, policy drop: wh" in refused
        assert f"  next: ufw allow in on {BRIDGE}\n" in refused
        both = f"ufw route allow in on {BRIDGE}; ufw route allow out on {BRIDGE}"
        assert f"  next: {both}\n" in refused
        ufw.follow(refused)
        ufw.machine.linkspan("plan", "--check", file)
        ufw.shell("ufw reload")
        told = ufw.saved()
        ufw.machine.linkspan("plan", "--check", file)
        assert_all_works(ufw)
    assert ufw.saved() == told


def test_firewalld_lets_a_network_pass_when_it_is_told_to(firewalld: Firewalld) -> None:
    file = firewalld.machine.file(LAB)
    refused = firewalld.refusal(file)
    chain = "chain filter_FORWARD of table inet firewalld (firewalld), hook forward, policy accept"
    assert f"{chain}, by rule" in refused
    assert "chain filter_INPUT of table inet firewalld (firewalld), hook input" in refused
    step = f"firewall-cmd --permanent --zone=trusted --add-interface={BRIDGE}"
    assert f"  next: {step}; firewall-cmd --reload\n" in refused
    firewalld.follow(refused)
    with up(firewalld, file):
        firewalld.shell("firewall-cmd --reload")
        firewalld.machine.linkspan("plan", "--check", file)
        assert_all_works(firewalld)

        routed = firewalld.machine.file(ROUTED)
        refused = firewalld.refusal(routed)
        assert f"  next: firewall-cmd --permanent --new-policy=to-{BRIDGE}; " in refused
        firewalld.follow(refused)
        firewalld.machine.linkspan("up", routed)
        firewalld.shell(f"ip -n outside route add 10.9.0.0/24 via {HOST}")
        firewalld.shell(f"ip -n outside route add fd00:9::/64 via {HOST6}")
        answers = firewalld.ask_from_outside("tcp/10.9.0.1/80", "tcp/fd00:9::1/80")
        assert answers == [f"a {OUTSIDE}", f"a {OUTSIDE6}"]
        assert ask(firewalld.machine, "office/a", f"tcp/{OUTSIDE}/7") == ["out 10.9.0.1"]
