"""What an administrator should know beforehand though nothing is wrong with the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linkspan.engine.reading.guests import STATUS, guest_ports
from linkspan.model.base import Engine
from linkspan.model.topology import Scope, Topology

FAMILIES: Final = {"iptables": "IPv4", "ip6tables": "IPv6", "arptables": "ARP"}
"""Sysctls bridge-nf-call-…, and what they take to the firewall (br_netfilter)."""


def notices(topology: Topology, proc: Path = Path("/proc"), libvirt: Path = STATUS) -> list[str]:
    """Sentences about a topology whose engines have been chosen."""
    return [*_bridge_netfilter(topology, proc), *_no_ports_for_guests(topology, libvirt)]


def _bridge_netfilter(topology: Topology, proc: Path) -> Iterator[str]:
    """In a sandbox the sysctls are the lab's own and off; on the machine they are everybody's, and
    a bridge can't leave itself out (br_nf_pre_routing, net/bridge/br_netfilter_hooks.c).
    """
    if topology.scope is not Scope.HOST:
        return
    bridges = [name for name, each in topology.bridges.items() if each.engine is Engine.KERNEL]
    taken = [family for call, family in FAMILIES.items() if _is_on(proc, call)]
    if bridges and taken:
        yield (
            f"what {', '.join(bridges)} switches passes the machine's FORWARD rules for"
            f" {', '.join(taken)}, since net.bridge.bridge-nf-call-* is 1: a firewall that comes"
            " later may drop it\n  next: sysctl net.bridge.bridge-nf-call-iptables=0, if nobody"
            " relies on it, or `engine: user`, which does not pass them"
        )


def _no_ports_for_guests(topology: Topology, folder: Path) -> Iterator[str]:
    """Where libvirt is on the machine: what it can't do with our bridges, and what we can't see of
    it.
    """
    if topology.scope is not Scope.HOST or not folder.is_dir():
        return
    ports, unread = guest_ports(folder)
    for name, bridge in topology.bridges.items():
        if bridge.engine is Engine.USER:
            guests = dict.fromkeys(port.guest for port in ports if port.bridge == name)
            lost = f", so that {', '.join(guests)} has no port any more" if guests else ""
            yield (
                f"libvirt can't put guests on {name}{lost}: it is switched by engine user, and"
                " libvirt asks the kernel for a port (SIOCBRADDIF)\n  next: `engine: kernel`, or a"
                " socket of `ports` for QEMU's own `-netdev stream`"
            )
    for text in unread:
        yield f"which ports a guest of libvirt's should have can't be read: {text}"


def _is_on(proc: Path, call: str) -> bool:
    try:
        return (proc / f"sys/net/bridge/bridge-nf-call-{call}").read_text().strip() != "0"
    except OSError:
        return False
