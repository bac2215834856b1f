"""Why a client got no address, as far as the server's configuration and leases tell."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

from linkspan.model.dhcp import Span, size, without
from linkspan.services.leases import Lease


def exhausted(text: str, leases: Sequence[Lease]) -> bool:
    """Whether a dnsmasq with this configuration has no IPv4 address left for anybody."""
    return not size(_free(text, leases))


def why(wanted: str, bridge: str, text: str | None, leases: Sequence[Lease]) -> str:
    """Why there is none of what was `wanted` (an address, `ipv4` or `ipv6`) on a bridge; `text` is
    the configuration of the bridge's own server, None when it has none.
    """
    if text is None:
        return f"nobody answered on {bridge}, which gives no addresses away itself"
    held = next((lease for lease in leases if lease.address == wanted), None)
    if held is not None:
        owner = f"{held.name} ({held.mac})" if held.name else held.mac
        return f"{bridge} has lent it to {owner}, until that gives it back or its lease ends"
    if wanted != "ipv6" and ":" not in wanted and exhausted(text, leases):
        owners = ", ".join(sorted(lease.name or str(lease.mac) for lease in _ipv4(leases)))
        return (
            f"{bridge} has given away all {size(_all(text))} addresses of its ranges, to {owners}"
        )
    return f"the server of {bridge} did not answer; the lab's log has what it said"


def _free(text: str, leases: Sequence[Lease]) -> list[Span]:
    return list(without(_all(text), (IPv4Address(lease.address) for lease in _ipv4(leases))))


def _all(text: str) -> list[Span]:
    """The ranges that anybody may get an address of: without those of fixed leases."""
    fixed, spans = [], []
    for line in text.splitlines():
        option, _, value = line.partition("=")
        words = value.split(",")
        if option == "dhcp-host":
            fixed += [IPv4Address(word) for word in words[1:-1] if ":" not in word]
        elif option == "dhcp-range" and ":" not in words[0] and words[1] != "static":
            spans.append((IPv4Address(words[0]), IPv4Address(words[1])))
    return list(without(spans, fixed))


def _ipv4(leases: Sequence[Lease]) -> list[Lease]:
    return [lease for lease in leases if ":" not in lease.address]
