"""What an administrator should know beforehand though nothing is wrong with the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linkspan.model.base import Engine
from linkspan.model.topology import Scope, Topology

FAMILIES: Final = {"iptables": "IPv4", "ip6tables": "IPv6", "arptables": "ARP"}
"""Sysctls bridge-nf-call-…, and what they take to the firewall (br_netfilter)."""


def notices(topology: Topology, proc: Path = Path("/proc")) -> list[str]:
    """Sentences about a topology whose engines have been chosen."""
    return list(_bridge_netfilter(topology, proc))


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
            f"frames that {', '.join(bridges)} forwards pass the machine's FORWARD rules for"
            f" {', '.join(taken)}, since net.bridge.bridge-nf-call-* is 1: a policy of DROP there"
            f" drops them\n  next: sysctl net.bridge.bridge-nf-call-iptables=0, if nobody relies"
            f" on it, or `engine: user`, which does not pass them"
        )


def _is_on(proc: Path, call: str) -> bool:
    try:
        return (proc / f"sys/net/bridge/bridge-nf-call-{call}").read_text().strip() != "0"
    except OSError:
        return False
