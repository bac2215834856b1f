"""A machine of a test's own on which a firewall of somebody else's really runs.

Docker, ufw and firewalld are seen there as if they were installed: their Debian packages are
unpacked (tests/unpack-debian-packages.sh) and lie below overlays of /etc, /usr and /var, which end
with the machine's mount namespace. The machine has a card towards a LAN, by which its default
routes lead:

    host: eth0 192.0.2.1/24, 2001:db8::1/64 ── outside: eth0 192.0.2.2/24, 2001:db8::2/64
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.examples.networks import CLIENT, SERVER
from tests.machine import REPOSITORY, ROOT, Machine

UNPACKED = REPOSITORY / ".debian"
HOST, OUTSIDE = "192.0.2.1", "192.0.2.2"
HOST6, OUTSIDE6 = "2001:db8::1", "2001:db8::2"

_CARD = f"""
ip netns add outside
ip link add eth0 type veth peer name eth0 netns outside
ip link set lo up
ip addr add {HOST}/24 dev eth0
ip addr add {HOST6}/64 dev eth0 nodad
ip link set eth0 up
ip -n outside link set lo up
ip -n outside addr add {OUTSIDE}/24 dev eth0
ip -n outside addr add {OUTSIDE6}/64 dev eth0 nodad
ip -n outside link set eth0 up
ip route add default via {OUTSIDE}
ip route add default via {OUTSIDE6}
"""
"""The outside has no route back: what reaches it was translated, unless it is given one."""


class FirewallHost:
    """A machine that sees programs that are not installed on the one that it runs on."""

    def __init__(self) -> None:
        if os.geteuid() != ROOT:
            pytest.skip("needs root: somebody else's firewall is to run")
        if not (UNPACKED / ".packages").exists():
            if shutil.which("dpkg-deb") is None:
                pytest.skip("programs of Debian's are needed, and there is no dpkg-deb")
            pytest.fail(f"nothing is unpacked in {UNPACKED}: `make packages` does it")
        self.machine = Machine(ROOT)
        try:
            self.machine.shadow("etc", "usr", "var", below=UNPACKED)
            self.shell(_CARD)
        except BaseException:
            self.machine.close()
            raise

    def shell(self, script: str) -> str:
        """What a script says that must succeed."""
        return self.machine.run(["sh", "-ec", script], 0).stdout

    def saved(self) -> list[str]:
        """The rules of iptables for both versions, without how many packets met them."""
        found = []
        for program in ("iptables-save", "ip6tables-save"):
            lines = self.machine.run([program], 0).stdout.splitlines()
            rules = [re.sub(r"\[\d+:\d+\]", "", line) for line in lines]
            found += [line for line in rules if not line.startswith("#")]
        return found

    def ask_from_outside(self, *places: str) -> list[str]:
        """What servers answer the outside at places such as `tcp/192.0.2.1/80`; `no` where nobody
        does.
        """
        command = ["ip", "netns", "exec", "outside", "python3", "-c", CLIENT, *places]
        return self.machine.run(command, 0).stdout.splitlines()

    @contextlib.contextmanager
    def serving_outside(self, *places: str) -> Iterator[None]:
        """A server outside, at places such as `tcp:80`, that says `out PEER`."""
        command = ["ip", "netns", "exec", "outside", "python3", "-c", SERVER, "out", *places]
        with self.machine.start(command, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            try:
                yield
            finally:
                server.kill()

    def plan(self, file: Path) -> list[str]:
        """The steps of a plan, a line each."""
        planned = self.machine.linkspan("plan", file).stdout.splitlines()
        return [line for line in planned if line.startswith(("+", "-", "~"))]

    def refusal(self, file: Path) -> str:
        """Why there is no plan."""
        return self.machine.linkspan("plan", file, status=2).stderr

    def follow(self, refused: str) -> None:
        """Carry out what a refusal says to do next."""
        steps = [line for line in refused.splitlines() if line.startswith("  next: ")]
        assert steps, refused
        for step in dict.fromkeys(steps):
            self.shell(step.removeprefix("  next: "))

    def close(self) -> None:
        """End everything."""
        self.machine.close()
