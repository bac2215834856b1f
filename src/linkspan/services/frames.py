"""What the kernel's bridges of a lab switch, as frames that every firewall on their way has to
accept.

    prerouting ─▶ forward ─▶ postrouting     chains of the family bridge: from port to port
         └──▶ input      output ──┘          to the machine itself, and from it

At an uplink stand chains of the families netdev and inet as well, before all those and behind them.

Where the machine takes bridged packets through its firewall of layer 3 (br_netfilter), those from
port to port also pass the chains of ip and ip6 for what is forwarded, coming in by the bridge and
going out by it.

Source: net/bridge/br_input.c, br_forward.c, br_netfilter_hooks.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkspan.model.bridge_facts import Bridge, BridgeKey
from linkspan.model.offers import fixed_addresses
from linkspan.model.state import State
from linkspan.model.topology import HOST, Topology
from linkspan.services.packets import ARP, Packet, Way

_WORDS: Final = {
    Way.INGRESS: "what comes in by ports of {}",
    Way.BETWEEN: "what goes between ports of {}",
    Way.UP: "what goes from ports of {} to the machine",
    Way.DOWN: "what goes from the machine to ports of {}",
    Way.EGRESS: "what goes out by ports of {}",
}
_AT_UPLINKS: Final = (Way.INGRESS, Way.EGRESS)
_KINDS: Final = {ARP: "ARP", 4: "IPv4", 6: "IPv6"}
_CALLS: Final = {4: "iptables", 6: "ip6tables"}
"""Sysctls net.bridge.bridge-nf-call-…"""


@dataclass(frozen=True, slots=True)
class Switched:
    """What is known of a bridge of the kernel's on the machine."""

    bridge: str
    versions: tuple[int, ...]
    """IP versions of the addresses on its network; IPv4 where none is known."""
    has_address: bool
    """Whether the machine itself is on that network."""
    uplink: str | None = None
    """The network card that is a port of it."""


def switched(topology: Topology, wanted: State) -> Iterator[Switched]:
    """The bridges of a lab that the machine's kernel switches."""
    versions: dict[str, set[int]] = {}
    for name, _, address in fixed_addresses(topology):
        versions.setdefault(name, set()).add(address.version)
    for key, value in wanted.items():
        if not isinstance(key, BridgeKey) or not isinstance(value, Bridge):
            continue
        if value.node == HOST and value.engine == "kernel":
            declared = topology.bridges[key.bridge]
            yield Switched(
                key.bridge,
                tuple(sorted(versions.get(key.bridge, {4}))),
                # An uplink's addresses move to its bridge.
                has_address=bool(declared.address or declared.uplink),
                uplink=declared.uplink.interface if declared.uplink else None,
            )


def frames(bridges: Iterable[Switched], proc: Path = Path("/proc")) -> Iterator[Packet]:
    """What bridges switch; the sysctls are those of the namespace of the calling thread."""
    for each in bridges:
        kinds = [*([ARP] if 4 in each.versions else []), *each.versions]
        ways = [way for way in _WORDS if each.has_address or way not in (Way.UP, Way.DOWN)]
        for way in ways:
            for kind in kinds:
                words = f"{_WORDS[way].format(each.bridge)} ({_KINDS[kind]})"
                yield Packet(way, each.bridge, kind, words)
                if each.uplink and way in _AT_UPLINKS:
                    yield Packet(way, each.bridge, kind, f"{words} by {each.uplink}", each.uplink)
        for version in each.versions:
            if _is_called(proc, _CALLS[version]):
                words = f"{_WORDS[Way.BETWEEN].format(each.bridge)} (bridge-nf-call-*)"
                yield Packet(Way.BRIDGED, each.bridge, version, words)


def _is_called(proc: Path, call: str) -> bool:
    try:
        return (proc / f"sys/net/bridge/bridge-nf-call-{call}").read_text().strip() != "0"
    except OSError:
        return False
