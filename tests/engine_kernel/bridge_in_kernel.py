"""A small lab on bridges of the kernel, in namespaces of a test's own, and `ip` as judge."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from tests.engine.networks import namespace

from linkspan.control.client import Client
from linkspan.engine.kernel.engine import KernelEngine
from linkspan.engine.netlink import set_link
from linkspan.engine.site import Site
from linkspan.model.state import AnyKey, AnyValue, Bridge, BridgeKey, Port, PortKey
from linkspan.model.topology import Scope
from linkspan.plan.change import Change
from linkspan.sandbox.namespaces import inside

BRIDGE_MAC = "02:00:00:00:00:b0"
PLACES = {"br0": "host", "br1": "host", "br2": "host", "far": "other"}
"""Nodes of the bridges."""

NAMES = {("web", "eth0"): "web.eth0", ("db", "eth0"): "db.eth0", ("host", "eth9"): "host.eth9"}


def mac_of(node: str) -> str:
    return f"02:00:00:00:00:{['host', 'web', 'db'].index(node):02x}"


def a_bridge(node: str = "host", mtu: int = 1500, **options: Any) -> Bridge:
    return Bridge(node=node, engine="kernel", mac=BRIDGE_MAC, mtu=mtu, options=options)


def a_port(node: str, bridge: str = "br0", mtu: int = 1500, **options: Any) -> Port:
    return Port(bridge=bridge, engine="kernel", mac=mac_of(node), mtu=mtu, options=options)


class KernelLab:
    """Nodes host, other, web and db, and an engine that works on them."""

    def __init__(self, networks: dict[str, int], scope: Scope = Scope.SANDBOX) -> None:
        self.networks = networks
        self.site = Site("lab", Path("/nonexistent"), cast(Client, None), scope)
        for node, network in networks.items():
            self.site.add(node, os.dup(network))
            self.site.netlink(node).run([set_link("lo", up=True)])
        self.engine = KernelEngine(self.site, PLACES, NAMES)

    def change(
        self, key: AnyKey, before: AnyValue | None = None, after: AnyValue | None = None
    ) -> None:
        self.engine.carry_out(Change(key=key, before=before, after=after))

    def add_bridge(self, name: str = "br0", **facts: Any) -> Bridge:
        wanted = a_bridge(**facts)
        self.change(BridgeKey(name), after=wanted)
        return wanted

    def add_port(self, node: str, **facts: Any) -> Port:
        wanted = a_port(node, **facts)
        self.change(PortKey(node, "eth0"), after=wanted)
        return wanted

    def run(self, node: str, *words: str) -> str:
        """What a command in a node prints."""
        with inside(self.networks[node]):
            done = subprocess.run(words, capture_output=True, text=True, check=True)
        return done.stdout

    def ip(self, node: str, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run(node, "ip", "-d", "-j", *words) or "[]")
        return found

    def link(self, node: str, name: str) -> dict[str, Any]:
        return self.ip(node, "link", "show", name)[0]

    def links(self, node: str) -> set[str]:
        return {link["ifname"] for link in self.ip(node, "link", "show")} - {"lo"}

    def fdb(self, node: str, mac: str) -> list[dict[str, Any]]:
        entries = json.loads(self.run(node, "bridge", "-j", "fdb", "show") or "[]")
        return [entry for entry in entries if entry["mac"] == mac and "master" in entry]

    def up(self, node: str, *addresses: str) -> None:
        """Bring a node's eth0 (the host's br0) up, with addresses."""
        name = "br0" if node == "host" else "eth0"
        for address in addresses:
            self.run(node, "ip", "address", "add", address, "dev", name)
        self.run(node, "ip", "link", "set", name, "up")


@contextmanager
def kernel_lab(
    nodes: Sequence[str] = ("host", "other", "web", "db"), scope: Scope = Scope.SANDBOX
) -> Iterator[KernelLab]:
    with ExitStack() as owned:
        lab = KernelLab({node: owned.enter_context(namespace()) for node in nodes}, scope)
        owned.callback(lab.site.close)
        yield lab
